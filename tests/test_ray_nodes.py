"""Nodes that differ, on a real cluster, and what a run puts into its object store."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ray_clusters import NODE, Nodes, started, wait_until
from small_runs import TAGGER, write_clips

import hf_audio_tagger
from hf_audio_tagger import build_tagger, tag_dataset
from hf_audio_tagger.errors import RunError
from hf_audio_tagger.runs import Progress, Watcher

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(150)]

TOLD_SECONDS = 30.0  # from the start
CLIP_BYTES, CLIPS = 5_000_000, 200

# `ray start` joins no cluster on the loopback address; this is what it does.
NODE_SCRIPT = """
import sys, time
from ray._private.node import Node
from ray._private.parameter import RayParams

params = RayParams(
    gcs_address=sys.argv[1],
    num_cpus=1,
    node_name="elsewhere",
    object_store_memory=int(sys.argv[2]),
    min_worker_port=0,
    max_worker_port=0,
    include_log_monitor=False,
)
node = Node(params, head=False, shutdown_at_exit=True, spawn_reaper=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with started("head") as nodes:
        yield nodes


def find_problems(nodes: Nodes, source: Path, dest: Path) -> str:
    """What a run says of its nodes, before any clip is scored."""
    start = time.monotonic()
    with pytest.raises(RunError) as caught:
        tag_dataset(source, dest, TAGGER, executor=nodes.executor)
    assert time.monotonic() - start < TOLD_SECONDS
    assert not list((dest / "data").iterdir())
    assert not list(dest.rglob("*.tmp"))
    return str(caught.value)


@contextmanager
def node_elsewhere(nodes: Nodes, mount: str) -> Iterator[None]:
    """A node that has other files in some folder, where a mount of its own alone is."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("this user cannot give a process folders of its own (unshare -m)")
    command = [sys.executable, "-c", NODE_SCRIPT, nodes.executor.address, str(NODE["object_store_memory"])]
    node = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: nodes.count_alive() == 2)
        yield
    finally:
        os.killpg(node.pid, signal.SIGTERM)
        try:
            node.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(node.pid, signal.SIGKILL)
            node.wait()
        wait_until(lambda: nodes.count_alive() == 1)


def test_another_version_of_the_package(nodes: Nodes, tmp_path: Path) -> None:
    other = tmp_path / "hf_audio_tagger"
    other.mkdir()
    (other / "__init__.py").write_text('__version__ = "0.0.7"\n')
    with node_elsewhere(nodes, f"mount --bind {other} {Path(hf_audio_tagger.__file__).parent}"):
        text = find_problems(nodes, write_clips(tmp_path / "clips"), tmp_path / "out")
    assert "Node elsewhere (127.0.0.1): it has hf_audio_tagger 0.0.7" in text
    assert "head" not in text


def test_a_folder_and_a_source_that_a_node_does_not_share(nodes: Nodes, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    with node_elsewhere(nodes, f"mount -t tmpfs none {shared}"):
        text = find_problems(nodes, write_clips(tmp_path / "clips"), shared / "out")
        assert "Node elsewhere (127.0.0.1): its folder" in text
        assert "all nodes must share it" in text
        text = find_problems(nodes, write_clips(shared / "clips"), tmp_path / "out")
        assert "Node elsewhere (127.0.0.1): the source" in text
        assert "no such file" in text


def test_media_stay_out_of_the_object_store(nodes: Nodes, tmp_path: Path) -> None:
    """200 clips of 5 MB: less than 10 MB, where the media are 1 GB."""
    import ray

    sound = write_clips(tmp_path / "one") / "00.mp4"
    first = tmp_path / "clips" / "0.mp4"
    first.parent.mkdir()
    data = sound.read_bytes()
    free = CLIP_BYTES - len(data)  # a box that players skip
    first.write_bytes(data + free.to_bytes(4, "big") + b"free" + bytes(free - 8))
    for number in range(1, CLIPS):
        os.link(first, first.with_name(f"{number}.mp4"))
    most: list[float] = []

    class Watching(Watcher):
        def progressed(self, progress: Progress) -> None:
            total = ray.cluster_resources()["object_store_memory"]
            most.append(total - ray.available_resources()["object_store_memory"])

    tagger = build_tagger("demo", batch_size=4, device="cpu")
    summary = tag_dataset(
        first.parent, tmp_path / "out", tagger, shard_rows=20, executor=nodes.executor, watcher=Watching()
    )
    assert summary.tagged == CLIPS
    assert most
    assert max(most) < 10_000_000
