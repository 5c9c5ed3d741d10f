"""The bases of operators, and the engine: results merged, samples numbered, filtered and exported."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest
from datasets import Value
from recipe_runs import META, OPERATOR, STATS, lines, link_clips, run_rows

from hf_audio_tagger.cells import Media
from hf_audio_tagger.errors import ColumnError, MediaError, SettingsError
from hf_audio_tagger.measures.base import Measure
from hf_audio_tagger.recipes import OPERATORS, Recipe, StepReport
from hf_audio_tagger.recipes.media_filter import VideoFilter
from hf_audio_tagger.recipes.operator import Batch, Fields, Mapper, SampleResult
from hf_audio_tagger.recipes.recipe import one_of, option, parse_options, read_number


@dataclass(frozen=True, kw_only=True)
class NumberInName(Measure):
    """The number that is the name of a file, which need not exist."""

    name: ClassVar[str] = "number_in_name"
    value_type: ClassVar[pa.DataType] = pa.float64()

    def measure(self, media: Media) -> float:
        name = Path(media.name).name
        if name == "x":
            raise MediaError(f"{media.name}: it is no number.")
        return float(name)


@dataclass
class NumberFilter(VideoFilter):
    """Keeps samples by numbers."""

    name: ClassVar[str] = "number_filter"
    stats: ClassVar[dict[str, Value]] = {"number": Value("float64")}

    min_number: float = option(0.0, read_number)
    max_number: float = option(10.0, read_number)

    @property
    def limits(self) -> dict[str, tuple[float, float]]:
        return {next(iter(self.stats)): (self.min_number, self.max_number)}

    def build_measure(self, on_error: str) -> Measure:
        return NumberInName(on_error=on_error)


@dataclass
class OtherNumberFilter(NumberFilter):
    """A second filter, for its stats beside those of the first."""

    name: ClassVar[str] = "other_number_filter"
    stats: ClassVar[dict[str, Value]] = {"other": Value("float64")}
    unmeasured: ClassVar[float] = -1.0


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
    for operator in (NumberFilter, OtherNumberFilter, UpperCaseMapper):
        monkeypatch.setitem(OPERATORS, operator.name, operator)


NUMBERS = [{"text": f"n{number}", "videos": [str(number)]} for number in range(5)]


def texts(folder: Path) -> list[str]:
    return [json.loads(line)["text"] for line in lines(folder, "res.jsonl")]


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
    assert texts(tmp_path) == [f"n{number}" for number in kept]
    stats = [json.loads(line) for line in lines(tmp_path, "res_stats.jsonl")]
    assert stats == [{STATS: {"number": [float(number)]}} for number in kept]
    assert (report.samples, report.counts) == (len(kept), {})
    assert report.steps == (StepReport("number_filter", 5, len(kept)),)


ROWS_OF_SEVERAL = [
    {"text": "both", "videos": ["2", "3"]},
    {"text": "one", "videos": ["9", "3"]},
    {"text": "neither", "videos": ["9", "8"]},
    {"text": "none", "videos": []},
    {"text": "null", "videos": None},
    {"text": "broken", "videos": ["9", "x"]},
]


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"any_or_all": "any"}, ["both", "one", "none", "null", "broken"]),
        ({"any_or_all": "all"}, ["both", "none", "null", "broken"]),
        ({"any_or_all": "any", "reversed_range": True}, ["one", "neither", "none", "null", "broken"]),
        ({"any_or_all": "all", "reversed_range": True}, ["neither", "none", "null", "broken"]),
    ],
)
def test_samples_with_several_videos_with_none_and_with_a_broken_one(
    tmp_path: Path, options: dict[str, Any], kept: list[str]
) -> None:
    process = [{"number_filter": {"max_number": 5, **options}}]
    report = run_rows(tmp_path, ROWS_OF_SEVERAL, process=process)
    assert texts(tmp_path) == kept
    stats = [json.loads(line)[STATS]["number"] for line in lines(tmp_path, "res_stats.jsonl")]
    assert stats[-3:] == [[], [], [9.0, None]]
    assert [(one.sample, one.media, one.reason) for one in report.failures] == [
        (5, f"{tmp_path}/x", f"{tmp_path}/x: it is no number.")
    ]


def test_a_stat_may_have_its_own_value_for_a_broken_video(tmp_path: Path) -> None:
    rows = [{"text": "a", "videos": ["x"]}, {"text": "b", "videos": ["1", "x"]}]
    report = run_rows(tmp_path, rows, process=[{"other_number_filter": {}}])
    assert lines(tmp_path, "res_stats.jsonl") == ['{"__dj__stats__": {"other": [1.0, -1.0]}}']
    assert [failure.sample for failure in report.failures] == [0, 1]


def test_a_broken_video_ends_the_run_where_errors_are_not_skipped(tmp_path: Path) -> None:
    process = [{"number_filter": {"skip_op_error": False}}]
    with pytest.raises(MediaError, match="x: it is no number"):
        run_rows(tmp_path, ROWS_OF_SEVERAL, process=process)


@pytest.mark.parametrize("keep", [False, True])
def test_stats_and_meta_of_successive_operators_are_merged_in_order(tmp_path: Path, keep: bool) -> None:
    process = [{"other_number_filter": {}}, {"upper_case_mapper": None}, {"number_filter": {"max_number": 0}}]
    report = run_rows(tmp_path, NUMBERS, process=process, keep_stats_in_res_ds=keep)
    stats, meta = '"__dj__stats__": {"other": [0.0], "number": [0.0]}', '"__dj__meta__": {"upper": "N0"}'
    assert lines(tmp_path, "res_stats.jsonl") == [f"{{{stats}, {meta}}}"]
    kept = f", {stats}, {meta}" * keep
    assert lines(tmp_path, "res.jsonl") == [f'{{"text": "n0", "videos": ["{tmp_path}/0"]{kept}}}']
    assert report.counts == {"changed": 5, "failed": 0}
    assert [(step.given, step.kept) for step in report.steps] == [(5, 5), (5, 5), (5, 1)]


def test_numbers_are_stored_and_compared_with_ten_decimals(tmp_path: Path) -> None:
    """As Data-Juicer stores them: in a JSON column of `datasets`, which writes them with pandas' ujson."""
    rows = [{"text": name, "videos": [name]} for name in ("1.33333333333333", "1.869316979078576", "nan")]
    run_rows(tmp_path, rows, process=[{"number_filter": {"min_number": 1.3333333333}}])
    stored = [json.loads(line)[STATS]["number"] for line in lines(tmp_path, "res_stats.jsonl")]
    assert stored == [[1.3333333333000001], [1.8693169791000002], [None]]


