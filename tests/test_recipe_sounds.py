"""`video_audio_tags_filter`: samples kept by what their videos sound like, and tags that it needs."""

import json
from pathlib import Path
from typing import Any

import pytest
from recipe_runs import META, OPERATOR, STATS, Rows, lines, link_clips, run_rows

from hf_audio_tagger.errors import SettingsError
from hf_audio_tagger.recipes import OPERATORS, Report

FILTER = "video_audio_tags_filter"
TAGS = {
    "cars": ["Car alarm", "Bus"],
    "talk": ["Speech"],
    "both": ["Bus", "Male speech, man speaking"],
    "mute": ["EMPTY"],
    "failed": ["Speech", None],
    "none": [],
}
TAGGED: Rows = [{"text": name, "videos": [], META: {"video_audio_tags": tags}} for name, tags in TAGS.items()]


def run_filter(folder: Path, rows: Rows, options: dict[str, Any]) -> tuple[list[str], Report]:
    report = run_rows(folder, rows, process=[{FILTER: options}])
    return [json.loads(line)["text"] for line in lines(folder, "res.jsonl")], report


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"any_of": ["Vehicle"]}, "cars both failed none"),
        ({"any_of": "Vehicle", "any_or_all": "all"}, "cars failed none"),
        ({"none_of": ["Human voice"]}, "cars both mute failed none"),
        ({"none_of": ["Human voice"], "any_or_all": "all"}, "cars mute failed none"),
        ({"any_of": ["Vehicle", "Speech"], "none_of": ["/m/07pbtc8"]}, "cars talk both failed none"),
        ({"any_of": ["Vehicle"], "none_of": ["Alarm"], "any_or_all": "all"}, "failed none"),
    ],
)
def test_categories_count_with_all_below_them(tmp_path: Path, options: dict[str, Any], kept: str) -> None:
    found, report = run_filter(tmp_path, TAGGED, options)
    assert found == kept.split()
    assert report.counts == {"without tags": 1}
    assert STATS not in lines(tmp_path, "res_stats.jsonl")[0]


def score(label: str, value: float) -> dict[str, Any]:
    return {"label": label, "score": value}


def test_scores_are_read_with_min_score(tmp_path: Path) -> None:
    tops = {
        "high": [[score("Music", 0.9), score("Bus", 0.5)]],
        "low": [[score("Music", 0.9), score("Bus", 0.4)]],
        "failed": [None],
        "mute": [[]],
    }
    rows: Rows = [
        {"text": name, "videos": [], META: {"video_audio_top": top, "video_audio_tags": ["Music"]}}
        for name, top in tops.items()
    ]
    rows[-1][META]["video_audio_tags"] = ["EMPTY"]
    assert run_filter(tmp_path, rows, {"any_of": ["Vehicle"], "min_score": 0.5})[0] == ["high", "failed"]
    kept = run_filter(tmp_path, rows, {"none_of": ["Vehicle"], "min_score": 0.5})[0]
    assert kept == ["low", "failed", "mute"]


def test_the_mapper_before_gives_tags_and_scores(tmp_path: Path, clips: dict[str, Path]) -> None:
    link_clips(tmp_path, clips)
    rows: Rows = [
        {"text": name, "videos": [f"clips/{name}.mp4"]} for name in ("siren", "noise", "mute", "broken")
    ]
    mapper = {OPERATOR: {"hf_ast": "demo", "accelerator": "cpu", "top_k": 3}}
    process = [mapper, {FILTER: {"any_of": ["Alarm"], "min_score": 0.1}}]
    report = run_rows(tmp_path, rows, process=process)
    assert [json.loads(line)["text"] for line in lines(tmp_path, "res.jsonl")] == ["siren", "broken"]
    siren, broken = (json.loads(line)[META] for line in lines(tmp_path, "res_stats.jsonl"))
    assert siren["video_audio_tags"] == [siren["video_audio_top"][0][0]["label"]] == ["Siren"]
    assert len(siren["video_audio_top"][0]) == 3
    assert broken == {"video_audio_tags": [None], "video_audio_top": [None]}
    assert (report.counts["without tags"], [one.sample for one in report.failures]) == (1, [3])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"any_of": ["Speech"]}, f"no 'video_audio_tags' in {META}. Put {OPERATOR} before {FILTER}"),
        ({"any_of": ["Speech"], "min_score": 0}, f"no 'video_audio_top' .* Put {OPERATOR} with top_k: 5"),
        ({"none_of": ["Speech"], "tag_field_name": "t"}, "no 't' in .* and tag_field_name: t before"),
        ({}, "any_of or none_of must name categories"),
        ({"any_of": 3}, "any_of must be a name or a list of names; got 3"),
        (
            {"any_of": ["Vehicel"]},
            "video_audio_tags_filter: AudioSet has no 'Vehicel': did you mean 'Vehicle'",
        ),
        ({"any_of": ["Speech"], "min_score": 2}, "min_score must be a number from 0 to 1; got 2"),
    ],
)
def test_what_is_missing_is_said_before_anything_runs(
    tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        run_filter(tmp_path, [{"text": "a", "videos": ["none.mp4"]}], options)


def test_options_of_a_recipe_as_people_write_them() -> None:
    with pytest.raises(SettingsError, match=f"{FILTER} has no option 'tags'. It has: any_of, any_or_all"):
        OPERATORS[FILTER].from_options({"tags": ["Speech"]}, None, print)  # type: ignore[arg-type]
