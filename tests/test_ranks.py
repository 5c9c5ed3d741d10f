"""Ranks: what a real map tells its workers, and what it gives when it resumes."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from hf_audio_tagger import build_tagger, process

Clips = dict[str, Path]
LABELS = ("Siren", "White noise", "Dial tone", "Music")


def paths(clips: Clips) -> Dataset:
    return Dataset.from_dict({"video": [str(clips[label]) for label in LABELS]})


def test_a_map_tells_its_workers_who_they_are(clips: Clips, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever other children the parent has."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    others = [subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in range(2)]

    def tell(row: Any, rank: int) -> Any:
        worker = process.current_worker()
        return {"rank": rank, "worker": [worker.rank, worker.world_size, worker.cores]}

    try:
        rows = paths(clips).map(tell, num_proc=2, with_rank=True)
    finally:
        for one in others:
            one.communicate()
    cores = max(1, process.usable_cores() // 2)
    assert rows["rank"][:] == [0, 0, 1, 1]
    assert rows["worker"][:] == [[rank, 2, cores] for rank in rows["rank"]]


def test_the_ranks_of_a_cache_that_is_resumed_in_one_process(clips: Clips, tmp_path: Path) -> None:
    """They are ranks, not indices, though they count 0, 1, 2 in one process."""
    paths(clips).to_parquet(str(tmp_path / "rows.parquet"))
    ds = Dataset.from_parquet(str(tmp_path / "rows.parquet"), cache_dir=str(tmp_path))
    tagger = build_tagger("demo")
    assert isinstance(ds, Dataset)
    tagged = ds.map(tagger, with_rank=True, num_proc=4, cache_file_name=str(tmp_path / "tagged.arrow"))
    expected = tagged["video_audio_tags"][:]
    del tagged
    (tmp_path / "tagged_00000_of_00004.arrow").replace(tmp_path / "kept")
    parts = sorted(tmp_path.glob("tagged_*_of_00004.arrow"))
    assert len(parts) == 3
    for part in parts:
        part.unlink()
    (tmp_path / "kept").replace(tmp_path / "tagged_00003_of_00004.arrow")
    again = ds.map(tagger, with_rank=True, cache_file_name=str(tmp_path / "tagged.arrow"))
    assert len(list(tmp_path.glob("tagged_*_of_00004.arrow"))) == 4  # ranks 0, 1 and 2 were done here
    assert again["video_audio_tags"][:3] == expected[:3]
