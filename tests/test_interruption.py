"""SIGTERM interrupts a command, and ends the workers that it forked. Each test has a process of its own."""

import signal
import subprocess
import sys

START = """
import contextlib, multiprocessing, os, signal, time
from hf_audio_tagger.cli.interruption import interrupted_by_sigterm
"""

WORKER = """
def swallow_interrupts(is_ready):
    end = time.monotonic() + 20
    is_ready.set()
    while time.monotonic() < end:
        with contextlib.suppress(KeyboardInterrupt):
            time.sleep(0.1)

fork = multiprocessing.get_context("fork")
is_ready = fork.Event()
with interrupted_by_sigterm():
    worker = fork.Process(target=swallow_interrupts, args=(is_ready,))
    worker.start()
    assert is_ready.wait(20)
    worker.terminate()
    worker.join(10)
print(worker.exitcode)
"""

COMMAND = """
before = signal.getsignal(signal.SIGTERM)
try:
    with interrupted_by_sigterm():
        signal.raise_signal(signal.SIGTERM)
except KeyboardInterrupt:
    print("interrupted", signal.getsignal(signal.SIGTERM) is before)
"""


def run_script(text: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", START + text], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


def test_a_forked_worker_dies_also_where_an_exception_would_be_swallowed() -> None:
    assert run_script(WORKER) == str(-signal.SIGTERM)


def test_the_command_itself_is_interrupted_and_the_handler_is_put_back() -> None:
    assert run_script(COMMAND) == "interrupted True"
