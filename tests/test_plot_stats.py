"""`plot_stat`: what is drawn of a stat, from whatever holds it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, DatasetDict, Features, Json, List, Value
from matplotlib.figure import Figure

from hf_audio_tagger.errors import ColumnError, SettingsError
from hf_audio_tagger.plot import plot_stat
from hf_audio_tagger.recipes import Analysis

ROWS = [[0.1], [0.25, 3.0], [], [None, 0.0], [0.2, 0.24], [7.5]]
STATS = "__dj__stats__"


def legend(figure: Figure) -> list[str]:
    labels: list[str] = figure.axes[0].get_legend_handles_labels()[1]
    return labels


def bars(figure: Figure) -> int:
    return round(sum(patch.get_height() for patch in figure.axes[0].patches))  # type: ignore[attr-defined]


def make_sources(folder: Path) -> dict[str, Any]:
    path = folder / "res_stats.jsonl"
    path.write_text("".join(json.dumps({STATS: {"a": 1, "score": row}}) + "\n" for row in ROWS))
    kind = Features({STATS: Json()})
    typed = Features({"score": List(Value("float64")), "other": Value("int64")})
    empty: Any = {}
    analysis = Analysis(6, (), (), 6, empty, {"score": ROWS}, empty, (), None)
    column = Dataset.from_dict({"score": ROWS, "other": [1] * 6}, features=typed)
    return {
        "lists": {"score": ROWS},
        "column": column,
        "numpy": column.with_format("numpy"),
        "stream": column.to_iterable_dataset(),
        "stats": Dataset.from_list([{STATS: {"score": row}} for row in ROWS]),
        "json": Dataset.from_list([{STATS: {"score": row}} for row in ROWS], features=kind),
        "file": path,
        "name": str(path),
        "analysis": analysis,
    }


@pytest.mark.parametrize(
    "kind", ["lists", "column", "numpy", "stream", "stats", "json", "file", "name", "analysis"]
)
def test_every_source_gives_the_same_picture(tmp_path: Path, kind: str) -> None:
    figure = plot_stat(make_sources(tmp_path)[kind], "score", 0.25, 5)
    # Rows without videos, or with one that could not be measured, are kept by every threshold.
    assert legend(figure) == ["≥ 0.25 keeps 4 of 6 rows", "≥ 5 keeps 3 of 6 rows"]
    assert figure.axes[0].get_title(loc="left") == "7 videos in 6 rows (1 more could not be measured)"
    assert bars(figure) == 7
    assert [line.get_xdata()[0] for line in figure.axes[0].lines] == [0.25, 5]  # type: ignore[index]


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, 4),
        ({"any_or_all": "all"}, 4),
        ({"keep": "at most"}, 5),
        ({"keep": "at most", "any_or_all": "all"}, 4),
    ],
)
def test_what_is_kept(options: dict[str, str], kept: int) -> None:
    label = "≤" if "keep" in options else "≥"
    figure = plot_stat({"score": ROWS}, "score", 0.25, **options)
    assert legend(figure) == [f"{label} 0.25 keeps {kept} of 6 rows"]


def test_many_values_one_value_and_none(tmp_path: Path) -> None:
    many = np.random.default_rng(0).normal(size=5_000).tolist()
    figure = plot_stat({"x": many}, "x")
    assert (bars(figure), len(figure.axes[0].patches) <= 60) == (5_000, True)
    assert bars(plot_stat({"x": [[2]]}, "x", 2)) == 1
    empty = plot_stat({"x": [[], None, [None]]}, "x", 2, title="nothing $here")
    assert (bars(empty), legend(empty)) == (0, ["≥ 2 keeps 3 of 3 rows"])
    empty.savefig(tmp_path / "empty.png")
    assert plot_stat({"x": [[float("inf"), 1.0]]}, "x")


@pytest.mark.parametrize(
    ("source", "stat", "options", "error", "words"),
    [
        ({"x": [[1]]}, "y", {}, ColumnError, "no stat or column 'y', only 'x'"),
        (Dataset.from_dict({"x": [[1]]}), "y", {}, ColumnError, "no stat or column 'y', only 'x'"),
        (
            DatasetDict({"train": Dataset.from_dict({"x": [1]})}),
            "x",
            {},
            SettingsError,
            r"pass ds\['train'\]",
        ),
        ([1, 2], "x", {}, SettingsError, "not list"),
        ({"x": [["a"]]}, "x", {}, ColumnError, "'x' must hold numbers; got 'a'"),
        ({"x": [[1]]}, "x", {"keep": "above"}, SettingsError, "keep must be one of 'at least', 'at most'"),
        ({"x": [[1]]}, "x", {"any_or_all": "one"}, SettingsError, "any_or_all must be one of"),
        ("none.jsonl", "x", {}, SettingsError, "none.jsonl: it is no readable file"),
    ],
)
def test_wrong_use(source: Any, stat: str, options: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        plot_stat(source, stat, 1, **options)
    with pytest.raises(SettingsError, match="thresholds must be numbers; got '1'"):
        plot_stat({"x": [[1]]}, "x", "1")  # type: ignore[arg-type]
