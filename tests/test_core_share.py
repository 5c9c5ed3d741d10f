"""How many threads a process may compute on, what rank it has, and how its workers begin."""

import multiprocessing
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import multiprocess
import pytest
import torch

from hf_audio_tagger import process


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine of eight cores, on which nothing is said of threads."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    process.find_worker.cache_clear()
    yield
    process.find_worker.cache_clear()


@pytest.fixture
def as_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process as the third worker of a pool."""
    monkeypatch.setattr(process, "read_pool_identity", lambda: (1, 3))


def with_children(count: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system on which this process's parent has so many children; what is no child has odd names."""
    parent = os.getppid()
    stats = [f"{number} (a) b ({number}) S {parent} 0" for number in range(count)]
    stats += [f"90 ({parent}) S 1 {parent}", f"91 (x S {parent}) S 4{parent} 0"]
    for number, stat in enumerate(stats):
        (folder / str(number)).mkdir(parents=True)
        (folder / str(number) / "stat").write_text(stat)
    (folder / "92" / "stat").mkdir(parents=True)  # as one that has just ended, it cannot be read
    (folder / "93").mkdir()
    (folder / "93" / "stat").write_bytes(b"93 (cut in a \xc3) S 1 93")  # names are cut after 15 bytes
    (folder / "self").mkdir()
    (folder / "self" / "stat").write_text(stats[0])
    monkeypatch.setattr(process, "Path", lambda path: folder if path == "/proc" else Path(path))


def test_a_process_that_is_no_worker_has_all_cores_and_rank_0() -> None:
    assert process.core_share() == 8
    assert process.current_worker().rank == 0


def test_all_cores_where_the_system_does_not_say_which_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert process.core_share() == 6


@pytest.mark.parametrize("module", [multiprocess, multiprocessing])
def test_a_worker_is_known_whichever_library_began_it(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = SimpleNamespace(name="Worker-2", _identity=(2,))
    monkeypatch.setattr(module, "current_process", lambda: worker)
    assert process.is_worker()
    assert process.current_worker().rank == 1


@pytest.mark.usefixtures("as_worker")
@pytest.mark.parametrize(("children", "share"), [(1, 8), (2, 8), (3, 4), (5, 2), (7, 1), (30, 1)])
def test_workers_have_equal_parts_of_the_cores(
    children: int, share: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the parent's children is the pool's manager."""
    with_children(children, tmp_path / "proc", monkeypatch)
    assert process.core_share() == share
    assert process.current_worker().rank == 2


@pytest.mark.usefixtures("as_worker")
def test_where_the_system_does_not_say_a_worker_takes_one_core(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(process, "Path", lambda _: tmp_path)
    assert process.core_share() == 1


@pytest.mark.parametrize(("asked", "threads"), [("3", 3), ("1", 1), ("0", 1), ("4,2", 1), ("", 8)])
def test_a_number_of_threads_that_is_asked_for_is_taken(
    asked: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert process.core_share() == threads


def test_workers_are_spawned_where_a_fork_would_inherit_what_it_cannot_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(process, "_used_openvino", set())
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    assert process.start_method() == "fork"
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    assert process.start_method() == "spawn"
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    process.note_openvino()
    assert process.start_method() == "spawn"
    monkeypatch.setattr(process, "_used_openvino", set())
    monkeypatch.setattr(sys, "platform", "darwin")
    assert process.start_method() == "spawn"


def test_a_fork_of_a_process_that_ran_openvino_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_used_openvino", set())
    for is_forked in (False, True):
        monkeypatch.setattr(process, "_forked", is_forked)
        process.note_openvino()
        assert not process.inherits_openvino()  # its own
    process._used_openvino.add(os.getppid())
    assert process.inherits_openvino()
    monkeypatch.setattr(process, "_forked", False)
    assert not process.inherits_openvino()  # a spawned one begins afresh
