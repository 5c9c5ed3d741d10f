"""Errors while a clip is read: a decoder's are the clip's own, an exhausted resource ends the run."""

import errno
import os
import pickle
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import av
import pytest
import zero_model
from sound_files import KINDS, Kind, tones, write_sound
from zero_model import files_at_most, with_room_for

from hf_audio_tagger import build_tagger
from hf_audio_tagger.cells import Media
from hf_audio_tagger.errors import MediaError, ResourceError, RunError, SettingsError
from hf_audio_tagger.media import audio, failures
from hf_audio_tagger.media.audio import open_sound
from hf_audio_tagger.media.decoders import unavailable_reason
from hf_audio_tagger.media.failures import convert_clip_errors

many = zero_model.many

DECODERS = [
    pytest.param(name, marks=pytest.mark.skipif(bool(unavailable_reason(name)), reason=name))
    for name in ("auto", "pyav", "torchcodec", "decord")
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("failures")


@pytest.fixture(scope="module")
def mp4(folder: Path) -> bytes:
    path = write_sound(folder / "a.mp4", tones(0.5, 16_000), rate_hz=16_000, kind=KINDS["mp4-aac"])
    return path.read_bytes().replace(b"esds", b"free")  # which would name the codec once more


def with_sample_entry(mp4: bytes, code: bytes) -> bytes:
    assert mp4.count(b"mp4a") == 1
    return mp4.replace(b"mp4a", code)


def with_wav_tag(folder: Path, tag: int) -> bytes:
    path = write_sound(folder / "a.wav", tones(0.5, 16_000), rate_hz=16_000, kind=KINDS["wav-pcm_s16le"])
    data = bytearray(path.read_bytes())
    at = data.index(b"fmt ") + 8
    data[at : at + 2] = tag.to_bytes(2, "little")
    return bytes(data)


def with_codec_id(folder: Path, codec_id: bytes) -> bytes:
    kind = Kind("mkv", "aac", "fltp", False)
    data = write_sound(folder / "a.mkv", tones(0.5, 16_000), rate_hz=16_000, kind=kind).read_bytes()
    assert data.count(b"A_AAC") == 1
    return data.replace(b"A_AAC", codec_id)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("windows", ["first", "all"])
def test_a_codec_without_a_decoder_is_the_clips_error(
    folder: Path, mp4: bytes, decoder: str, windows: str
) -> None:
    made = {
        "ac4": with_sample_entry(mp4, b"ac-4"),
        **{code: with_sample_entry(mp4, code.encode()) for code in ("mha1", "mhm1", "apac", "enca", "zzzz")},
        "0x1234": with_wav_tag(folder, 0x1234),
        "unknown": with_codec_id(folder, b"A_QQQ"),
    }
    for codec, data in made.items():
        path = folder / f"{codec}.media"
        path.write_bytes(data)
    tagger = build_tagger("demo", decoder=decoder, windows=windows, on_error="record")
    results = tagger.classify([str(folder / f"{codec}.media") for codec in made])
    for codec, result in zip(made, results, strict=True):
        assert result.tag is None
        assert result.error is not None
        assert f"{codec}.media" in result.error
        if decoder != "torchcodec":  # which asks another FFmpeg
            words = "4[18][0][0]" if codec == "0x1234" else codec
            assert "FFmpeg has no decoder" in result.error
            assert words in result.error.partition("no decoder")[2]
    with pytest.raises(MediaError, match=r"ac4\.media"):
        build_tagger("demo", decoder=decoder).tag(str(folder / "ac4.media"))


def test_the_first_stream_alone_has_no_decoder(folder: Path) -> None:
    kind = Kind("mkv", "aac", "fltp", False)
    path = write_sound(folder / "two.mkv", tones(0.5, 16_000), tones(0.5, 16_000), rate_hz=16_000, kind=kind)
    path.write_bytes(path.read_bytes().replace(b"A_AAC", b"A_QQQ", 1))
    with pytest.raises(MediaError, match=r"two\.mkv.*no decoder.*2 audio streams, the first is used"):
        build_tagger("demo").tag(path)


def test_the_codec_is_named_without_output_of_ffmpegs_log(
    mp4: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(MediaError):
        build_tagger("demo").tag(with_sample_entry(mp4, b"ac-4"))
    assert av.logging.get_level() is None
    assert capfd.readouterr().err == ""


class Unforeseen(Exception):  # noqa: N818
    pass


@pytest.mark.parametrize("place", ["audio.open_container", "decoders.pyav.PyavSound"])
def test_an_unforeseen_error_is_the_clips(folder: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    good = write_sound(folder / "good.wav", tones(0.5, 16_000), rate_hz=16_000, kind=KINDS["wav-pcm_s16le"])
    bad = shutil.copy(good, folder / "bad.wav")
    module, _, function = f"hf_audio_tagger.media.{place}".rpartition(".")
    original = getattr(import_module(module), function)

    def fail(source: Any, name: str, *rest: Any, **options: Any) -> Any:
        if name.endswith("bad.wav"):
            raise Unforeseen("a surprise")
        return original(source, name, *rest, **options)

    monkeypatch.setattr(f"hf_audio_tagger.media.{place}", fail)
    tagger = build_tagger("demo", decoder="pyav", on_error="record")
    results = tagger.classify([str(bad), str(good)])
    assert results[0].error == f"{bad}: decoding it failed (Unforeseen: a surprise)."
    assert results[1].tag is not None
    with pytest.raises(MediaError, match="Unforeseen"):
        build_tagger("demo", decoder="pyav").tag(str(bad))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), SettingsError("x"), RunError("x")])
