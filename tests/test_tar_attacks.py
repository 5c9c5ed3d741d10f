"""Tars in a real object store, and runs over tars that are killed: no row is lost or doubled."""

import multiprocessing
import os
import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from s3_store import BUCKET, s3_environment, serving_s3
from small_runs import rows_of
from tar_files import drop_urls, make_clips, make_samples, pack, write_tars

from hf_audio_tagger import build_tagger
from hf_audio_tagger.runs import load_result, tag_dataset

pytestmark = [pytest.mark.timeout(90), pytest.mark.usefixtures("one_thread_everywhere")]
TAGGER = build_tagger("demo", batch_size=2, device="cpu", on_error="record")
PER_TAR = 6


@pytest.fixture(scope="module")
def tars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tars")
    write_tars(folder, make_clips(folder, 20) * 3, PER_TAR)
    return folder


@pytest.fixture(scope="module")
def whole(tars: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    dest = tmp_path_factory.mktemp("whole") / "out"
    assert tag_dataset(str(tars / "*.tar"), dest, TAGGER).rows == 60
    return rows_of(dest)


def run_in_child(pattern: str, dest: str | None, num_proc: int | None) -> None:
    tag_dataset(pattern, dest, TAGGER, num_proc=num_proc, beside=dest is None)


@pytest.mark.campaign
@pytest.mark.parametrize("num_proc", [None, 2])
@pytest.mark.parametrize("is_beside", [False, True])
def test_kill_9_and_the_same_command_again(
    tars: Path, whole: list[dict[str, Any]], tmp_path: Path, num_proc: int | None, is_beside: bool
) -> None:
    folder = Path(shutil.copytree(tars, tmp_path / "tars")) if is_beside else tars
    pattern, dest = str(folder / "*.tar"), None if is_beside else str(tmp_path / "out")
    moments = random.Random(int(os.environ.get("KILL_SEED", "1")))
    killed = 0
    for _ in range(6):
        child: Any = multiprocessing.get_context("fork").Process(
            target=run_in_child, args=(pattern, dest, num_proc)
        )
        child.start()
        os.setpgid(child.pid, child.pid)
        child.join(moments.uniform(0.1, 1.2))
        if child.is_alive():
            os.killpg(child.pid, signal.SIGKILL)
            killed += 1
        child.join()
    assert killed
    tag_dataset(pattern, dest, TAGGER, num_proc=num_proc, beside=is_beside)
    found = rows_of(tmp_path / "out") if not is_beside else read_beside(folder)
    assert drop_urls(found) == drop_urls(whole)
    assert not list(tmp_path.rglob("*.tmp"))


def read_beside(folder: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return [row for path in sorted(folder.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    with serving_s3() as address, s3_environment(address) as system:
        yield system


@pytest.mark.cluster
def test_tars_and_results_in_a_store(
    s3: Any, tars: Path, whole: list[dict[str, Any]], tmp_path: Path
) -> None:
    """A glob and braces; a tar that changes in the store is tagged again."""
    for path in tars.glob("*.tar"):
        s3.put(str(path), f"{BUCKET}/tars/{path.name}")
    summary = tag_dataset(f"s3://{BUCKET}/tars/*.tar", f"s3://{BUCKET}/out", TAGGER, num_proc=2)
    assert (summary.rows, summary.broken_tars) == (60, 0)
    rows = load_result(f"s3://{BUCKET}/out").to_list()
    assert drop_urls(rows) == drop_urls(whole)
    assert rows[0]["__url__"] == f"s3://{BUCKET}/tars/000.tar"
    tag_dataset(f"s3://{BUCKET}/tars/{{000..009}}.tar", tmp_path / "local", TAGGER)
    assert drop_urls(rows_of(tmp_path / "local")) == drop_urls(whole)
    tag_dataset(f"s3://{BUCKET}/tars/00*.tar", None, TAGGER, beside=True)
    assert len(s3.glob(f"{BUCKET}/tars/*.tar.tags.parquet")) == 10
    assert tag_dataset(f"s3://{BUCKET}/tars/*.tar", None, TAGGER, beside=True).processed_now == 0
    s3.pipe(f"{BUCKET}/tars/003.tar", pack(make_samples(make_clips(tmp_path, 1), 900)))
    s3.invalidate_cache()
    summary = tag_dataset(f"s3://{BUCKET}/tars/*.tar", f"s3://{BUCKET}/out", TAGGER)
    assert (summary.processed_now, summary.rows) == (1, 55)


@pytest.mark.cluster
def test_a_store_that_lacks_a_tar_or_a_bucket(s3: Any, tars: Path, tmp_path: Path) -> None:
    s3.put(str(tars / "000.tar"), f"{BUCKET}/some/000.tar")
    summary = tag_dataset(f"s3://{BUCKET}/some/{{000,001}}.tar", tmp_path / "out", TAGGER)
    assert (summary.rows, summary.broken_tars) == (6, 1)
    assert "001.tar: it cannot be opened" in Path(str(summary.failures)).read_text()
    with pytest.raises(ValueError, match="no such tars"):
        tag_dataset(f"s3://{BUCKET}/nothing/*.tar", tmp_path / "none", TAGGER)
