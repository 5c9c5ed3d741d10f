"""Decoders: what was put into a file comes out of it, whatever the container, codec, rate and layout."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sound_files import (
    FRAME,
    KINDS,
    LATE,
    OTHERS,
    Kind,
    aligned,
    decode,
    lag_of,
    needs_decord,
    needs_torchcodec,
    relative_error,
    tones,
    write_sound,
)

from hf_audio_tagger import build_tagger
from hf_audio_tagger.cells import FileMedia, parse_cell
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.demo.videos import write_video
from hf_audio_tagger.errors import MediaError, SettingsError
from hf_audio_tagger.media.audio import open_sound
from hf_audio_tagger.media.decoders import DECODER_NAMES, DECODERS, Decoder, pyav, unavailable_reason

MP4, WAV = KINDS["mp4-aac"], KINDS["wav-pcm_s16le"]


def rate_of(path: Path, decoder: str = "pyav") -> int:
    with open_sound(FileMedia(str(path)), decoder) as sound:
        assert sound is not None
        return sound.rate_hz


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("decode")


CASES = [
    (name, rate_hz, channels)
    for name, rates_hz, channels in (
        ("mp4-aac", (8_000, 44_100, 96_000), 2),
        ("webm-libopus", (48_000,), 2),
        ("mkv-ac3", (48_000,), 6),
        ("avi-libmp3lame", (44_100,), 2),
        ("mov-pcm_s16le", (22_050,), 2),
        ("ogg-vorbis", (44_100,), 2),
        ("mp3-libmp3lame", (32_000,), 1),
        ("flac-flac", (11_025, 96_000), 2),
        ("wav-pcm_u8", (8_000,), 1),
        ("wav-pcm_s16le", (16_000,), 2),
        ("wav-pcm_s32le", (44_100,), 2),
        ("wav-pcm_f32le", (48_000,), 2),
        ("wav-pcm_f64le", (96_000,), 1),
    )
    for rate_hz in rates_hz
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def stored(request: pytest.FixtureRequest, folder: Path) -> tuple[Path, np.ndarray, int, Kind]:
    name, rate_hz, channels = request.param
    made = tones(1.5, rate_hz, channels, seed=rate_hz)
    if channels == 6:
        made[3] = 0.0  # the channel for low tones keeps only those
    if name == "ogg-vorbis":
        made[1] = made[0]  # FFmpeg's encoder spoils what differs between channels
    kind = KINDS[name]
    return (
        write_sound(folder / f"{name}-{rate_hz}.{kind.extension}", made, rate_hz=rate_hz, kind=kind),
        made,
        rate_hz,
        kind,
    )


def test_the_sound_is_what_was_put_in(stored: tuple[Path, np.ndarray, int, Kind]) -> None:
    path, made, rate_hz, kind = stored
    decoded = decode(path)
    assert decoded.dtype == np.float32
    assert rate_of(path) == rate_hz
    if kind.is_exact:
        step = 2**-7 if kind.sample_format == "u8" else 2**-15
        assert decoded.shape == made.shape[1:]
        np.testing.assert_allclose(decoded, made.mean(axis=0), atol=step)
    else:
        assert abs(len(decoded) - made.shape[1]) <= 2 * FRAME
        assert relative_error(decoded, made.mean(axis=0), rate_hz) < 0.06


def test_the_first_channel_alone(stored: tuple[Path, np.ndarray, int, Kind]) -> None:
    path, made, rate_hz, _ = stored
    assert relative_error(decode(path, channels="first"), made[0], rate_hz) < 0.06


@needs_torchcodec
def test_torchcodec_decodes_the_same(stored: tuple[Path, np.ndarray, int, Kind]) -> None:
    path, _, rate_hz, _ = stored
    one, other = decode(path, "pyav"), decode(path, "torchcodec")
    assert rate_of(path, "torchcodec") == rate_hz
    assert abs(lag_of(one, other, FRAME)) < FRAME
    one, other = aligned(one, other, FRAME)
    np.testing.assert_allclose(one, other, atol=1e-3)


@needs_decord
@pytest.mark.parametrize("channels", [1, 2])
def test_decord_gives_the_mean_of_mp4(folder: Path, channels: int) -> None:
    made = tones(2.0, 44_100, channels)
    path = write_sound(folder / f"decord{channels}.mp4", made, rate_hz=44_100, kind=MP4)
    decoded = decode(path, "decord")
    assert relative_error(decoded, made.mean(axis=0), 44_100) < 0.02
    one, other = aligned(decoded, decode(path), FRAME)
    np.testing.assert_allclose(one, other, atol=1e-3)


@needs_decord
def test_decord_refuses_what_it_does_wrong(folder: Path) -> None:
    surround = write_sound(folder / "5.1.mkv", tones(0.5, 48_000, 6), rate_hz=48_000, kind=KINDS["mkv-ac3"])
    with pytest.raises(MediaError, match=r"5\.1\.mkv.*6 channels.*pyav"):
        decode(surround, "decord")
    stereo = write_sound(folder / "stereo.mp4", tones(0.5, 44_100, 2), rate_hz=44_100, kind=MP4)
    with pytest.raises(MediaError, match=r"stereo\.mp4.*first of 2 channels"):
        decode(stereo, "decord", channels="first")


@pytest.mark.parametrize("decoder", ["pyav", *OTHERS, pytest.param("decord", marks=needs_decord)])
def test_the_tag_is_the_same_with_every_decoder(folder: Path, decoder: str) -> None:
    videos = []
    for label in ("Siren", "White noise", "Dial tone"):
        videos.append(folder / f"{label}.mp4")
        write_video(videos[-1], synthesize(label, 4.0, 44_100, 7), 44_100)
    assert build_tagger("demo", decoder=decoder).tag(videos) == ["Siren", "White noise", "Dial tone"]


@pytest.mark.parametrize("decoder", ["pyav", *OTHERS, pytest.param("decord", marks=needs_decord)])
def test_twenty_milliseconds_are_enough(folder: Path, decoder: str) -> None:
    path = write_sound(folder / "short.mp4", tones(0.02, 44_100), rate_hz=44_100, kind=MP4)
    assert len(decode(path, decoder)) >= 882
    assert build_tagger("demo", decoder=decoder).tag(path) in build_tagger("demo").labels


@pytest.mark.parametrize("decoder", ["pyav", *OTHERS])
@pytest.mark.parametrize("kind", LATE, ids=lambda kind: kind.name)
def test_time_zero_is_the_first_sample(folder: Path, kind: Kind, decoder: str) -> None:
    rate_hz = 48_000
    made = tones(2.0, rate_hz)
    path = folder / f"late-{kind.name}.{kind.extension}"
    write_sound(path, made, rate_hz=rate_hz, kind=kind, starts_seconds=3.0)
    decoded = decode(path, decoder)
    assert abs(lag_of(decoded, made[0], 3 * rate_hz)) <= FRAME
    with open_sound(FileMedia(str(path)), decoder, only_start=True) as sound:
        assert sound is not None
        beginning = np.concatenate(list(sound.blocks(0, rate_hz)))
    np.testing.assert_allclose(beginning, decoded[:rate_hz], atol=1e-3)


@pytest.mark.parametrize("decoder", ["pyav", *OTHERS, pytest.param("decord", marks=needs_decord)])
def test_the_first_of_two_streams_is_decoded(folder: Path, decoder: str) -> None:
    # The second is louder and has the higher rate of bits, which FFmpeg's own choice prefers.
    first, second = tones(2.0, 44_100, 1, seed=1) * 0.5, tones(2.0, 44_100, 2, seed=2)
    path = write_sound(folder / "two.mp4", first, second, rate_hz=44_100, kind=MP4)
    assert relative_error(decode(path, decoder), first[0], 44_100) < 0.02


@pytest.mark.parametrize("decoder", ["pyav", *OTHERS])
def test_bytes_sound_as_the_file_does(folder: Path, decoder: str) -> None:
    path = write_sound(folder / "bytes.mp4", tones(1.0, 44_100), rate_hz=44_100, kind=MP4)
    np.testing.assert_array_equal(decode(path.read_bytes(), decoder), decode(path, decoder))


def test_an_unknown_decoder_is_refused_when_the_tagger_is_built() -> None:
    with pytest.raises(SettingsError, match=r"decoder must be one of .*torchcodec.*pyav.*got 'ffmpeg'"):
        build_tagger("demo", decoder="ffmpeg")


@pytest.mark.parametrize(
    ("decoder", "remedy"),
    [("torchcodec", 'pip install "hf-audio-tagger[fast]"'), ("decord", "pip install decord")],
)
def test_a_decoder_that_is_missing_is_reported_with_the_remedy(
    folder: Path, decoder: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in a worker that has fewer libraries than where the tagger was built."""
    path = write_sound(folder / "missing.wav", tones(0.1, 16_000), rate_hz=16_000, kind=WAV)
    for name in (decoder, f"{decoder}.decoders"):
        monkeypatch.setitem(sys.modules, name, None)
    for module in ("hf_audio_tagger.media.audio", "hf_audio_tagger.media.decoders"):
        monkeypatch.setattr(f"{module}.unavailable_reason", unavailable_reason.__wrapped__)
    with pytest.raises(SettingsError) as caught:
        decode(path, decoder)
    assert str(caught.value) == (
        f"decoder='{decoder}' cannot be used here: {decoder} is not installed; {remedy}."
    )
    assert len(decode(path, "auto")) == 1_600


