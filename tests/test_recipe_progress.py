"""What a recipe tells of its operators while they work."""

import os
from pathlib import Path

import pytest
from recipe_runs import FAILING, OPERATOR, invoke, link_clips, run_rows, write_recipe, write_rows

from hf_audio_tagger.executors import reporting
from hf_audio_tagger.recipes import progress, watched_by
from hf_audio_tagger.runs import Progress

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("one_thread_everywhere")]

CLIP_SECONDS = 6.0  # of the fixture `clips`


@pytest.fixture
def folder(tmp_path: Path, clips: dict[str, Path]) -> Path:
    return link_clips(tmp_path, clips)


@pytest.mark.parametrize("np", [1, 2])
def test_each_operator_is_followed_also_in_other_processes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, np: int
) -> None:
    monkeypatch.setattr(progress, "READ_SECONDS", 0.005)
    monkeypatch.setattr(reporting, "REPORT_SECONDS", 0.0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    seen: list[tuple[str, Progress]] = []

    def watch(name: str, now: Progress) -> None:
        seen.append((name, now))
        raise RuntimeError("whoever watches cannot end the run")

    measure = {"video_duration_filter": {"min_duration": 0}}
    steps = [{OPERATOR: {"hf_ast": "demo", "accelerator": "cpu"}}, measure]
    with watched_by(watch):
        report = run_rows(folder, FAILING, process=steps, np=np)
    assert report.samples == len(FAILING)
    assert progress.FOLDER_VARIABLE not in os.environ
    assert list(dict.fromkeys(name for name, _ in seen)) == [OPERATOR, "video_duration_filter"]
    last = dict(seen)
    for name in last:
        of_name = [now for one, now in seen if one == name]
        assert {now.total_rows for now in of_name} == {len(FAILING)}
        assert [now.done_rows for now in of_name] == sorted(now.done_rows for now in of_name)
        assert of_name[-1].done_rows == len(FAILING)
    assert last[OPERATOR].activity.windows == 2
    assert last[OPERATOR].activity.sound_seconds == pytest.approx(2 * CLIP_SECONDS, abs=0.2)
    assert last["video_duration_filter"].activity.clips == 5
    count = len(seen)
    run_rows(folder, FAILING[:1])
    assert len(seen) == count  # nobody watches any more


def test_run_says_speed_and_reasons_and_is_quiet_on_request(folder: Path) -> None:
    path = write_rows(folder / "samples.jsonl", FAILING)
    recipe = write_recipe(folder, dataset_path=str(path), nothing_known=1)
    done = invoke(recipe)
    assert "Ignored: nothing_known" in done.stderr
    assert f"{OPERATOR}: 4 samples, 12s of sound, " in done.stdout
    assert "x realtime" in done.stdout
    assert "Why clips failed:\n  1 x " in done.stdout
    quiet = invoke(recipe, "--overwrite", "--quiet")
    assert (quiet.exit_code, quiet.stderr) == (done.exit_code, "")
    assert "4 samples" in quiet.stdout
    for place in ("/dev/full.jsonl", "/proc/res.jsonl"):
        refused = invoke(write_recipe(folder, dataset_path=str(path), export_path=place), "--overwrite")
        assert refused.exit_code == 1
        assert f"export_path: {place} is in /{place.split('/')[1]}, where the system shows" in refused.stderr
    again = invoke(write_recipe(folder, dataset_path=str(path)), "--quiet")
    assert again.exit_code == 1
    assert "exist" in again.stderr
