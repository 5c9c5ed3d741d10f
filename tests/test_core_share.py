"""How many threads a process may compute on, what rank it has, and how its workers begin."""

import multiprocessing
import os
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import multiprocess
import pytest
import torch

from hf_audio_tagger import process


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of eight cores, on which nothing is said of threads or workers."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(process, "_worker", None)
    monkeypatch.setattr(process, "_mapping", None)


@pytest.fixture
def as_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process as the third worker of a pool."""
    monkeypatch.setattr(process, "read_pool_identity", lambda: (1, 3))


def call_in_map(function: Callable[[], object], part: str | None) -> Any:
    """Call a function as `Dataset.map` does for a part that has such a fingerprint."""
    names: dict[str, Any] = {"__name__": "datasets.arrow_dataset", "function": function}
    exec("def _map_single(new_fingerprint):\n    return function()", names)
    return names["_map_single"](part)


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
@pytest.mark.parametrize(("count", "share"), [(1, 8), (2, 4), (3, 2), (5, 1), (30, 1)])
def test_a_maps_workers_have_equal_parts_of_the_cores(count: int, share: int) -> None:
    """They are told by the map, also after its function has gone on to a thread."""
    worker = call_in_map(process.current_worker, f"abc_of_00000_of_{count:05d}")
    assert worker == process.Worker(0, count, share)
    assert process.core_share() == share
    assert process.current_worker() == worker


@pytest.mark.usefixtures("as_worker")
@pytest.mark.parametrize("part", [None, "abc", "abc_00001"])
def test_a_worker_that_is_not_told_of_the_others_takes_one_core(part: str | None) -> None:
    worker = call_in_map(process.current_worker, part)
    assert worker == process.Worker(rank=2, world_size=None, cores=1)
    assert process.core_share() == 1


def test_parts_of_a_map_that_one_process_does_have_all_cores() -> None:
    """As when a map goes on without workers where its cache has some parts of a former one."""
    for rank in range(3):
        assert call_in_map(process.current_worker, f"abc_{rank:05d}_of_00003") == process.Worker(cores=8)


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
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    assert process.start_method() == "fork"
    monkeypatch.setitem(sys.modules, "ray", ModuleType("ray"))
    assert process.start_method() == "spawn"
    monkeypatch.delitem(sys.modules, "ray")
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
