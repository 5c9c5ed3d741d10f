"""SIGTERM interrupts a command, and ends the workers that it forked."""

import contextlib
import multiprocessing
import signal
import time
from typing import Any

import pytest

from hf_audio_tagger.cli.interruption import interrupted_by_sigterm


def swallow_interrupts(is_ready: Any) -> None:
    end = time.monotonic() + 20
    is_ready.set()
    while time.monotonic() < end:
        with contextlib.suppress(KeyboardInterrupt):
            time.sleep(0.1)


def test_a_forked_worker_dies_also_where_an_exception_would_be_swallowed() -> None:
    fork = multiprocessing.get_context("fork")
    is_ready = fork.Event()
    with interrupted_by_sigterm():
        worker = fork.Process(target=swallow_interrupts, args=(is_ready,))
        worker.start()
        assert is_ready.wait(20)
        worker.terminate()
        worker.join(10)
    is_dead = not worker.is_alive()
    worker.kill()
    assert is_dead
    assert worker.exitcode == -signal.SIGTERM


def test_the_command_itself_is_interrupted_and_the_handler_is_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), interrupted_by_sigterm():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
