"""Tars on a Ray cluster: a tar is a shard of a worker, wherever it runs."""

from pathlib import Path

import pytest
from ray_clusters import kill_worker, started
from small_runs import rows_of
from tar_files import drop_urls, find_offset, make_clips, write_tars

from hf_audio_tagger import build_tagger, tag_dataset
from hf_audio_tagger.runs import Progress, Watcher

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(150),
    pytest.mark.usefixtures("one_thread_everywhere"),
]
TAGGER = build_tagger("demo", batch_size=2, device="cpu", on_error="record")


class Killing(Watcher):
    """Ends a worker once some rows are done."""

    has_killed = False

    def progressed(self, progress: Progress) -> None:
        if progress.done_rows >= 4 and not self.has_killed:
            self.has_killed = True
            kill_worker()


def test_tars_are_shards_of_ray_and_a_lost_worker_loses_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named from the driver's folder, which is not that of the workers; one tar is cut off.

    There are so many that most are still to be read when the driver hears of the first.
    """
    folder = tmp_path / "tars"
    folder.mkdir()
    paths = write_tars(folder, make_clips(folder, 120), 4)
    data = paths[3].read_bytes()
    paths[3].write_bytes(data[: find_offset(data, "014.mp4") + 9])
    tag_dataset(str(folder / "*.tar"), tmp_path / "here", TAGGER)
    expected = drop_urls(rows_of(tmp_path / "here"))
    assert len(expected) == 118
    monkeypatch.chdir(tmp_path)
    killing = Killing()
    with started("head", "second") as nodes:
        summary = tag_dataset("tars/{000..029}.tar", "out", TAGGER, executor=nodes.executor, watcher=killing)
        assert killing.has_killed
        assert (summary.rows, summary.broken_tars) == (118, 1)
        assert drop_urls(rows_of(tmp_path / "out")) == expected
    assert not list(tmp_path.rglob("*.tmp"))
