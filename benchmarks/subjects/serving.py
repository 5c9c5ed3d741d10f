"""The child's side of a measurement: jobs come in as lines of JSON, answers go out likewise.

Nothing but the standard library: the peer's environment runs this too.
"""

import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Job = dict[str, Any]
Run = Callable[[Job], dict[str, Any]]

KIB_PER_UNIT = 1 / 1024 if sys.platform == "darwin" else 1  # macOS counts bytes


def serve(prepare: Callable[[Job], Run]) -> None:
    """Prepare (load, warm up), say so, then do jobs until the input ends.

    An answer has what the job returned, its time and the peak of memory. A job that times a part of itself
    returns its own "seconds".
    """
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer

    def answer(values: Job) -> None:
        answers.write(json.dumps(values) + "\n")

    try:
        run = prepare(json.loads(sys.argv[1]))
        answer({"ready": True})
        for line in sys.stdin:
            job = json.loads(line)
            cpu_before, started = cpu_seconds(), time.perf_counter()
            values = run(job)
            taken = {"seconds": time.perf_counter() - started, "cpu_seconds": cpu_seconds() - cpu_before}
            answer({**taken, "peak_mb": peak_mb(), **values})
    except Exception as error:
        answer({"failed": f"{type(error).__name__}: {error}"[:500]})
        raise


def cpu_seconds() -> float:
    """Of every thread of this process and of children that ended."""
    return sum(os.times()[:4])


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB_PER_UNIT / 1024


def resident_mb() -> float:
    """What is in memory now; the peak where the system does not tell."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        return peak_mb()


def anonymous_mb() -> float:
    """What is in memory now apart from files that are mapped; all of it where the system does not tell."""
    try:
        with open("/proc/self/status") as file:
            lines = dict(line.split(":", 1) for line in file)
        return float(lines["RssAnon"].split()[0]) / 1024
    except (OSError, KeyError):
        return resident_mb()


@contextmanager
def sample_peak(measure: Callable[[], float], every_seconds: float = 0.01) -> Iterator[list[float]]:
    """The highest value of a measure while the block runs, in a list of one."""
    peak, is_over = [measure()], threading.Event()

    def sample() -> None:
        while not is_over.wait(every_seconds):
            peak[0] = max(peak[0], measure())

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield peak
    finally:
        is_over.set()
        sampler.join()
