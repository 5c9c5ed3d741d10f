"""Rows that come with tags, in every form that `map` hands rows over; and columns with unusual names."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, Features, List, Value

from hf_audio_tagger import ColumnError, SettingsError, build_tagger

Clips = dict[str, Path]
TEXTS = List(Value("string"))


@pytest.fixture
def tagged(clips: Clips) -> Dataset:
    """Two videos a row: not tagged yet, tagged, with an error recorded, without videos."""
    siren, music = str(clips["Siren"]), str(clips["Music"])
    rows = {
        "videos": [[siren, music], ["/gone.mp4", "/too.mp4"], [music, siren], []],
        "video_audio_tags": [None, ["Kept", "tags"], ["Old", None], []],
        "video_audio_error": [None, [None, None], [None, "it could not be read"], []],
        "caption": ["a", "b", "c", "d"],
    }
    types = {"videos": TEXTS, "video_audio_tags": TEXTS, "video_audio_error": TEXTS}
    return Dataset.from_dict(rows, Features({**types, "caption": Value("string")}))


EXPECTED = [["Siren", "Music"], ["Kept", "tags"], ["Music", "Siren"], []]
ERRORS = [[None, None], [None, None], [None, None], []]


def formatted(name: str | None) -> Callable[..., Any]:
    return lambda rows, batched, **settings: (
        rows.with_format(name)
        .map(build_tagger("demo", batched=batched, **settings), batched=batched)
        .with_format(None)
    )


def streamed(name: str | None) -> Callable[..., Any]:
    return lambda rows, batched, **settings: list(
        rows.to_iterable_dataset()
        .with_format(name)
        .map(build_tagger("demo", batched=batched, **settings), batched=batched)
        .with_format(None)
    )


FORMS = {
    "plain": formatted(None),
    "numpy": formatted("numpy"),
    "torch": formatted("torch"),
    "arrow": formatted("arrow"),
    "streamed": streamed(None),
    "streamed numpy": streamed("numpy"),
    "streamed arrow": streamed("arrow"),
}


def as_python(rows: Iterable[Any]) -> list[Any]:
    return json.loads(json.dumps(list(rows), default=lambda array: array.tolist()))  # type: ignore[no-any-return]


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_tags_that_rows_come_with_are_kept_in_every_form(tagged: Dataset, form: str, batched: bool) -> None:
    rows = as_python(FORMS[form](tagged, batched))
    assert [row["video_audio_tags"] for row in rows] == EXPECTED
    assert [row["video_audio_error"] for row in rows] == ERRORS
    assert [row["caption"] for row in rows] == ["a", "b", "c", "d"]


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_every_column_that_is_kept_stays_as_it_is(clips: Clips, form: str, batched: bool) -> None:
    siren, music, silent = (str(clips[label]) for label in ("Siren", "Music", "EMPTY"))
    rows = Dataset.from_dict({"videos": [[siren, music], [silent], [], [music]]}, Features({"videos": TEXTS}))
    columns: dict[str, Any] = {
        "top_k": 2,
        "segments": True,
        "embeddings": True,
        "on_error": "record",
        "device": "cpu",
    }
    first = rows.map(build_tagger("demo", **columns))
    assert as_python(FORMS[form](first, batched, **columns)) == first.to_list()


def test_columns_that_are_called_like_the_parts_of_a_cell(clips: Clips) -> None:
    rows = {"path": [str(clips["Siren"]), str(clips["Music"])], "bytes": [b"1", b"2"]}
    for batched in (False, True):
        tagger = build_tagger("demo", column="path", batched=batched)
        for given in (Dataset.from_dict(rows), Dataset.from_dict(rows).to_iterable_dataset()):
            tagged = given.map(tagger, batched=batched)
            assert [row["video_audio_tags"] for row in tagged] == [["Siren"], ["Music"]]


@pytest.mark.parametrize("name", [None, "numpy", "arrow"])
def test_the_error_of_a_missing_column_lists_the_existing_ones(name: str | None) -> None:
    rows = Dataset.from_dict({"clip": ["a.txt"], "label": ["x"]}).with_format(name)
    with pytest.raises(ColumnError, match=r"no column 'video' or 'videos' or 'audio'.*'clip', 'label'"):
        rows.map(build_tagger("demo"))


def test_frames_of_pandas_are_refused_with_advice(clips: Clips) -> None:
    rows = Dataset.from_dict({"video": [str(clips["Siren"])]}).with_format("pandas")
    for batched in (False, True):
        with pytest.raises(SettingsError, match=r"with_format\(None\)"):
            rows.map(build_tagger("demo"), batched=batched)


def test_a_clip_without_sound_has_nothing_in_the_columns_that_are_asked_for(clips: Clips) -> None:
    every = build_tagger("demo", top_k=2, segments=True, embeddings=True)
    (row,) = Dataset.from_dict({"video": [str(clips["EMPTY"])]}).map(every).remove_columns("video").to_list()
    assert row == {
        "video_audio_tags": ["EMPTY"],
        "video_audio_top": [[]],
        "video_audio_segments": [[]],
        "video_audio_embedding": [None],
    }
    (result,) = build_tagger("demo").classify(clips["EMPTY"])
    assert (result.top, result.segments, result.embedding) == (None, None, None)


def test_the_columns_hold_the_result(clips: Clips) -> None:
    every = build_tagger("demo", top_k=2, segments=True, embeddings=True)
    (result,) = every.classify(clips["Siren"])
    (row,) = Dataset.from_dict({"video": [str(clips["Siren"])]}).map(every).to_list()
    assert row["video_audio_tags"] == [result.tag] == ["Siren"]
    (top,), (segments,), (embedding,) = (
        row[f"video_audio_{name}"] for name in ("top", "segments", "embedding")
    )
    assert result.top
    assert result.segments
    assert result.embedding is not None
    assert [one["label"] for one in top] == [label for label, _ in result.top]
    assert [one["score"] for one in top] == pytest.approx([score for _, score in result.top])
    assert len(segments) == len(result.segments)
    for one, segment in zip(segments, result.segments, strict=True):
        assert one["label"] == segment.label
        assert [one[name] for name in ("start", "end", "score")] == pytest.approx(
            [segment.start, segment.end, segment.score]
        )
    assert embedding == pytest.approx(result.embedding.tolist())