def test_a_stat_that_a_sample_has_is_not_computed_again(tmp_path: Path) -> None:
    rows = [
        {"text": "a", "videos": ["20"], STATS: {"number": [5.0]}},
        {"text": "b", "videos": ["20"], STATS: None},
        {"text": "c", "videos": ["20"], STATS: {"number": 5.0}},
    ]
    run_rows(tmp_path, rows[:2], process=[{"number_filter": {}}])
    assert lines(tmp_path, "res_stats.jsonl") == ['{"__dj__stats__": {"number": [5.0]}}']
    run_rows(tmp_path, rows[2:], process=[{"number_filter": {"min_number": 9}}])
    assert texts(tmp_path) == ["c"]  # not a list with a number for each video: not known


def test_stats_beside_those_of_another_tool(tmp_path: Path) -> None:
    rows = [{**NUMBERS[1], STATS: {"text_len": 4, "ratio": 0.3333333333333333}}]
    run_rows(tmp_path, rows, process=[{"number_filter": {}}])
    expected = '{"__dj__stats__": {"text_len": 4, "ratio": 0.3333333333333333, "number": [1.0]}}'
    assert lines(tmp_path, "res_stats.jsonl") == [expected]


def test_stats_are_exported_before_samples_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "counted" / "numbers.jsonl"
    steps = [
        {"upper_case_mapper": None},
        {"number_filter": {"min_number": 4, "stats_export_path": str(path)}},
    ]
    run_rows(tmp_path, NUMBERS, process=steps)
    exported = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row[STATS]["number"] for row in exported] == [[float(number)] for number in range(5)]
    assert list(exported[0]) == ["text", "videos", META, STATS]
    assert texts(tmp_path) == ["n4"]


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (["out/res.jsonl"], "stats_export_path: .*res.jsonl is written twice"),
        (["samples.jsonl"], "stats_export_path: .*samples.jsonl is an input of this recipe"),
        (["a.jsonl", "a.jsonl"], "a.jsonl is written twice"),
        (["s3://bucket/a.jsonl"], "stats_export_path must be a local file"),
    ],
)
def test_exported_stats_overwrite_nothing(tmp_path: Path, paths: list[str], words: str) -> None:
    named = [path if "://" in path else str(tmp_path / path) for path in paths]
    process = [{"number_filter": {"stats_export_path": path}} for path in named]
    with pytest.raises(SettingsError, match=words):
        run_rows(tmp_path, NUMBERS, process=process)


def test_a_failure_keeps_the_number_of_its_sample_where_a_filter_dropped_others(
    tmp_path: Path, clips: dict[str, Path]
) -> None:
    link_clips(tmp_path, clips)
    names = ("siren", "dial", "broken", "missing", "noise")
    rows = [
        {"text": name, "numbers": [str(number)], "videos": [f"clips/{name}.mp4"]}
        for number, name in enumerate(names)
    ]
    process = [
        {"number_filter": {"min_number": 1, "video_key": "numbers"}},
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
    assert list(json.loads(lines(tmp_path, "res.jsonl")[0])) == ["text", "numbers", "videos"]
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
        ({"any_or_all": "some"}, "any_or_all must be one of any, all; got 'some'"),
        ({"reversed_range": 1}, "reversed_range must be true or false; got 1"),
        (
            {"max_score": 1},
            "number_filter has no option 'max_score'. It has: any_or_all, max_closed_interval, max_number",
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