def test_what_is_not_the_clips_error_passes(error: BaseException) -> None:
    with pytest.raises(type(error)), convert_clip_errors("a.mp4"):
        raise error


@pytest.mark.parametrize("decoder", DECODERS)
def test_too_many_open_files_end_the_run(
    many: list[Media], decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = audio.open_container

    def open_none(source: Any, name: str, **options: Any) -> Any:
        with files_at_most(0 if name.endswith("many1.wav") else with_room_for(24)):
            return original(source, name, **options)

    monkeypatch.setattr(audio, "open_container", open_none)
    tagger = build_tagger("demo", decoder=decoder, on_error="record", batched=True)
    assert tagger.tag(many[0].name) is not None
    with pytest.raises(ResourceError, match=r"many1\.wav.*too many files are open.*ulimit -n"):
        tagger({"video": [many[0].name, many[1].name]})


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EMFILE, "ulimit"), (errno.ENFILE, "ulimit"), (errno.ENOSPC, "disk"), (errno.EDQUOT, "disk")],
)
def test_what_runs_out_while_a_decoder_reads(
    folder: Path, many: list[Media], decoder: str, number: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard has opened the file already: now a decoder, or its library, reports it in its own words."""
    if decoder == "torchcodec":
        target, error = (
            "torchcodec.decoders.AudioDecoder",
            RuntimeError(f"'x.cpp:41, Could not open input file: a.mp4 {os.strerror(number)}'"),
        )
    elif decoder == "decord":
        target, error = "decord.AudioReader", RuntimeError(f"ERROR opening: a.mp4, {os.strerror(number)}")
    else:
        target, error = "hf_audio_tagger.media.decoders.pyav.PyavSound", ffmpeg_error(number)

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(target, fail)
    with pytest.raises(ResourceError, match=words), convert_clip_errors("a.wav"):  # noqa: SIM117
        with open_sound(many[0], decoder, only_start=False):
            pass


def ffmpeg_error(number: int) -> Exception:
    try:
        av.error.err_check(-number)
    except av.error.FFmpegError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize("error", [MemoryError(), ffmpeg_error(errno.ENOMEM), RuntimeError("std::bad_alloc")])
def test_memory_that_only_a_wild_header_lacks_is_the_clips_error(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MediaError, match=r"a\.mp4"), convert_clip_errors("a.mp4"):
        raise error
    monkeypatch.setattr(failures, "is_memory_short", lambda: True)
    with pytest.raises(ResourceError, match=r"a\.mp4.*memory.*batch_size"), convert_clip_errors("a.mp4"):
        raise error


def test_memory_is_short_where_the_system_gives_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not failures.is_memory_short()
    monkeypatch.setattr(failures, "SPARE_BYTES", 1 << 60)
    assert failures.is_memory_short()


def test_a_damaged_packet_for_want_of_memory_is_not_skipped(
    many: list[Media], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "is_memory_short", lambda: True)

    class Starved:
        def decode(self) -> Any:
            raise ffmpeg_error(errno.ENOMEM)

    with open_sound(many[0], "pyav") as sound:
        assert sound is not None
        monkeypatch.setattr(sound, "container", type("C", (), {"demux": lambda *_: [Starved()]})())
        with pytest.raises(ResourceError), convert_clip_errors("a.wav"):
            list(sound.decode_frames())  # type: ignore[attr-defined]


def test_a_file_called_like_an_error_ends_nothing(folder: Path) -> None:
    path = folder / f"{os.strerror(errno.EMFILE)}"
    path.write_bytes(b"no video" * 100)
    for decoder in ("auto", "pyav"):
        result = build_tagger("demo", decoder=decoder, on_error="record").classify(path)[0]
        assert result.error is not None
    missing = build_tagger("demo", on_error="record").classify(folder / "x" / os.strerror(errno.EMFILE))[0]
    assert "No such file" in str(missing.error)


def test_the_text_of_our_own_errors_is_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    """They begin with the file's name."""
    monkeypatch.setattr(failures, "is_memory_short", lambda: True)
    for name in ("bad_alloc.mp4", f"{os.strerror(errno.ENOMEM)}.mp4"):
        with pytest.raises(MediaError, match="it is empty"), convert_clip_errors(name):
            raise MediaError(f"{name}: it is empty (0 bytes).")
    with pytest.raises(MediaError), convert_clip_errors("x"):
        raise MediaError(f"the zip holds no file {os.strerror(errno.EMFILE)!r}")


def test_a_disks_own_error_is_the_clips() -> None:
    """A bad sector lies in one file; the next one can be read."""
    with pytest.raises(MediaError), convert_clip_errors("a.mp4"):
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_decoder_that_could_not_load_for_want_of_files_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import builtins

    unavailable_reason.cache_clear()
    original = builtins.__import__

    def fail(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("torchcodec"):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return original(name, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(builtins, "__import__", fail)
        with pytest.raises(ResourceError), convert_clip_errors("a.mp4"):
            unavailable_reason("torchcodec")
    unavailable_reason("torchcodec")  # not the cached error


def test_it_is_a_runs_error_and_travels() -> None:
    error = pickle.loads(pickle.dumps(ResourceError("too many files")))
    assert isinstance(error, RunError)
    assert str(error) == "too many files"
