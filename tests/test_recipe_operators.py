"""The bases of operators, and the engine: results merged, samples numbered, filtered and exported."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from datasets import Value
from recipe_runs import META, OPERATOR, STATS, lines, link_clips, run_rows

from hf_audio_tagger.errors import ColumnError, SettingsError
from hf_audio_tagger.recipes import OPERATORS, Recipe
from hf_audio_tagger.recipes.operator import Batch, Fields, Filter, Mapper, SampleResult
from hf_audio_tagger.recipes.recipe import one_of, option, parse_options, read_number, read_text


@dataclass
class NumberFilter(Filter):
    """Keeps samples by a number."""

    name: ClassVar[str] = "number_filter"
    stat: ClassVar[str] = "number"

    number_key: str = option("number", read_text)
    min_number: float = option(0.0, read_number)
    max_number: float = option(10.0, read_number)

    @property
    def features(self) -> dict[str, Any]:
        return {self.stat: Value("float64")}

    @property
    def input_column(self) -> str:
        return self.number_key

    @property
    def limits(self) -> tuple[float, float]:
        return self.min_number, self.max_number

    def compute_stat(self, cell: Any) -> float:
        return float(cell or 0)


@dataclass
class TextLengthFilter(NumberFilter):
    """A second filter, for its stats beside those of the first."""

    name: ClassVar[str] = "text_length_filter"
    stat: ClassVar[str] = "length"

    def compute_stat(self, cell: Any) -> float:
        return float(len(cell))


@dataclass
class UpperCaseMapper(Mapper):
    name: ClassVar[str] = "upper_case_mapper"
    outcomes: ClassVar[tuple[str, ...]] = ("changed", "failed")

    @property
    def features(self) -> dict[str, Any]:
        return {"upper": Value("string")}

    def process(self, batch: Batch, existing: Fields) -> list[SampleResult]:
        return [self.result(text, fields) for text, fields in zip(batch["text"], existing, strict=True)]

    def result(self, text: str, fields: Mapping[str, Any]) -> SampleResult:
        failures = [(text, "too long")] if len(text) > 3 else []
        return SampleResult({"upper": text.upper()}, ["failed" if failures else "changed"], failures)


@pytest.fixture(autouse=True)
def _operators(monkeypatch: pytest.MonkeyPatch) -> None:
    for operator in (NumberFilter, TextLengthFilter, UpperCaseMapper):
        monkeypatch.setitem(OPERATORS, operator.name, operator)


NUMBERS = [{"text": f"n{number}", "number": number} for number in range(5)]


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"min_number": 1, "max_number": 3}, [1, 2, 3]),
        ({"min_number": 1, "max_number": 3, "min_closed_interval": False}, [2, 3]),
        ({"min_number": 1, "max_number": 3, "max_closed_interval": False}, [1, 2]),
        ({"min_number": 1, "max_number": 3, "reversed_range": True}, [0, 1, 3, 4]),
        ({"min_number": 1, "max_number": 3, "reversed_range": True, "min_closed_interval": False}, [0, 3, 4]),
        ({"min_number": 9}, []),
    ],
)
def test_a_filter_keeps_the_samples_within_its_limits(
    tmp_path: Path, options: dict[str, Any], kept: list[int]
) -> None:
    report = run_rows(tmp_path, NUMBERS, process=[{"number_filter": options}])
    assert [json.loads(line)["number"] for line in lines(tmp_path, "res.jsonl")] == kept
    stats = [json.loads(line) for line in lines(tmp_path, "res_stats.jsonl")]
    assert stats == [{STATS: {"number": float(number)}} for number in kept]
    assert (report.samples, report.counts) == (len(kept), {})


@pytest.mark.parametrize("keep", [False, True])
def test_stats_and_meta_of_successive_operators_are_merged_in_order(tmp_path: Path, keep: bool) -> None:
    process = [
        {"text_length_filter": {"number_key": "text"}},
        {"upper_case_mapper": None},
        {"number_filter": {"max_number": 0}},
    ]
    report = run_rows(tmp_path, NUMBERS, process=process, keep_stats_in_res_ds=keep)
    stats, meta = '"__dj__stats__": {"length": 2.0, "number": 0.0}', '"__dj__meta__": {"upper": "N0"}'
    assert lines(tmp_path, "res_stats.jsonl") == [f"{{{stats}, {meta}}}"]
    kept = f", {stats}, {meta}" * keep
    assert lines(tmp_path, "res.jsonl") == [f'{{"text": "n0", "number": 0{kept}}}']
    assert report.counts == {"changed": 5, "failed": 0}


def test_a_stat_that_a_sample_has_is_not_computed_again(tmp_path: Path) -> None:
    rows = [{"text": "a", "number": 20, STATS: {"number": 5.0}}, {"text": "b", "number": 20, STATS: None}]
    run_rows(tmp_path, rows, process=[{"number_filter": {}}])
    assert lines(tmp_path, "res_stats.jsonl") == ['{"__dj__stats__": {"number": 5.0}}']


def test_a_failure_keeps_the_number_of_its_sample_where_a_filter_dropped_others(
    tmp_path: Path, clips: dict[str, Path]
) -> None:
    link_clips(tmp_path, clips)
    names = ("siren", "dial", "broken", "missing", "noise")
    rows = [
        {"text": name, "number": number, "videos": [f"clips/{name}.mp4"]} for number, name in enumerate(names)
    ]
    process = [
        {"number_filter": {"min_number": 1}},
        {OPERATOR: {"hf_ast": "demo", "accelerator": "cpu"}},
        {"upper_case_mapper": {}},
    ]
    report = run_rows(tmp_path, rows, process=process)
    assert [(one.sample, one.media.rpartition("/")[2]) for one in report.failures] == [
        (2, "broken.mp4"),
        (3, "missing.mp4"),
        *[(number, names[number]) for number in (1, 2, 3, 4)],
    ]
    assert report.counts == {"tagged": 2, "already tagged": 0, "EMPTY": 0, "failed": 6, "changed": 0}
    assert list(json.loads(lines(tmp_path, "res.jsonl")[0])) == ["text", "number", "videos"]
    assert json.loads(lines(tmp_path, "res_failed.jsonl")[0])["sample"] == 2


def test_operators_after_a_filter_that_keeps_nothing(tmp_path: Path) -> None:
    process = [{"number_filter": {"min_number": 9}}, {"upper_case_mapper": None}]
    report = run_rows(tmp_path, NUMBERS, process=process)
    assert (report.samples, report.counts) == (0, {"changed": 0, "failed": 0})
    assert lines(tmp_path, "res.jsonl") == []


def test_a_column_of_meta_that_is_no_struct_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ColumnError, match=f"{META} must be a struct, as Data-Juicer writes it; got"):
        run_rows(tmp_path, [{"text": "a", META: "b"}], process=[{"upper_case_mapper": None}])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"min_number": "1"}, "number_filter: min_number must be a number; got '1'"),
        ({"min_number": True}, "min_number must be a number; got True"),
        ({"reversed_range": 1}, "reversed_range must be true or false; got 1"),
        (
            {"max_score": 1},
            "number_filter has no option 'max_score'. It has: max_closed_interval, max_number",
        ),
    ],
)
def test_options_are_checked(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        run_rows(tmp_path, NUMBERS, process=[{"number_filter": options}])


def test_options_are_declared_once_with_default_and_check() -> None:
    @dataclass
    class Options:
        size: str = option("small", one_of("small", "large"))
        count: int = 3  # no option

    assert Options() == Options("small", 3)
    assert parse_options(Options, {"size": "large", "count": 4, "more": 5}) == {"size": "large"}
    assert parse_options(Options, {"size": None}) == {}
    with pytest.raises(SettingsError, match="size must be one of small, large; got 'huge'"):
        parse_options(Options, {"size": "huge"})


def test_an_operators_option_defaults_to_the_recipes_key_of_that_name() -> None:
    recipe = Recipe(dataset_path="x", video_key="clips", skip_op_error=False)
    operator = OPERATORS[OPERATOR].from_options({"accelerator": "cpu", "hf_ast": "demo"}, recipe, print)
    assert (operator.video_key, operator.skip_op_error) == ("clips", False)  # type: ignore[attr-defined]
    assert operator.tagger.on_error == "raise"  # type: ignore[attr-defined]
