"""decord 0.6.0: it decodes the whole stream into one array, and only its mono mix is correct.

Some damaged files (2 of 213 in a test) crash the process (SIGSEGV), which `on_error="record"` cannot record.
Use decord only for files that are known to be intact.
"""

import io

import av.container
import numpy as np

from ...cells import SamplesMedia
from ...errors import MediaError
from ..container import Source, find_audio_codec, rewind
from ..failures import describe_error
from ..sound import SamplesSound, Sound, check_sample_rate, no_sound


def import_library() -> None:
    import decord  # noqa: F401


def open_sound(container: av.container.InputContainer, source: Source, name: str, channels: str) -> Sound:
    import decord

    codec = find_audio_codec(container, name)
    if codec.channels > 2 or (codec.channels == 2 and channels == "first"):
        which = f"{'the first of ' if channels == 'first' else ''}{codec.channels} channels"
        raise MediaError(
            f"{name}: decord does not decode {which} correctly; use decoder='pyav' or 'torchcodec'."
        )
    rate_hz = check_sample_rate(codec.sample_rate, name)  # decord does not expose the native rate
    file = io.BytesIO(source) if isinstance(source, bytes) else rewind(source)
    try:
        samples = decord.AudioReader(file, sample_rate=rate_hz, mono=True)[:].asnumpy().reshape(-1)
    except Exception as error:
        raise MediaError(f"{name}: decord cannot decode it ({describe_error(error)}).") from error
    if not len(samples):
        raise no_sound(name)
    # FFmpeg's downmix of stereo keeps the power: it is √2 times the mean.
    mean = samples / np.float32(np.sqrt(codec.channels))
    return SamplesSound(SamplesMedia(mean, rate_hz, name), channels)
