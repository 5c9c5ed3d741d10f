"""A clip's bytes in several rows, under several names, are heard once; no file is read for that in vain."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
from sound_files import KINDS, write_sound

from hf_audio_tagger import build_tagger, memo
from hf_audio_tagger import chunks as listen
from hf_audio_tagger.cells import BytesMedia, FileMedia, Media
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.measures.base import Measure
from hf_audio_tagger.memo import contents
from hf_audio_tagger.runs import load_result, tag_dataset

RATE_HZ = 16_000


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    memo.clear()


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the clips that are opened, in order."""
    names: list[str] = []
    opened = listen.open_sound
    monkeypatch.setattr(
        listen, "open_sound", lambda media, *rest: names.append(media.name) or opened(media, *rest)
    )
    return names


@pytest.fixture
def read_bytes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes were read to compare contents, each time."""
    counts: list[int] = []
    read = contents.FileContent.read

    def count(self: contents.FileContent, parts: Sequence[tuple[int, int]]) -> list[bytes] | None:
        found = read(self, parts)
        counts.append(sum(map(len, found or [])))
        return found

    monkeypatch.setattr(contents.FileContent, "read", count)
    return counts


def write_wav(path: Path, label: str, seconds: float = 2.0) -> Path:
    """Any two of these files of the same length have the same size."""
    samples = synthesize(label, seconds, RATE_HZ, 3)[None, : int(seconds * RATE_HZ)]
    return write_sound(path, samples, rate_hz=RATE_HZ, kind=KINDS["wav-pcm_s16le"])


def identify(*media: Media) -> list[Any]:
    return memo.identify_contents(media)


def test_the_same_bytes_under_several_names_are_heard_once(
    tmp_path: Path, heard: list[str], read_bytes: list[int]
) -> None:
    first = write_wav(tmp_path / "a.wav", "Siren")
    others = [tmp_path / "b.wav", tmp_path / "sub" / "c.wav"]
    others[1].parent.mkdir()
    for other in others:
        other.write_bytes(first.read_bytes())
    longer = write_wav(tmp_path / "longer.wav", "Music", 3.0)
    cells = [first, *others, longer, first.read_bytes(), {"path": "d.wav", "bytes": first.read_bytes()}]
    tagger = build_tagger("demo", top_k=3, embeddings=True)
    results = tagger.classify(cells)
    assert heard == [str(first), str(longer)]
    assert [result.tag for result in results] == ["Siren"] * 3 + ["Music"] + ["Siren"] * 2
    (alone,) = build_tagger("demo", top_k=3, embeddings=True).classify(others[0])
    for index in (0, 1, 2, 4, 5):
        assert results[index].top == alone.top
        assert np.array_equal(results[index].embedding, alone.embedding)  # type: ignore[arg-type]
    assert sum(read_bytes) <= 3 * 2 * first.stat().st_size  # the longer one was not read


def test_a_name_that_comes_later_is_known_too(
    tmp_path: Path, heard: list[str], read_bytes: list[int]
) -> None:
    first, other = write_wav(tmp_path / "a.wav", "Siren"), tmp_path / "b.wav"
    tagger = build_tagger("demo")
    assert tagger.tag(first) == "Siren"
    assert not read_bytes  # no other of its size was seen
    other.write_bytes(first.read_bytes())
    assert tagger.tag(other) == tagger.tag(other.read_bytes()) == "Siren"
    assert heard == [str(first)]
    write_wav(other, "White noise")
    assert [tagger.tag(first), tagger.tag(other)] == ["Siren", "White noise"]
    assert heard == [str(first), str(other)]


def test_links_to_a_file_need_no_reading(tmp_path: Path, heard: list[str], read_bytes: list[int]) -> None:
    first = write_wav(tmp_path / "a.wav", "Siren")
    (tmp_path / "soft.wav").symlink_to(first)
    os.link(first, tmp_path / "hard.wav")
    names = ["a.wav", "soft.wav", "hard.wav"]
    assert build_tagger("demo").tag([tmp_path / name for name in names]) == ["Siren"] * 3
    assert (heard, read_bytes) == ([str(first)], [])


def test_files_of_one_size_are_told_apart_by_as_little_as_it_takes(
    tmp_path: Path, heard: list[str], read_bytes: list[int]
) -> None:
    labels = ["Siren", "White noise", "Music"]
    paths = [write_wav(tmp_path / f"{label}.wav", label, 10.0) for label in labels]
    assert len({path.stat().st_size for path in paths}) == 1
    assert build_tagger("demo").tag(paths) == labels
    assert len(heard) == 3
    assert read_bytes == [2 * contents.END_BYTES] * 3  # of 320 kB each


def test_what_differs_in_the_middle_alone_is_another_content(tmp_path: Path, read_bytes: list[int]) -> None:
    data = bytearray(b"RIFF" + bytes(400_000))
    paths = [tmp_path / f"{number}.wav" for number in range(4)]
    for number, path in enumerate(paths):
        data[200_000] = number % 2
        path.write_bytes(data)
    first, second, third, fourth = identify(*(FileMedia(str(path)) for path in paths))
    assert (first, second) == (third, fourth)
    assert first != second
    assert identify(BytesMedia(bytes(data))) == [second]
    assert read_bytes.count(len(data)) == 4


def test_a_large_file_is_not_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_bytes: list[int]
) -> None:
    monkeypatch.setattr(contents, "MOST_READ_BYTES", 300_000)
    for name in "ab":
        (tmp_path / f"{name}.wav").write_bytes(b"RIFF" + bytes(400_000))
    first, second = identify(*(FileMedia(str(tmp_path / f"{name}.wav")) for name in "ab"))
    assert first != second
    assert max(read_bytes) == 2 * contents.END_BYTES


def test_a_name_counts_where_the_content_does_not_say_what_it_is(tmp_path: Path) -> None:
    """FFmpeg guesses such a format, and the name's suffix weighs in."""
    data = b"\xff\xfb\x90\x64" + bytes(1000)
    names = ["a.mp3", "b.mp3", "c.aac"]
    for name in names:
        (tmp_path / name).write_bytes(data)
    mp3, other_mp3, aac, in_memory = identify(
        *(FileMedia(str(tmp_path / name)) for name in names), BytesMedia(data)
    )
    assert mp3 == other_mp3
    assert len({mp3, aac, in_memory}) == 3


