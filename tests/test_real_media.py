"""The decoders on real clips, where HF_AUDIO_TAGGER_MEDIA names a folder of them."""

from pathlib import Path

import numpy as np
import pytest

from hf_audio_tagger import build_tagger
from hf_audio_tagger.cells import FileMedia
from hf_audio_tagger.decode import open_sound, why_not
from hf_audio_tagger.demo.sounds import LABELS

pytestmark = pytest.mark.real_media
SECONDS = {"video1.mp4": 11.7, "video3.mp4": 49.6, "video4.mp4": 22.5, "audio3.ogg": 119.9}


def whole(path: Path, decoder: str) -> tuple[np.ndarray, int]:
    with open_sound(FileMedia(str(path)), decoder) as sound:
        assert sound is not None
        return np.concatenate(list(sound.blocks())), sound.rate_hz


@pytest.mark.parametrize("name", SECONDS)
def test_pyav_and_torchcodec_agree(real_media: Path, name: str) -> None:
    if why_not("torchcodec"):
        pytest.skip("torchcodec does not load here")
    (ours, rate_hz), (theirs, their_rate_hz) = (whole(real_media / name, d) for d in ("pyav", "torchcodec"))
    assert rate_hz == their_rate_hz
    assert abs(len(ours) / rate_hz - SECONDS[name]) < 0.2
    assert abs(len(ours) - len(theirs)) <= 2048  # codec priming may differ
    count = min(len(ours), len(theirs))
    assert np.abs(ours[:count] - theirs[:count]).max() < 1e-3


@pytest.mark.parametrize("decoder", ["auto", "pyav"])
def test_every_real_clip_gets_a_tag(real_media: Path, decoder: str) -> None:
    tags = build_tagger("demo", decoder=decoder, windows=3).tag([real_media / name for name in SECONDS])
    assert set(tags) <= set(LABELS)
