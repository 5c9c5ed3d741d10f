"""`run --analyze`: stats of all samples, what each filter would keep, nothing dropped or exported."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recipe_runs import META, OPERATOR, STATS, Rows, invoke, link_clips, write_recipe, write_rows
from stand_in_peer import write_stand_in

from hf_audio_tagger import analyze_recipe
from hf_audio_tagger.errors import SettingsError

SIZES = (10, 20, 30, 40, 100)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Five sounds of some bytes, one in a row with a missing one, and a row without any."""
    for size in SIZES:
        (tmp_path / f"{size}.wav").write_bytes(b"x" * size)
    rows: Rows = [{"text": str(size), "audios": [f"{size}.wav"]} for size in SIZES]
    rows[1]["audios"].append("none.wav")
    path = write_rows(tmp_path / "samples.jsonl", [*rows, {"text": "none", "audios": []}])
    process = [{"audio_size_filter": {"min_size": 25}}, {"audio_size_filter": {"max_size": "90"}}]
    return write_recipe(tmp_path, dataset_path=str(path), process=process)


def test_quantiles_are_those_of_numpy_and_nothing_is_dropped(recipe: Path, tmp_path: Path) -> None:
    analysis = analyze_recipe(recipe, lambda line: None)
    [stat] = analysis.stats
    assert (stat.name, stat.count, stat.missing) == ("audio_sizes", 5, 1)
    assert (stat.mean, stat.least, stat.most) == (40.0, 10.0, 100.0)
    assert stat.std == pytest.approx(np.std(SIZES, ddof=1))
    assert stat.quantiles == {share: np.quantile(SIZES, share) for share in (0.05, 0.25, 0.5, 0.75, 0.95)}
    # A row without sounds is kept, and one with a missing sound; each filter is given all.
    assert [(step.given, step.kept) for step in analysis.filters] == [(6, 5), (6, 5)]
    assert (analysis.samples, analysis.kept) == (6, 4)
    assert analysis.values == {"audio_sizes": [[10], [20, None], [30], [40], [100], []]}
    assert [failure.sample for failure in analysis.failures] == [1]
    written = tmp_path / "out" / "res_analysis.jsonl"
    assert analysis.written == written
    assert list((tmp_path / "out").iterdir()) == [written]
    assert json.loads(written.read_text().splitlines()[1]) == {STATS: {"audio_sizes": [20, None]}}


def test_the_command_prints_a_table(recipe: Path) -> None:
    done = invoke(recipe, "--analyze")
    assert done.exit_code == 3  # a sound is missing
    words = [line.split() for line in done.stdout.splitlines()]
    assert words[:10] == [
        ["audio_sizes"],
        ["count", "5"],
        ["missing", "1"],
        ["mean", "40"],
        ["std", "35.3553"],
        ["min", "10"],
        ["5%", "12"],
        ["25%", "20"],
        ["50%", "30"],
        ["75%", "40"],
    ]
    assert "audio_size_filter: 6 → 5 samples" in done.stdout
    assert "all filters: 6 → 4 samples" in done.stdout
    summary = json.loads(invoke(recipe, "--analyze", "--json").stdout)
    assert (summary["stats"][0]["quantiles"]["0.5"], summary["kept"]) == (30.0, 4)


def test_tags_are_counted(tmp_path: Path, clips: dict[str, Path]) -> None:
    link_clips(tmp_path, clips)
    rows: Rows = [{"text": "a", "videos": [f"clips/{name}.mp4" for name in ("siren", "mute", "siren")]}]
    path = write_rows(tmp_path / "samples.jsonl", rows)
    mapper = {OPERATOR: {"hf_ast": "demo", "accelerator": "cpu"}}
    process = [mapper, {"video_audio_tags_filter": {"any_of": "Dog"}}]
    analysis = analyze_recipe(write_recipe(tmp_path, dataset_path=str(path), process=process))
    assert analysis.tags == {"video_audio_tags": {"Siren": 2, "EMPTY": 1}}
    assert (analysis.kept, analysis.stats, analysis.counts["tagged"]) == (0, (), 1)
    assert META in analysis.written.read_text()  # type: ignore[union-attr]


def test_stats_of_another_tools_operators(tmp_path: Path) -> None:
    rows: Rows = [{"text": "a", "number": number} for number in range(4)]
    path = write_rows(tmp_path / "samples.jsonl", rows)
    process: list[dict[str, Any]] = [{"odd_filter": {}}, {"add_mapper": {}}]
    recipe = write_recipe(tmp_path, dataset_path=str(path), process=process)
    analysis = analyze_recipe(recipe, lambda line: None, data_juicer=write_stand_in(tmp_path / "peer"))
    assert analysis.values == {"odd": [0.0, 0.33333333330000003, 0.0, 0.33333333330000003]}


def test_an_analysis_overwrites_no_input(tmp_path: Path) -> None:
    samples = write_rows(tmp_path / "res_analysis.jsonl", [{"text": "a"}])
    recipe = write_recipe(
        tmp_path, dataset_path=str(samples), export_path=str(tmp_path / "res.jsonl"), process=[]
    )
    with pytest.raises(SettingsError, match=r"res_analysis\.jsonl is an input of this recipe"):
        analyze_recipe(recipe)