def test_a_torchcodec_decoder_without_samples_is_an_error() -> None:
    class Nothing:
        metadata = SimpleNamespace(sample_rate=16_000, begin_stream_seconds=0.0, duration_seconds=1.0)

        def get_samples_played_in_range(self, start: float, stop: float | None) -> object:
            return SimpleNamespace(data=torch.zeros(2, 0))

    with pytest.raises(MediaError, match="no sound can be decoded"):
        decode(parse_cell(Nothing())[0])


def test_samples_of_integers_and_channels() -> None:
    floats = tones(0.5, 16_000, 2)
    decoded = decode(parse_cell({"array": floats, "sampling_rate": 16_000})[0])
    np.testing.assert_allclose(decoded, floats.mean(axis=0), atol=1e-7)
    for dtype, scale, middle in ((np.int16, 2**15, 0), (np.int32, 2**31, 0), (np.uint8, 2**7, 2**7)):
        stored = np.round(floats.astype(np.float64) * scale + middle).astype(dtype)
        for array in (stored, stored.T):
            decoded = decode(parse_cell({"array": array, "sampling_rate": 16_000})[0])
            np.testing.assert_allclose(decoded, floats.mean(axis=0), atol=1.5 / scale + 1e-6)


@pytest.mark.parametrize(
    ("rate_hz", "is_taken"), [(999, False), (1_000, True), (768_000, True), (768_001, False)]
)
def test_rates_that_are_read(rate_hz: int, is_taken: bool) -> None:
    samples = tones(0.5, 16_000, 1)[0]
    (media,) = parse_cell({"array": samples, "sampling_rate": rate_hz})
    if is_taken:
        np.testing.assert_array_equal(decode(media), samples)
    else:
        with pytest.raises(MediaError, match=f"its sample rate must be 1000 to 768000 Hz; got {rate_hz}"):
            decode(media)


def test_a_decoder_is_one_file_and_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    def open_other(container: Any, source: Any, name: str, channels: str) -> Any:
        opened.append(name)
        return pyav.open_sound(container, source, name, channels)

    module = SimpleNamespace(import_library=lambda: None, open_sound=open_other)
    monkeypatch.setitem(sys.modules, "hf_audio_tagger.media.decoders.other", module)
    monkeypatch.setitem(DECODERS, "other", Decoder("other", "pip install other", "for a test"))
    path = write_sound(folder / "other.wav", tones(0.1, 16_000), rate_hz=16_000, kind=WAV)
    np.testing.assert_array_equal(decode(path, "other"), decode(path, "pyav"))
    assert opened == [str(path)]


def test_the_names_of_decoders_are_known_without_their_libraries() -> None:
    code = (
        "import sys; from hf_audio_tagger.media.decoders import DECODER_NAMES; print(*DECODER_NAMES,"
        "*{'av', 'torch', 'numpy', 'torchcodec', 'decord'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["auto", "torchcodec", "pyav", "decord"]
    for name in DECODER_NAMES:
        assert build_tagger("demo", decoder=name).decoder == name
