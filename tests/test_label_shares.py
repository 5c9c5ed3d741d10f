"""`label --shard 2/8`: several commands that label one collection together."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_runs import BROKEN, ROWS, clip_path, write_clips

from hf_audio_tagger import build_tagger
from hf_audio_tagger.errors import SettingsError
from hf_audio_tagger.runs import LabelSummary, Progress, RunPlan, Watcher, export_predictions, locks
from hf_audio_tagger.runs.share import Share

pytestmark = pytest.mark.timeout(60)

TAGGER = build_tagger("demo", device="cpu", on_error="record")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("label") / "clips")


def label(clips: Path, out: Path, shard: str | None, **options: Any) -> LabelSummary:
    return export_predictions(clips, out, tagger=TAGGER, shard=shard, **options)


def test_shares_make_the_predictions_of_one_command(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = label(clips, out, "2/2")
    assert (first.shard, first.clips, first.labelled, first.failed, first.clips_left) == ("2/2", 5, 4, 1, 5)
    assert "have done 5 of 10 files; 5 are left to 1/2" in first.notes[0]
    assert first.failures == str(out / "audio_failures-2-of-2.jsonl")
    assert not (out / "audio_pred.json").exists()
    last = label(clips, out, "1/2")
    assert (last.shard, last.clips, last.labelled, last.failed, last.processed_now) == (None, 10, 9, 1, 5)
    assert [path.name for path in out.glob("audio_failures*")] == ["audio_failures.jsonl"]
    label(clips, tmp_path / "whole", None)
    index = json.loads((out / "audio_pred.json").read_text())
    assert index == json.loads((tmp_path / "whole" / "audio_pred.json").read_text())
    for name in (path.name for path in (tmp_path / "whole" / "audio_pred").iterdir()):
        arrays = [np.load(folder / "audio_pred" / name) for folder in (out, tmp_path / "whole")]
        np.testing.assert_allclose(*arrays, atol=1e-4)  # other clips were in their batches
    assert label(clips, out, None).processed_now == 1  # the one that failed
    assert {path.name for path in (out / ".hf_audio_tagger").glob("label*.jsonl")} == {"label.jsonl"}


def test_a_command_for_all_files_does_what_is_left(clips: Path, tmp_path: Path) -> None:
    label(clips, tmp_path, "3/3")
    summary = label(clips, tmp_path, None)
    assert (summary.labelled, summary.processed_now) == (ROWS - 1, 8)  # the broken one is tried again
    assert BROKEN % 3 == 2


def test_shares_run_beside_each_other_and_no_others(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "LOCK_WAIT_SECONDS", 0.1)

    class Second(Watcher):
        seen = 0

        def progressed(self, progress: Progress) -> None:
            self.seen += 1
            if self.seen == 1:
                for shard in ("1/2", "2/3", None):
                    with pytest.raises(SettingsError, match="is using it"):
                        label(clips, tmp_path, shard)
                summary = label(clips, tmp_path, "2/2")
                assert "are left to 1/2 (running now: 1/2)" in summary.notes[0]

    assert label(clips, tmp_path, "1/2", watcher=Second()).labelled == ROWS - 1
    with pytest.raises(SettingsError, match="would remove what the other commands have done"):
        label(clips, tmp_path, "1/2", overwrite=True)
    with pytest.raises(SettingsError, match="predictions go to a folder on this disk"):
        label(clips, "memory://bucket/out", None)  # type: ignore[arg-type]


def test_what_a_clusters_workers_wrote_is_newer_than_the_commands_own_journal(
    clips: Path, tmp_path: Path
) -> None:
    """A clip failed in one run of the share, and was labelled by a worker of the next one."""
    out, state = tmp_path / "out", tmp_path / "out" / ".hf_audio_tagger"
    mended = tmp_path / "clips"
    shutil.copytree(clips, mended)
    assert label(mended, out, "2/2").failed == 1
    shutil.copy(clip_path(mended, 1), clip_path(mended, BROKEN))
    label(mended, tmp_path / "whole", None)
    whole = tmp_path / "whole"
    lines = (whole / ".hf_audio_tagger" / "label.jsonl").read_text().splitlines()
    (line,) = [line for line in lines if f"{BROKEN:02d}.mp4" in line]
    name = f"{BROKEN:02d}.mp4.npy"
    shutil.copy(whole / "audio_pred" / name, out / "audio_pred" / name)
    (state / "label-2-of-2-worker-0.jsonl").write_text(line + "\n")

    class Second(Watcher):
        def planned(self, plan: RunPlan) -> None:
            """Beside the first share, the second one keeps its workers' journals, in its own."""
            if plan.folder.share == Share(1, 2):
                assert label(mended, out, "2/2").processed_now == 0
                names = {path.name for path in state.glob("label*.jsonl")}
                assert names >= {"label-1-of-2.jsonl", "label-2-of-2.jsonl"}
                assert not [name for name in names if "worker" in name]

    last = label(mended, out, "1/2", watcher=Second())
    assert (last.labelled, last.failed) == (ROWS, 0)
