"""Workers: forked after torch has run, spawned, with ranks and devices, and when they fail."""

import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset

from hf_audio_tagger import (
    MediaError,
    ProcessError,
    SettingsError,
    Tagger,
    TaggerError,
    build_tagger,
    memo,
    models,
    process,
)
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.process import on_every_core

Clips = dict[str, Path]
LABELS = ("Siren", "White noise", "Dial tone", "Music")


def paths(clips: Clips) -> Dataset:
    return Dataset.from_dict({"video": [str(clips[label]) for label in LABELS]})


def compute_on_two_threads() -> None:
    """What leaves OpenMP threads behind in a parent."""
    torch.set_num_threads(2)
    square = torch.randn(600, 600)
    assert torch.isfinite(square @ square).all()


@pytest.mark.timeout(90)
@pytest.mark.parametrize("threads", [None, "2"])
def test_fork_after_the_parent_has_tagged(
    clips: Clips, threads: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if threads:
        monkeypatch.setenv("OMP_NUM_THREADS", threads)  # each worker computes on two: in a fresh thread
    tagger = build_tagger("demo")
    tagger.tag({"array": synthesize("Siren", 3.0, 16_000, 1), "sampling_rate": 16_000})
    compute_on_two_threads()
    try:
        tagged = paths(clips).map(tagger, num_proc=2)
    finally:
        torch.set_num_threads(1)
    assert [tags[0] for tags in tagged["video_audio_tags"]] == list(LABELS)


def tags_siren(tagger: Tagger) -> None:
    assert tagger.tag({"array": synthesize("Siren", 3.0, 16_000, 1), "sampling_rate": 16_000}) == "Siren"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_fork_while_other_threads_hold_the_locks() -> None:
    """The child has the locks as they were, and no thread that would ever open them."""
    tagger = build_tagger("demo", device="cpu")
    tags_siren(tagger)
    child = multiprocessing.get_context("fork").Process(target=tags_siren, args=(tagger,))
    with memo._lock, models._lock, process._starting:
        child.start()
        child.join(30)
    has_ended = child.exitcode == 0
    child.kill()
    child.join()
    assert has_ended


SPAWNED = """
import multiprocess, sys
from datasets import Dataset
from hf_audio_tagger import build_tagger

if __name__ == "__main__":
    multiprocess.set_start_method("spawn")
    tagger = build_tagger("demo", batch_size=3)
    tagger.tag(sys.argv[1])
    rows = Dataset.from_dict({"video": sys.argv[1:]}).map(tagger, num_proc=2)
    print([tags[0] for tags in rows["video_audio_tags"]])
"""


@pytest.mark.campaign  # takes ten seconds
@pytest.mark.timeout(120)
def test_spawn(clips: Clips, tmp_path: Path) -> None:
    script = tmp_path / "spawned.py"
    script.write_text(SPAWNED)
    command = [sys.executable, str(script), *(str(clips[label]) for label in LABELS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert str(list(LABELS)) in done.stdout, done.stderr


def test_workers_share_the_cores(clips: Clips, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    tagger = build_tagger("demo")

    def with_shares(row: Any) -> Any:
        from hf_audio_tagger.process import core_share, is_forked

        return {**tagger(row), "share": core_share(), "main": torch.get_num_threads(), "forked": is_forked()}

    tagged = paths(clips).map(with_shares, num_proc=2)
    cores = len(os.sched_getaffinity(0))
    assert all(tagged["forked"])
    assert all(1 <= share <= max(1, cores // 2) for share in tagged["share"])
    assert set(tagged["main"]) == {1}


# --- devices, on a machine that need not have any


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A torch that counts two CUDA devices and notes who asks, on a machine that may have none."""
    asked: list[str] = []

    def count() -> int:
        asked.append("device_count")
        return 2

    monkeypatch.setattr(torch.cuda, "device_count", count)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: pytest.fail("it opens a context in the parent"))
    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: False)
    return asked


def test_a_worker_takes_its_ranks_device(two_gpus: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert [process.pick_device(None, rank) for rank in range(4)] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    assert process.pick_device("cuda:1", 0) == "cuda:1"
    assert process.pick_device("cpu", 1) == "cpu"
    monkeypatch.setattr(process, "find_worker", lambda: process.Worker(rank=3))
    assert process.pick_device(None, None) == "cuda:1"  # without with_rank=True


def test_devices_of_real_workers(clips: Clips, two_gpus: list[str]) -> None:
    def device(row: Any, rank: int | None = None) -> Any:
        return {"device": process.pick_device(None, rank)}

    for with_rank in (False, True):
        rows = paths(clips).map(device, num_proc=2, with_rank=with_rank, keep_in_memory=True)
        assert set(rows["device"]) == {"cuda:0", "cuda:1"}


def test_the_parent_of_a_fork_touches_no_cuda(clips: Clips, two_gpus: list[str]) -> None:
    tagger = build_tagger("demo", device="cpu")
    tagger.features(paths(clips).features)
    assert len(tagger.labels) >= 12
    paths(clips).map(tagger, num_proc=2)
    assert two_gpus == []


@pytest.mark.timeout(60)
def test_a_parent_that_used_cuda_is_told(
    clips: Clips, two_gpus: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", process.is_forked)
    with pytest.raises(ProcessError, match="spawn"):
        paths(clips).map(build_tagger("demo"), num_proc=2)


def test_a_device_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert process.pick_device(None, 5) == "cpu"
    with pytest.raises(SettingsError, match="no CUDA device"):
        process.pick_device("cuda:0", None)


# --- failures


@pytest.mark.timeout(60)
def test_a_workers_error_arrives_whole(clips: Clips) -> None:
    rows = Dataset.from_dict({"video": [str(clips["Siren"]), str(clips["broken"])]})
    with pytest.raises(MediaError, match=r"broken\.mp4: it is no readable media file"):
        rows.map(build_tagger("demo"), num_proc=2)


class UnpicklableError(Exception):
    """Such as HTTP errors of libraries: its constructor takes more than a message."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")


@pytest.mark.timeout(60)
def test_an_error_that_cannot_travel_arrives_in_our_words(
    clips: Clips, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: Any) -> Any:
        raise UnpicklableError(503, "come back later")

    monkeypatch.setattr(models, "load", load)
    monkeypatch.setattr(models, "_loaded", type(models._loaded)())
    with pytest.raises(TaggerError, match="UnpicklableError: 503 come back later"):
        paths(clips).map(build_tagger("demo"), num_proc=2)


def test_every_error_survives_pickle() -> None:
    import pickle

    import hf_audio_tagger
    from hf_audio_tagger.audioset.ontology import UnknownCategoryError

    ours = [getattr(hf_audio_tagger, name) for name in hf_audio_tagger.__all__ if name.endswith("Error")]
    assert len(ours) >= 6
    for kind in (*ours, UnknownCategoryError):
        error = pickle.loads(pickle.dumps(kind("what went wrong")))
        assert type(error) is kind
        assert str(error) == "what went wrong"


def test_the_model_is_loaded_once_in_a_process(clips: Clips, monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []
    load = models.load
    monkeypatch.setattr(models, "_loaded", type(models._loaded)())
    monkeypatch.setattr(models, "load", lambda *given: loads.append(given) or load(*given))
    tagger = build_tagger("demo")
    assert loads == []
    paths(clips).map(tagger)
    tagger.tag({"array": np.zeros(16_000, np.float32), "sampling_rate": 16_000})
    build_tagger("demo", top_k=3, batch_size=2, token="hf_x").tag(clips["Clicking"])
    assert len(loads) == 1


def test_decode_threads_leave_the_callers_thread_count_alone(clips: Clips) -> None:
    """In a fresh thread, whose count nobody has asked for before, and for threads to come."""
    from concurrent.futures import ThreadPoolExecutor

    tagger = build_tagger("demo", batch_size=2)
    tagger.tag(clips["Clicking"])
    torch.set_num_threads(2)
    try:
        with ThreadPoolExecutor(1) as fresh:
            fresh.submit(tagger.tag, [clips[label] for label in LABELS]).result()
            assert fresh.submit(torch.get_num_threads).result() == 2
        with ThreadPoolExecutor(1) as later:
            assert later.submit(torch.get_num_threads).result() == 2
    finally:
        torch.set_num_threads(1)


def test_other_threads_keep_their_count_while_a_call_computes(clips: Clips) -> None:
    """Threads that begin in the middle of a call, and those that begin after it, have the full count."""
    from concurrent.futures import ThreadPoolExecutor

    def count_of_a_new_thread() -> int:
        with ThreadPoolExecutor(1) as fresh:
            return fresh.submit(torch.get_num_threads).result()

    def work(_: int) -> tuple[int, int]:
        return torch.get_num_threads(), count_of_a_new_thread()

    torch.set_num_threads(2)
    try:
        assert on_every_core(work, range(4)) == [(1, 2)] * 4
        assert count_of_a_new_thread() == 2
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("can_reach_openmp", [True, False])
def test_threads_that_tag_at_once_leave_the_count_alone(
    clips: Clips, can_reach_openmp: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that begins inside of another and outlasts it, and then many at once."""
    from concurrent.futures import ThreadPoolExecutor

    if not can_reach_openmp:
        monkeypatch.setattr(process, "own_count_setters", tuple)
    tagger = build_tagger("demo", batch_size=2)
    tagger.tag(clips["Clicking"])
    torch.set_num_threads(2)
    inside = threading.Barrier(2, timeout=30)
    counts: list[int] = []

    def first() -> None:
        with process.one_thread_each(2, "first") as pool:
            pool.submit(torch.get_num_threads).result()
            inside.wait()  # the second begins here
            inside.wait()
        inside.wait()

    def second() -> None:
        inside.wait()
        counts.append(torch.get_num_threads())
        with process.one_thread_each(2, "second") as pool:
            counts.append(pool.submit(torch.get_num_threads).result())
            inside.wait()
            inside.wait()  # the first has ended
        counts.append(torch.get_num_threads())

    try:
        with ThreadPoolExecutor(2) as threads:
            for done in [threads.submit(first), threads.submit(second)]:
                done.result(timeout=60)
        assert counts == [2, 1, 2]
        sounds = [clips[label] for label in LABELS]
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(tagger.tag, [sounds] * 4, timeout=60)) == [list(LABELS)] * 4
        with ThreadPoolExecutor(1) as later:
            assert later.submit(torch.get_num_threads).result() == torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_a_thread_of_its_own_count_multiplies_matrices_on_it_alone() -> None:
    """The count is OpenMP's and MKL's too: the time of all threads is that of the one."""
    import time

    def times() -> tuple[float, float]:
        matrix = torch.randn(700, 700)
        signal = torch.randn(200, 16_000)
        started = time.process_time(), time.thread_time()
        for _ in range(3):
            matrix @ matrix
            torch.fft.rfft(signal)
            signal.sin()
        return time.process_time() - started[0], time.thread_time() - started[1]

    torch.set_num_threads(2)
    try:
        with process.one_thread_each(1, "alone") as pool:
            of_all, of_one = pool.submit(times).result()
    finally:
        torch.set_num_threads(1)
    assert of_all < 1.2 * of_one + 0.02


def test_every_core_gets_its_own_part_and_the_rest_goes_to_all() -> None:
    seen: list[tuple[int, str, int]] = []

    def work(part: int) -> int:
        seen.append((part, threading.current_thread().name, torch.get_num_threads()))
        return part**2

    torch.set_num_threads(2)
    try:
        assert on_every_core(work, range(5)) == [0, 1, 4, 9, 16]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    here = threading.current_thread().name
    assert {(part, name == here, threads) for part, name, threads in seen} == {
        *((part, False, 1) for part in range(4)),
        (4, True, 2),
    }


def test_a_part_that_fails_ends_the_work() -> None:
    def fail(part: int) -> None:
        raise ValueError(f"part {part}")

    torch.set_num_threads(2)
    try:
        with pytest.raises(ValueError, match="part 0"):
            on_every_core(fail, range(4))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