def test_a_file_that_changes_while_it_is_compared_is_like_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / "a.wav", tmp_path / "b.wav"]
    for path in paths:
        path.write_bytes(b"RIFF" + bytes(1000))
    read = contents.FileContent.read

    def grow(self: contents.FileContent, parts: Sequence[tuple[int, int]]) -> list[bytes] | None:
        with open(paths[1], "ab") as file:
            file.write(b"more")
        return read(self, parts)

    monkeypatch.setattr(contents.FileContent, "read", grow)
    first, second = identify(*(FileMedia(str(path)) for path in paths))
    assert first != second


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.timeout(30)
def test_a_file_that_changes_before_it_is_heard_gives_its_tag_to_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (write_wav(tmp_path / name, "Siren") for name in ("first.wav", "second.wav"))
    opened = listen.open_sound

    def write_and_open(media: Media, *rest: Any) -> Any:
        if media.name == str(first):
            write_wav(first, "White noise")
        return opened(media, *rest)

    monkeypatch.setattr(listen, "open_sound", write_and_open)
    tagger = build_tagger("demo")
    assert tagger.tag([str(first), str(second)]) == ["White noise", "Siren"]
    assert tagger.tag([str(second), str(first)]) == ["Siren", "White noise"]


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    for name in "ab":
        os.mkfifo(tmp_path / f"{name}.wav")
    results = build_tagger("demo", on_error="record").classify([tmp_path / "a.wav", tmp_path / "b.wav"])
    for name, result in zip("ab", results, strict=True):
        assert f"{name}.wav: it is not a regular file" in str(result.error)


def test_an_error_names_its_own_file_and_is_not_kept(tmp_path: Path, heard: list[str]) -> None:
    names = ["a.mp4", "b.mp4", "c.mp4"]
    for name in names:
        (tmp_path / name).write_bytes(b"this is no video" * 50)
    paths: list[Any] = [tmp_path / name for name in names]
    tagger = build_tagger("demo", on_error="record")
    results = tagger.classify([*paths, paths[1], {"path": "d.mp4", "bytes": paths[0].read_bytes()}])
    for name, result in zip([*names, "b.mp4", "d.mp4"], results, strict=True):
        assert result.tag is None
        assert f"{name}: it is no readable media file" in str(result.error)
        assert not any(other in str(result.error) for other in {*names, "d.mp4"} - {name})
    heard.clear()
    assert tagger.classify(paths[2])[0].error == results[2].error
    assert heard == [str(paths[2])]
    with pytest.raises(Exception, match=r"b\.mp4: "):
        build_tagger("demo").tag(paths[1])


def test_a_run_hears_the_rows_of_a_batch_once(tmp_path: Path, heard: list[str]) -> None:
    first = write_wav(tmp_path / "a.wav", "Siren")
    for name in "bcd":
        (tmp_path / f"{name}.wav").write_bytes(first.read_bytes())
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(f'{{"video": "{tmp_path / name}.wav"}}\n' for name in "abcd"))
    tag_dataset(rows, tmp_path / "out", build_tagger("demo", batch_size=2, device="cpu"))
    assert load_result(tmp_path / "out")["video_audio_tags"][:] == [["Siren"]] * 4
    assert heard == [str(tmp_path / f"{name}.wav") for name in "ac"]  # a batch has two rows


class Length(Measure):
    name: ClassVar[str] = "video_length"
    value_type: ClassVar[pa.DataType] = pa.int64()
    of_content: ClassVar[bool] = True
    measured: ClassVar[list[str]] = []

    def measure(self, media: Media) -> int:
        self.measured.append(media.name)
        assert isinstance(media, FileMedia)
        size = os.path.getsize(media.path)
        if size < 10:
            from hf_audio_tagger.errors import MediaError

            raise MediaError(f"{media.name}: it is short.")
        return size


def test_a_measure_takes_the_same_video_once_and_names_each_that_fails(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.mp4", "b.mp4", "short.mp4", "short2.mp4")]
    for path in paths:
        path.write_bytes(b"short" if "short" in path.name else bytes(100))
    measure = Length(on_error="record")
    found = measure.measure_all([FileMedia(str(path)) for path in paths])
    assert [one.value for one in found] == [100, 100, None, None]
    assert [str(path) for path in (paths[0], *paths[2:])] == Length.measured
    assert [one.error for one in found[2:]] == [f"{path}: it is short." for path in paths[2:]]


class NameLength(Measure):
    name: ClassVar[str] = "video_name_length"
    value_type: ClassVar[pa.DataType] = pa.int64()

    def measure(self, media: Media) -> int:
        return len(Path(media.name).name)


def test_a_measure_of_names_takes_each_name(tmp_path: Path) -> None:
    names = ["a.mp4", "long.mp4", "a.mp4"]
    for name in names:
        (tmp_path / name).write_bytes(bytes(100))
    assert NameLength().compute([tmp_path / name for name in names]) == [5, 8, 5]
