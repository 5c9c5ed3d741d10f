"""Clusters without Ray: how workers divide nodes, what the board keeps, and what a node is asked."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_runs import TAGGER, write_clips

import hf_audio_tagger
from hf_audio_tagger import ProcessError, RayCluster, SettingsError, build_tagger, tag_dataset
from hf_audio_tagger.executors import open_workers
from hf_audio_tagger.executors.cluster import Node, WorkerSize, size_workers
from hf_audio_tagger.executors.contract import JobProgress
from hf_audio_tagger.executors.ray.board import MOST_DEATHS, Board
from hf_audio_tagger.runs import node_probe
from hf_audio_tagger.runs.node_probe import NodeProbe, make_probe, marked
from hf_audio_tagger.sources import open_source


def nodes(*sizes: tuple[float, float]) -> list[Node]:
    return [Node(str(number), f"node-{number}", *size) for number, size in enumerate(sizes)]


CPUS = nodes((8, 0), (8, 0))
GPUS = nodes((0, 0), (32, 4), (32, 4))


@pytest.mark.parametrize(
    ("hosts", "count", "device", "size"),
    [
        (CPUS, None, None, WorkerSize(2, 8)),  # one a node, with all its cores
        (CPUS, 4, None, WorkerSize(4, 4)),
        (CPUS, 3, "cpu", WorkerSize(3, 4)),
        (CPUS, 16, None, WorkerSize(16, 1)),
        (CPUS, 32, None, WorkerSize(32, 0.5)),
        (CPUS, 1, None, WorkerSize(1, 8)),
        (nodes((16, 0), (64, 0)), None, None, WorkerSize(5, 16)),  # of one size
        (nodes((0, 0), (4, 0)), None, None, WorkerSize(1, 4)),  # a head without tasks
        (GPUS, None, None, WorkerSize(8, 8, 1)),  # one a GPU
        (GPUS, None, "cuda", WorkerSize(8, 8, 1)),
        (GPUS, 2, None, WorkerSize(2, 8, 1)),
        (GPUS, 16, None, WorkerSize(16, 4, 0.5)),  # fractions where more are asked
        (GPUS, 24, None, WorkerSize(24, 2, 0.3333)),
        (nodes((4, 0), (2, 4)), None, None, WorkerSize(4, 0.5, 1)),
        (GPUS, None, "cpu", WorkerSize(2, 32)),
    ],
)
def test_workers_divide_the_nodes(
    hosts: list[Node], count: int | None, device: str | None, size: WorkerSize
) -> None:
    assert size_workers(hosts, count, device, RayCluster()) == size


def test_a_workers_size_can_be_given() -> None:
    assert size_workers(CPUS, None, None, RayCluster(cpus_per_worker=2)) == WorkerSize(8, 2)
    assert size_workers(GPUS, None, None, RayCluster(gpus_per_worker=0.25)) == WorkerSize(32, 2, 0.25)
    assert size_workers(GPUS, 8, None, RayCluster(cpus_per_worker=3)) == WorkerSize(8, 3, 1)


@pytest.mark.parametrize(
    ("hosts", "device", "reason"),
    [
        (CPUS, "cuda", "no node of the cluster has a GPU"),
        (GPUS, "cuda:1", "device='cuda'"),
        (nodes((0, 0)), None, "has a CPU"),
    ],
)
def test_nodes_that_have_no_place_for_workers(hosts: list[Node], device: str | None, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        size_workers(hosts, None, device, RayCluster())


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"address": "ray://head:10001"}, "ray job submit"),
        ({"address": "head"}, "must be 'auto', 'local' or the address"),
        ({"address": ""}, "must be"),
        ({"cpus_per_worker": 0}, "cpus_per_worker must be a number above 0"),
        ({"gpus_per_worker": -1.0}, "gpus_per_worker must be"),
    ],
)
def test_wrong_clusters_are_refused(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        RayCluster(**wrong)


def test_ray_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("hf_audio_tagger.executors.ray.find_spec", lambda name: None)
    with (
        pytest.raises(ProcessError, match=r'pip install "hf-audio-tagger\[ray\]"'),
        open_workers(2, RayCluster()),
    ):
        pass


def test_ray_is_imported_only_when_asked_for() -> None:
    code = "import sys, hf_audio_tagger.runs, hf_audio_tagger.cli; print('ray' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False"]


def test_streams_are_read_by_one_process(tmp_path: Path) -> None:
    stream = open_source(write_clips(tmp_path / "clips")).dataset.to_iterable_dataset()
    with pytest.raises(SettingsError, match="executor="):
        tag_dataset(stream, tmp_path / "out", TAGGER, executor=RayCluster())


# --- the board


def make_board(*jobs: int) -> Board:
    return Board(2, {job: b"job %d" % job for job in jobs})


def test_a_worker_that_is_restarted_keeps_its_rank() -> None:
    one = make_board()
    assert [one.join(name) for name in ("a", "b", "a", "b")] == [0, 1, 0, 1]
    assert one.join("c") in (0, 1)  # in place of a lost one


def test_tasks_take_jobs_in_order_until_none_is_left() -> None:
    one = make_board(3, 5, 8)
    assert [one.begin(0, ""), one.begin(1, "")] == [b"job 3", b"job 5"]
    assert one.end(1, "", 5, [], True, None) == b"job 8"  # the other one's job is long
    assert one.end(1, "", 8, [], True, None) is None
    assert one.end(0, "", 3, [], True, None) is None
    assert (one.take().done_jobs, one.take().lost_jobs) == (3, ())


def test_a_lost_workers_job_is_given_to_the_next_that_asks() -> None:
    one = make_board(0, 1, 2)
    assert [one.begin(0, ""), one.begin(1, "")] == [b"job 0", b"job 1"]
    assert one.begin(0, "") == b"job 0"
    assert one.end(0, "", 0, [], True, None) == b"job 2"


def test_a_worker_that_was_taken_for_lost_gets_no_more_jobs() -> None:
    one = make_board(0, 1, 2)
    one.begin(0, "first")
    one.begin(0, "second")  # in another worker, the same job
    assert one.end(0, "first", 0, [], True, None) is None
    assert one.end(0, "second", 0, [], True, None) == b"job 1"
    assert one.begin(0, "third") == b"job 1"  # the second is watched, and lost in turn
    assert one.end(0, "third", 1, [], True, None) == b"job 2"
    assert one.take().done_jobs == 2


def test_a_job_that_a_worker_leaves_is_there_for_the_others() -> None:
    """A worker that has waited for the board too long begins nothing else, of which it would do nothing."""
    one = make_board(0, 1)
    assert [one.begin(0, ""), one.begin(1, "")] == [b"job 0", b"job 1"]
    assert one.end(0, "", 0, [], False, None) is None
    assert one.end(1, "", 1, [], True, None) == b"job 0"
    assert one.end(1, "", 0, [], True, None) is None
    assert (one.take().done_jobs, one.take().lost_jobs) == (2, ())


def test_a_job_in_which_three_workers_were_lost_is_given_up() -> None:
    one = make_board(5, 6)
    assert [one.begin(0, "") for _ in range(MOST_DEATHS + 1)] == [*[b"job 5"] * MOST_DEATHS, b"job 6"]
    assert one.take().lost_jobs == (5,)


def test_the_latest_report_of_each_job_is_taken_once() -> None:
    one = make_board(0, 1)
    assert not one.report([JobProgress(0, 1, 0), JobProgress(1, 1, 0)])
    one.report([JobProgress(0, 2, 1)])
    assert set(one.take().reports) == {JobProgress(0, 2, 1), JobProgress(1, 1, 0)}
    assert one.take().reports == ()
    one.begin(0, "")
    one.end(0, "", 0, [JobProgress(0, 3, 1)], True, None)
    one.report([JobProgress(0, 2, 1)])  # comes late
    assert one.take().reports == (JobProgress(0, 3, 1),)
    assert one.take().silent_seconds < 60


def test_an_error_stops_the_workers() -> None:
    one = make_board(0, 1, 2)
    one.begin(0, "")
    one.begin(1, "")
    assert one.end(0, "", 0, [], False, b"an error") is None
    assert one.take().errors == (b"an error",)
    assert one.report([]) is True
    assert one.end(1, "", 1, [], False, None) is None  # it keeps what it has
    assert one.begin(2, "") is None


# --- what a node is asked


@pytest.fixture
def probe(tmp_path: Path) -> NodeProbe:
    clips, dest = write_clips(tmp_path / "clips"), tmp_path / "dest"
    dest.mkdir()
    return make_probe(open_source(clips), TAGGER, dest)


def test_a_node_that_is_like_this_machine(probe: NodeProbe, tmp_path: Path) -> None:
    with marked(probe) as there:
        assert there is not None
        assert there.mark is not None
        assert there() == []
        assert there.mark.exists()
    assert not list(tmp_path.rglob("*.tmp"))


def test_other_files_of_the_model_are_told(probe: NodeProbe, tmp_path: Path) -> None:
    assert "are not those of this machine" in replace(probe, fingerprint="other")()[0]
    folder = tmp_path / "model"
    shutil.copytree(Path(hf_audio_tagger.__file__).parent / "demo" / "checkpoint", folder)
    missing = replace(probe, tagger=build_tagger(folder))
    shutil.rmtree(folder)
    assert f"the model {str(folder)!r} cannot be used there" in missing()[0]


def test_a_source_that_a_node_does_not_see_is_told(probe: NodeProbe, tmp_path: Path) -> None:
    clips = sorted((tmp_path / "clips").iterdir())
    clips[-1].write_bytes(b"another")
    assert "has other files there (row 9)" in probe()[0]
    clips[0].unlink()
    assert "(row 0: no such file)" in probe()[0]


def test_another_folder_on_a_node_is_told(probe: NodeProbe, tmp_path: Path) -> None:
    with marked(probe) as there:
        assert there is not None
        assert "not the one of this machine" in replace(there, text="another")()[0]
        assert there.mark is not None
        there.mark.unlink()
        assert "all nodes must share it" in there()[0]
    (tmp_path / "file").touch()
    assert "it cannot write to" in replace(probe, folder=tmp_path / "file")()[0]


def test_a_full_disk_of_a_node_is_told(probe: NodeProbe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_probe, "FREE_BYTES", 1 << 80)
    assert "there is no room there: the disk at" in probe()[0]
