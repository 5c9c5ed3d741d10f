"""Operators of py-data-juicer in an environment of its own: what goes there, comes back, fails, and ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from recipe_runs import STATS, Rows, invoke, lines, write_rows
from stand_in_peer import write_stand_in

from benchmarks.peer_environment import PYTHON_VARIABLE
from hf_audio_tagger.errors import RunError, SettingsError
from hf_audio_tagger.recipes import Report, analyze_recipe, run_recipe
from hf_audio_tagger.recipes.foreign import SCRIPT

ROWS: Rows = [{"text": f"t{number}", "number": number, "videos": [f"{number}.mp4"]} for number in range(5)]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_stand_in(tmp_path_factory.mktemp("stand_in"))


def write(folder: Path, process: list[dict[str, Any]], rows: Rows = ROWS) -> Path:
    samples = write_rows(folder / "samples.jsonl", rows)
    keys = {"dataset_path": str(samples), "export_path": str(folder / "out" / "res.jsonl"), "np": 1}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**keys, "process": process}))
    return path


def run(
    folder: Path, python: str, process: list[dict[str, Any]], rows: Rows = ROWS
) -> tuple[Report, list[str]]:
    notes: list[str] = []
    report = run_recipe(write(folder, process, rows), notes.append, overwrite=True, data_juicer=python)
    return report, notes


def test_samples_go_there_and_back_between_our_own_operators(tmp_path: Path, python: str) -> None:
    process = [{"add_mapper": {"amount": 2}}, {"odd_filter": None}, {"video_duration_filter": {}}]
    report, notes = run(tmp_path, python, process)
    assert [json.loads(line) for line in lines(tmp_path, "res.jsonl")] == [
        {"text": "t1", "number": 3, "videos": [f"{tmp_path}/1.mp4"]},
        {"text": "t3", "number": 5, "videos": [f"{tmp_path}/3.mp4"]},
    ]
    stats = [json.loads(line)[STATS] for line in lines(tmp_path, "res_stats.jsonl")]
    assert (
        stats == [{"odd": 0.33333333330000003, "video_duration": [None]}] * 2
    )  # with ten decimals, as all stats
    assert [(step.operator, step.given, step.kept) for step in report.steps] == [
        ("add_mapper", 5, 5),
        ("odd_filter", 5, 2),
        ("video_duration_filter", 2, 2),
    ]
    assert [failure.sample for failure in report.failures] == [1, 3]  # numbered as they were loaded
    assert f"add_mapper: 5 samples go to py-data-juicer ({python})" in notes


def test_unknown_operators_and_options_are_told_before_anything_runs(tmp_path: Path, python: str) -> None:
    known: list[dict[str, Any]] = [{"slow_mapper": {"file": "x"}}]
    with pytest.raises(
        SettingsError, match=r"od_filter, nothing. .* has them. Did you mean odd_filter"
    ) as error:
        run(tmp_path, python, [*known, {"od_filter": {}}, {"nothing": {}}])
    assert "py-data-juicer 1.6.1 of" in str(error.value)
    with pytest.raises(SettingsError, match=r"\[odd_filter\] Unknown parameter 'wrong'"):
        run(tmp_path, python, [*known, {"odd_filter": {"wrong": 1}}])
    with pytest.raises(SettingsError, match=r"nowhere/python cannot be started .*Name the Python"):
        run(tmp_path, "nowhere/python", known)
    with pytest.raises(RunError, match="ModuleNotFoundError: No module named 'data_juicer'"):
        run(tmp_path, sys.executable, known)


def test_a_failure_shows_what_it_printed(tmp_path: Path, python: str) -> None:
    notes: list[str] = []
    recipe = write(tmp_path, [{"wrong_mapper": {}}])
    with pytest.raises(RunError, match=r"wrong_mapper: .* exit code 1: ValueError: sample 3 has"):
        run_recipe(recipe, notes.append, data_juicer=python)
    assert "  | loading" in notes
    assert not any("\x1b" in line for line in notes)
    assert not (tmp_path / "out").exists()


def test_new_samples_and_none_at_all(tmp_path: Path, python: str) -> None:
    report, notes = run(tmp_path, python, [{"new_mapper": {}}, {"video_duration_filter": {}}])
    assert json.loads(lines(tmp_path, "res.jsonl")[4]) == {"text": "t4t4"}
    assert "new_mapper: its samples have no numbers; failures count from its first sample on" in notes
    even = [row for row in ROWS if row["number"] % 2 == 0]
    report, _ = run(tmp_path, python, [{"odd_filter": {}}, {"add_mapper": {}}], even)
    assert (report.samples, [step.kept for step in report.steps]) == (0, [0, 0])


def test_samples_without_text(tmp_path: Path, python: str) -> None:
    run(tmp_path, python, [{"add_mapper": {}}], [{"number": 1}])
    assert lines(tmp_path, "res.jsonl") == ['{"number": 2}']


def test_nothing_of_ours_is_found_there(tmp_path: Path, python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "operator.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIRTUAL_ENV", "/ours")
    run(tmp_path, python, [{"own_mapper": {}}], ROWS[:1])
    row = json.loads(lines(tmp_path, "res.jsonl")[0])
    assert row["venv"] is None
    assert str(tmp_path / "operator.py") != row["found"]
    assert not {"", str(tmp_path)} & set(row["paths"])


def test_an_interrupt_ends_all_processes(tmp_path: Path, python: str) -> None:
    file = tmp_path / "ids"
    paths = {
        "dataset_path": str(write_rows(tmp_path / "s.jsonl", ROWS)),
        "export_path": str(tmp_path / "r.jsonl"),
    }
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({**paths, "process": [{"slow_mapper": {"file": str(file)}}]}))
    command = [sys.executable, "-m", "hf_audio_tagger", "run", str(recipe), "--data-juicer", python]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        wait_for(file.exists)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    wait_for(lambda: not any(map(is_running, map(int, file.read_text().split()))))


def test_all_processes_end_with_their_parent(tmp_path: Path, python: str) -> None:
    """A parent that is killed closes its end of the pipe."""
    file = tmp_path / "ids"
    paths = {"dataset_path": str(write_rows(tmp_path / "s.jsonl", ROWS)), "export_path": "x"}
    recipe = tmp_path / "recipe.yaml"
    step = {"slow_mapper": {"file": str(file)}}
    recipe.write_text(yaml.safe_dump({**paths, "skip_op_error": False, "process": [step]}))
    command = [python, "-c", SCRIPT.read_text(), "run", str(recipe)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as process:
        wait_for(file.exists)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == -signal.SIGKILL
    wait_for(lambda: not any(map(is_running, map(int, file.read_text().split()))))


def wait_for(is_done: Any) -> None:
    for _ in range(600):
        if is_done():
            return
        time.sleep(0.05)
    pytest.fail("it took longer than 30 seconds")


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state != "Z"


def test_the_command_line_names_the_environment(tmp_path: Path, python: str) -> None:
    done = invoke(write(tmp_path, [{"odd_filter": {}}]), "--data-juicer", python)
    assert (done.exit_code, done.stderr) == (0, f"odd_filter: 5 samples go to py-data-juicer ({python})\n")
    assert "odd_filter: 5 → 2 samples" in done.stdout
    done = invoke(write(tmp_path, [{"odd_filter": {}}]))
    assert (done.exit_code, "--data-juicer /envs/dj/bin/python" in done.stderr) == (1, True)


@pytest.mark.campaign
@pytest.mark.timeout(600)
def test_operators_of_the_peer_itself(tmp_path: Path) -> None:
    """Where an environment with py-data-juicer is named, as for the benchmarks."""
    python = os.environ.get(PYTHON_VARIABLE, "")
    if not python:
        pytest.skip(f"{PYTHON_VARIABLE} names no Python with py-data-juicer")
    rows: Rows = [{"text": "one http://x.org two"}, {"text": "one  two"}, {"text": "x"}]
    process = [
        {"clean_links_mapper": {}},
        {"text_length_filter": {"min_len": 3}},
        {"document_deduplicator": {}},
    ]
    report, _ = run(tmp_path, python, process, [*rows, rows[0]])
    assert [json.loads(line) for line in lines(tmp_path, "res.jsonl")] == [
        {"text": "one  two"},
    ]
    assert lines(tmp_path, "res_stats.jsonl") == ['{"__dj__stats__": {"text_len": 8}}']
    assert [step.kept for step in report.steps] == [4, 3, 1]
    with pytest.raises(SettingsError, match="Did you mean clean_links_mapper"):
        run(tmp_path, python, [{"clean_link_mapper": {}}], rows)
    analysis = analyze_recipe(write(tmp_path, [{"text_length_filter": {}}], rows), print, data_juicer=python)
    assert analysis.values == {"text_len": [20, 8, 1]}
