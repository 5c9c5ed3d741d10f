"""The decoders on whole clips as they are met: h264 with AAC, Ogg Vorbis; many windows long, stereo and mono.

Stand-ins with known sound are made here; where HF_AUDIO_TAGGER_MEDIA names a folder of real clips, those
are read as well.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from sound_files import (
    FRAME,
    H264,
    KINDS,
    Kind,
    needs_decord,
    needs_torchcodec,
    relative_error,
    write_sound,
)

from hf_audio_tagger import build_tagger
from hf_audio_tagger.cells import FileMedia
from hf_audio_tagger.demo.sounds import LABELS, synthesize
from hf_audio_tagger.media.audio import open_sound

REAL_SECONDS = {"video1.mp4": 11.7, "video3.mp4": 49.6, "video4.mp4": 22.5, "audio3.ogg": 119.9}


@dataclass(frozen=True)
class StandIn:
    """A clip that is made: one demo sound, at a level of its own in each channel."""

    label: str
    seconds: float
    rate_hz: int
    levels: tuple[float, ...]
    kind: Kind

    @property
    def sound(self) -> np.ndarray:
        """``(channels, samples)``"""
        mono = synthesize(self.label, self.seconds, self.rate_hz, seed=8)
        return np.array(self.levels, np.float32)[:, None] * mono


STAND_INS = {
    "stereo.mp4": StandIn("Siren", 11.7, 44_100, (0.9, 0.4), H264),
    "long.mp4": StandIn("Church bell", 25.0, 44_100, (0.5, 0.5), H264),
    "mono.mp4": StandIn("Dial tone", 15.0, 44_100, (0.9,), H264),
    "vorbis.ogg": StandIn("Dial tone", 20.0, 22_050, (0.7, 0.7), KINDS["ogg-vorbis"]),
}
NAMES = [*STAND_INS, *(pytest.param(name, marks=pytest.mark.real_media) for name in REAL_SECONDS)]


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stand_ins")
    for name, made in STAND_INS.items():
        write_sound(folder / name, made.sound, rate_hz=made.rate_hz, kind=made.kind)
    return folder


@pytest.fixture
def clip(request: pytest.FixtureRequest) -> Path:
    """A clip by its name, from either folder; the test skips where there are no real ones."""
    is_made = request.param in STAND_INS
    return Path(request.getfixturevalue("stand_ins" if is_made else "real_media")) / request.param


def whole(path: Path, decoder: str, channels: str = "mean") -> tuple[np.ndarray, int]:
    with open_sound(FileMedia(str(path)), decoder, channels) as sound:
        assert sound is not None
        return np.concatenate(list(sound.blocks())), sound.rate_hz


def same_sound(clip: Path, one: str, other: str) -> None:
    (ours, rate_hz), (theirs, their_rate_hz) = (whole(clip, decoder) for decoder in (one, other))
    seconds = STAND_INS[clip.name].seconds if clip.name in STAND_INS else REAL_SECONDS[clip.name]
    assert rate_hz == their_rate_hz
    assert abs(len(ours) / rate_hz - seconds) < 0.2
    assert abs(len(ours) - len(theirs)) <= 2048  # codec priming may differ
    count = min(len(ours), len(theirs))
    assert np.abs(ours[:count] - theirs[:count]).max() < 1e-3


@needs_torchcodec
@pytest.mark.parametrize("clip", NAMES, indirect=True)
def test_pyav_and_torchcodec_agree(clip: Path) -> None:
    same_sound(clip, "pyav", "torchcodec")


@needs_decord
@pytest.mark.parametrize("clip", NAMES, indirect=True)
def test_pyav_and_decord_agree(clip: Path) -> None:
    same_sound(clip, "pyav", "decord")


@pytest.mark.parametrize("decoder", ["pyav", pytest.param("torchcodec", marks=needs_torchcodec)])
@pytest.mark.parametrize("name", STAND_INS)
def test_the_known_sound_is_decoded(stand_ins: Path, name: str, decoder: str) -> None:
    made = STAND_INS[name]
    for channels, expected in (("mean", made.sound.mean(axis=0)), ("first", made.sound[0])):
        decoded, rate_hz = whole(stand_ins / name, decoder, channels)
        assert rate_hz == made.rate_hz
        assert abs(len(decoded) - len(expected)) <= 2 * FRAME
        assert relative_error(decoded, expected, rate_hz) < 0.06


@pytest.mark.parametrize("decoder", ["auto", "pyav"])
def test_every_stand_in_gets_its_tag(stand_ins: Path, decoder: str) -> None:
    tags = build_tagger("demo", decoder=decoder, windows=3).tag([stand_ins / name for name in STAND_INS])
    assert tags == [made.label for made in STAND_INS.values()]


@pytest.mark.real_media
@pytest.mark.parametrize("decoder", ["auto", "pyav"])
def test_every_real_clip_gets_a_tag(real_media: Path, decoder: str) -> None:
    tags = build_tagger("demo", decoder=decoder, windows=3).tag([real_media / name for name in REAL_SECONDS])
    assert set(tags) <= set(LABELS)
