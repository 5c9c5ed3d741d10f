"""Run jobs on a Ray cluster, with Ray Data as the scheduler.

Jobs are small descriptions, so no media enter the object store, and results are what the work itself writes.
Workers take jobs from a board (`board.py`). Ray starts lost workers again, without an end; the board hands
out the job of a lost one again, and gives up a job in which three were lost. The other jobs are then still
done, and the run ends with an error.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from ...errors import ProcessError
from ..cluster import RayCluster, size_workers
from ..contract import Workers


@contextmanager
def connect(cluster: RayCluster, num_proc: int | None, device: str | None) -> Iterator[Workers]:
    """The workers of a cluster. A program that is connected to one already stays so."""
    if find_spec("ray") is None:
        raise ProcessError('A Ray cluster needs pip install "hf-audio-tagger[ray]", here and on its nodes.')
    from .connection import connected
    from .driver import ClusterRun
    from .nodes import read_nodes

    with connected(cluster.address):
        nodes = read_nodes()
        run = ClusterRun(size_workers(nodes, num_proc, device, cluster), nodes, device)
        yield Workers(run.size.count, run.execute, run.check)
