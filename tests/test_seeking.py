"""Decoders read on, seek and stop: a part of a clip is what it is in the whole, and only it is read."""

import io
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from sound_files import (
    KINDS,
    LATE,
    OTHERS,
    Kind,
    decode,
    needs_torchcodec,
    relative_error,
    tones,
    write_sound,
)

from hf_audio_tagger import build_tagger
from hf_audio_tagger.cells import BytesMedia, FileMedia, parse_cell
from hf_audio_tagger.errors import MediaError
from hf_audio_tagger.media.audio import open_sound


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("decode")


class CountingFile(io.BytesIO):
    """Counts the bytes that are read out of it."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data


@pytest.fixture(scope="module")
def long_clips(folder: Path) -> Callable[[str], tuple[Path, int]]:
    """Half a minute in a container, made when it is first asked for."""
    made: dict[str, tuple[Path, int]] = {}
    kinds = {kind.name: kind for kind in (*KINDS.values(), *LATE, Kind("mkv", "libmp3lame", "s16p", False))}

    def make(name: str) -> tuple[Path, int]:
        if name not in made:
            kind = kinds[name]
            rate_hz = 48_000 if kind.codec == "libopus" else 44_100
            sound = tones(21.3, rate_hz, 1, seed=3)
            if kind.codec == "vorbis":
                sound = np.repeat(sound, 2, axis=0)  # FFmpeg encodes stereo only
            made[name] = (
                write_sound(folder / f"long-{name}.{kind.extension}", sound, rate_hz=rate_hz, kind=kind),
                rate_hz,
            )
        return made[name]

    return make


SEEKABLE = [
    "mp4-aac",
    "mkv-aac",
    "mkv-libmp3lame",
    "webm-libopus",
    "avi-libmp3lame",
    "mov-pcm_s16le",
    "ogg-vorbis",
    "mp3-libmp3lame",
    "flac-flac",
    "wav-pcm_s16le",
]


@pytest.mark.parametrize("name", SEEKABLE)
@pytest.mark.parametrize("decoder", ["pyav", *OTHERS])
def test_seeking_equals_walking(
    long_clips: Callable[[str], tuple[Path, int]], name: str, decoder: str
) -> None:
    path, rate_hz = long_clips(name)
    whole = decode(path, decoder)
    with open_sound(FileMedia(str(path)), decoder) as sound:
        assert sound is not None
        for start_seconds in (5, 12.34567, 17, 20.9, 0.3, 21.2, 0, 60):
            start = round(start_seconds * rate_hz)
            part = np.concatenate([np.zeros(0, np.float32), *sound.blocks(start, start + rate_hz)])
            # AAC fills bands with random noise, which differs where the beginning is decoded a second time.
            atol = 5e-3 if start_seconds == 0 else 1e-4
            expected = whole[start : start + rate_hz]
            np.testing.assert_allclose(part, expected, atol=atol, err_msg=str(start_seconds))


@pytest.mark.parametrize("name", ["mp4-aac", "mkv-aac", "ogg-vorbis", "wav-pcm_s16le"])
def test_only_what_is_decoded_is_read(
    long_clips: Callable[[str], tuple[Path, int]], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, rate_hz = long_clips(name)
    size = path.stat().st_size
    file = CountingFile(path.read_bytes())
    monkeypatch.setattr("hf_audio_tagger.media.audio.open_source", lambda media, token: file)
    with open_sound(FileMedia("counted"), "auto", only_start=True) as sound:
        assert sound is not None
        decoded = sum(len(block) for block in sound.blocks(0, 2 * rate_hz))
    assert decoded == 2 * rate_hz
    assert file.count < 0.1 * size + 150_000
    assert file.closed  # a connection, where it is remote


@needs_torchcodec
def test_torchcodec_decodes_only_the_beginning(long_clips: Callable[[str], tuple[Path, int]]) -> None:
    """Its own decoder is asked for the window and no more."""
    import torchcodec.decoders

    path, rate_hz = long_clips("mp4-aac")
    decoder = torchcodec.decoders.AudioDecoder(str(path))
    asked: list[float] = []

    class Watched:
        metadata = decoder.metadata

        def get_samples_played_in_range(self, start: float, stop: float | None) -> object:
            asked.append(np.inf if stop is None else stop)
            return decoder.get_samples_played_in_range(start, stop)

    with open_sound(parse_cell(Watched())[0]) as sound:
        assert sound is not None
        decoded = np.concatenate(list(sound.blocks(0, rate_hz)))
        assert len(decoded) == rate_hz
        assert [stop < 1.5 for stop in asked] == [True]
        # The rest is decoded once, however often it is asked for: no block begins again at the clip's start.
        blocks = list(sound.blocks())
        parts = [np.concatenate(list(sound.blocks(at, at + rate_hz))) for at in (0, 5 * rate_hz, 9 * rate_hz)]
    assert len(asked) == 2
    whole = decoder.get_all_samples().data.numpy().mean(axis=0)
    np.testing.assert_allclose(np.concatenate(blocks)[4096:], whole[4096:], atol=1e-5)
    for part, at in zip(parts, (0, 5 * rate_hz, 9 * rate_hz), strict=True):
        np.testing.assert_array_equal(part, np.concatenate(blocks)[at : at + rate_hz])


def test_blocks_are_bounded(
    long_clips: Callable[[str], tuple[Path, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = long_clips("mp4-aac")
    monkeypatch.setattr("hf_audio_tagger.media.decoders.pyav.BLOCK_VALUES", 10_000)
    with open_sound(FileMedia(str(path)), "pyav") as sound:
        assert sound is not None
        blocks = list(sound.blocks())
    assert max(map(len, blocks)) < 12_000
    np.testing.assert_array_equal(np.concatenate(blocks), decode(path))


def two_in_one(folder: Path, kind: Kind, one: tuple[int, int], other: tuple[int, int]) -> Path:
    """A stream that changes: two files of a kind without a header, one behind the other."""
    parts = []
    for place, (rate_hz, channels) in enumerate((one, other)):
        part = folder / f"part{place}.{kind.extension}"
        container_format = "adts" if kind.extension == "aac" else None
        made = tones(1.0, rate_hz, channels)
        write_sound(part, made, rate_hz=rate_hz, kind=kind, container_format=container_format)
        parts.append(part.read_bytes())
    path = folder / f"changes-{one}-{other}.{kind.extension}"
    path.write_bytes(b"".join(parts))
    return path


AAC = Kind("aac", "aac", "fltp", False)


def test_a_rate_that_changes_is_an_error(folder: Path) -> None:
    path = two_in_one(folder, AAC, (44_100, 1), (22_050, 1))
    with pytest.raises(MediaError, match=r"changes.*44100 to 22050"):
        decode(path)


@pytest.mark.parametrize("decoder", ["pyav", "auto"])
def test_channels_may_change(folder: Path, decoder: str) -> None:
    path = two_in_one(folder, AAC, (44_100, 1), (44_100, 2))
    decoded = decode(path, decoder)
    second = tones(1.0, 44_100, 2).mean(axis=0)
    assert len(decoded) >= 2 * 44_100
    assert relative_error(decoded[-len(second) - 1024 :], second, 44_100) < 0.1


@needs_torchcodec
def test_auto_decodes_what_torchcodec_fails_on(folder: Path) -> None:
    data = bytearray(
        write_sound(
            folder / "damaged.mp3", tones(2.0, 44_100), rate_hz=44_100, kind=KINDS["mp3-libmp3lame"]
        ).read_bytes()
    )
    random = np.random.default_rng(0)
    for start in range(5_000, len(data) - 100, 1_500):
        data[start : start + 40] = random.bytes(40)
    with pytest.raises(MediaError, match=r"torchcodec cannot decode"):
        decode(bytes(data), "torchcodec")
    with open_sound(BytesMedia(bytes(data)), "auto", only_start=True) as sound:
        assert sound is not None
        decoded = np.concatenate(list(sound.blocks(0, 40_000)))
    np.testing.assert_array_equal(decoded, decode(bytes(data), "pyav")[:40_000])


def test_windows_of_a_clip_that_claims_to_be_longer(folder: Path) -> None:
    """ADTS has no length: FFmpeg guesses one from the first frames, here three times too long."""
    quiet, loud = np.zeros((1, 44_100), np.float32), tones(6.0, 44_100)
    loud[:, 44_100:] += 0.1 * np.random.default_rng(0).standard_normal(loud[:, 44_100:].shape).astype(
        np.float32
    )
    made = np.concatenate([quiet, loud], axis=1)
    path = write_sound(folder / "guess.aac", made, rate_hz=44_100, kind=AAC, container_format="adts")
    with av.open(str(path)) as container:
        stated = float(container.streams.audio[0].duration * container.streams.audio[0].time_base)
    tagger = build_tagger("demo", windows=2, segments=True, hop_seconds=None)
    result = tagger.classify(path)[0]
    assert result.tag in tagger.labels
    assert result.segments is not None
    assert result.segments[-1].end <= 7.2 < max(stated, 8)
