"""`classify_clips` and `Tagger.classify_each`: results one at a time, of every kind of source."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from hf_audio_tagger import ColumnError, MediaError, SettingsError, build_tagger, classify_clips
from hf_audio_tagger.sources import open_source
from hf_audio_tagger.sources.source import SourceError

pytestmark = pytest.mark.timeout(60)

Clips = dict[str, Path]
DEMO = build_tagger("demo", device="cpu", on_error="record")


def names_and_tags(source: Any, **options: Any) -> list[tuple[str, str | None]]:
    return [(clip.name, clip.result.tag) for clip in classify_clips(source, DEMO, **options)]


def test_each_result_comes_before_all_clips_are_read(clips: Clips, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one core, a window at a time: of an endless row of clips a few are taken for each result."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield str(clips["Siren"])

    results = DEMO.classify_each(endless())
    assert [next(results).tag for _ in range(3)] == ["Siren"] * 3
    assert taken <= 6


def test_each_is_what_classify_gives(clips: Clips) -> None:
    tagger = build_tagger("demo", device="cpu", top_k=2, segments=True, on_error="record")
    values = [clips["Siren"], clips["EMPTY"], clips["broken"].read_bytes(), 3, None, clips["Music"]]
    each = list(tagger.classify_each(iter(values)))
    for value, result in zip(values, each, strict=True):
        if value in (3, None):
            assert result.tag is None
            assert result.error is not None
            continue
        [one] = tagger.classify(value)
        assert (result.tag, result.error) == (one.tag, one.error)
        if one.top:
            assert result.top is not None
            assert [label for label, _ in result.top] == [label for label, _ in one.top]
            np.testing.assert_allclose([s for _, s in result.top], [s for _, s in one.top], atol=1e-5)
        assert (result.segments is None) == (one.segments is None)
    with pytest.raises(MediaError, match=r"broken\.mp4"):
        list(build_tagger("demo").classify_each([clips["Siren"], clips["broken"]]))


def test_one_clip_several_and_folders(clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are those that were given; a missing file and one without a suffix are clips too."""
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "music.mp4").write_bytes(clips["Music"].read_bytes())
    (tmp_path / "in" / "notes.txt").write_text("no clip")
    (tmp_path / "siren").write_bytes(clips["Siren"].read_bytes())
    monkeypatch.chdir(tmp_path)
    assert names_and_tags("siren") == [("siren", "Siren")]
    assert names_and_tags("in") == [("in/sub/music.mp4", "Music")]
    given = ["./siren", "in", "gone.mp4", str(clips["EMPTY"])]
    assert names_and_tags(given) == [
        ("./siren", "Siren"),
        ("in/sub/music.mp4", "Music"),
        ("gone.mp4", None),
        (str(clips["EMPTY"]), "EMPTY"),
    ]
    assert names_and_tags(str(clips["Siren"].parent / "s*n.mp4")) == [(str(clips["Siren"]), "Siren")]


def test_tables_datasets_and_streams(clips: Clips, tmp_path: Path) -> None:
    """Rows with several videos and with none; `row` is the row in the source."""
    siren, music = str(clips["Siren"]), str(clips["Music"])
    table = [{"videos": [siren, music]}, {"videos": None}, {"videos": [music]}]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in table))
    expected = [(0, siren, "Siren"), (0, music, "Music"), (2, music, "Music")]
    streamed = open_source(path, streaming=True)
    for source in (path, Dataset.from_list(table), streamed):
        found = [(clip.row, clip.name, clip.result.tag) for clip in classify_clips(source, DEMO)]
        assert found == expected
    assert len(names_and_tags(streamed, limit=1)) == len(names_and_tags(path, limit=1)) == 2


def test_what_is_refused_at_once(clips: Clips, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("video\na.mp4\n")
    (tmp_path / "paths.txt").write_text("a.mp4\n")
    with pytest.raises(SourceError, match=r"rows\.csv is not a clip.*a table is passed alone"):
        classify_clips([clips["Siren"], tmp_path / "rows.csv"], DEMO)
    with pytest.raises(SourceError, match=r"\.txt cannot be read"):
        classify_clips(tmp_path / "paths.txt", DEMO)
    with pytest.raises(SourceError, match="streaming= does not apply"):
        open_source(clips["Siren"], streaming=True)
    with pytest.raises(SourceError, match="list of clips is empty"):
        classify_clips([], DEMO)
    with pytest.raises(ColumnError, match="type int is no video"):
        list(classify_clips(Dataset.from_dict({"video": [1, 2]}), DEMO))
    with pytest.raises(SettingsError, match="sample must be a whole number"):
        classify_clips(tmp_path, DEMO, sample=0)


def test_named_files_are_a_source_of_their_own(clips: Clips, tmp_path: Path) -> None:
    """What is named is read, links too; a name that is not UTF-8 is a row that fails; the place is no part of
    the fingerprint, and a sound among videos makes the column one of sounds."""
    link = tmp_path / "link.mp4"
    link.symlink_to(clips["Siren"])
    odd = b"\xe9.mp4".decode("utf-8", "surrogateescape")
    source = open_source([link, str(tmp_path / odd), "https://example.org/b.webm"])
    assert list(source.features) == ["file_name", "video"]
    assert source.rows(0, 3)["file_name"][1].as_py() == f"{tmp_path}/\\xe9.mp4"
    cells = source.tagger_cells(source.rows(0, 3)["video"], 0).to_pylist()
    assert [cell["path"] for cell in cells] == [
        str(link),
        f"{tmp_path}/\\xe9.mp4",
        "https://example.org/b.webm",
    ]
    assert "not UTF-8" in cells[1]["refused"]
    assert (
        open_source(["/a/x/1.mp4", "/a/y/2.mp4"]).fingerprint
        == open_source(["/b/x/1.mp4", "/b/y/2.mp4"]).fingerprint
    )
    assert (
        open_source(["/a/1.mp4", "/a/2.mp4"]).fingerprint != open_source(["/a/2.mp4", "/a/1.mp4"]).fingerprint
    )
    assert "audio" in open_source(["/a/1.mp4", "/a/2.wav"]).features
