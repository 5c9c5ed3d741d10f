"""Sound that is decoded already: arrays in a dataset's cells, and what decord gives."""

from collections.abc import Iterator

import numpy as np

from ...cells import SamplesMedia
from ...errors import MediaError
from ..sound import check_sample_rate, split_blocks, to_mono


class SamplesSound:
    """Samples in memory as a `Sound`."""

    def __init__(self, media: SamplesMedia, channels: str) -> None:
        samples = media.samples
        if samples.ndim not in (1, 2) or samples.dtype.kind not in "fiu":
            raise MediaError(
                f"{media.name}: samples must be numbers of shape (samples,) or (channels, samples); "
                f"got {samples.dtype} of shape {samples.shape}."
            )
        if not samples.size:
            raise MediaError(f"{media.name}: it holds no samples.")
        self.samples = to_mono(np.atleast_2d(samples), channels)
        self.rate_hz = check_sample_rate(media.rate_hz, media.name)
        self.duration_seconds: float | None = len(self.samples) / self.rate_hz

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        yield from split_blocks(self.samples[start:stop])
