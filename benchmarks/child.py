"""The parent's side of a measurement: subjects in processes of their own, asked in turn.

The parent imports nothing heavy. On Linux a child's peak memory begins at what its parent had when it
was started, so a parent with torch in it would be measured along.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LONGEST_ANSWER_SECONDS = 1200
LOG_LINES_SHOWN = 5

Job = Mapping[str, Any]


class NotMeasuredError(Exception):
    """A subject that cannot run here. The message says why."""


@dataclass(frozen=True)
class Subject:
    """A module of `benchmarks.subjects` and what it is started with."""

    module: str
    settings: Mapping[str, Any]
    python: str = sys.executable
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    seconds: float
    cpu_seconds: float  # of all threads
    peak_mb: float  # of the process, since it began
    values: dict[str, Any]  # what else the subject returned


class Child:
    """A running subject."""

    def __init__(self, subject: Subject, log: Path) -> None:
        self.subject, self.log = subject, log
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [
            subject.python,
            "-m",
            f"benchmarks.subjects.{subject.module}",
            json.dumps(subject.settings),
        ]
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **QUIET_AND_OFFLINE, **subject.environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.receive()

    def ask(self, job: Job) -> Answer:
        """Have a job done, and what it took."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError as error:
            raise self.failure() from error
        values = self.receive()
        return Answer(values.pop("seconds"), values.pop("cpu_seconds"), values.pop("peak_mb"), values)

    def receive(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        watchdog = threading.Timer(LONGEST_ANSWER_SECONDS, self.process.kill)
        watchdog.start()
        try:
            line = self.process.stdout.readline()
        finally:
            watchdog.cancel()
        if not line:
            raise self.failure()
        values: dict[str, Any] = json.loads(line)
        if "failed" in values:
            raise NotMeasuredError(values["failed"])
        return values

    def failure(self) -> NotMeasuredError:
        code = self.process.wait()
        lines = self.log.read_text(errors="replace").strip().splitlines()[-LOG_LINES_SHOWN:]
        return NotMeasuredError(f"{self.subject.module} ended with code {code}: {' / '.join(lines)}")

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


QUIET_AND_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "PYTHONWARNINGS": "ignore",
}


@dataclass(frozen=True)
class Runs:
    """The answers of subjects that were asked the same in turn, round by round."""

    answers: dict[str, list[Answer]]
    left_out: dict[str, str]  # why a subject could not run

    def seconds(self, name: str) -> float:
        return median(answer.seconds for answer in self.answers[name])

    def peak_mb(self, name: str) -> float:
        return max(answer.peak_mb for answer in self.answers[name])

    def times_faster(self, name: str, other: str) -> float:
        """How much sooner `name` is through than `other`: the median over the rounds."""
        pairs = zip(self.answers[name], self.answers[other], strict=True)
        return median(theirs.seconds / ours.seconds for ours, theirs in pairs)

    def fastest(self, names: Sequence[str]) -> str:
        return min((name for name in names if name in self.answers), key=self.seconds)

    def notes(self) -> list[str]:
        return [f"{name} was left out: {why}." for name, why in self.left_out.items()]


def ask_in_turn(
    subjects: Mapping[str, Subject | NotMeasuredError],
    job: Job | Mapping[str, Job],
    rounds: int,
    logs: Path,
) -> Runs:
    """Start all, then ask each once a round, every other round in the opposite order.

    `job` is one for all, or one for each name. What cannot run is left out, with the reason.
    """
    children: dict[str, Child] = {}
    answers: dict[str, list[Answer]] = {}
    left_out: dict[str, str] = {}
    with ExitStack() as stack:
        for name, subject in subjects.items():
            try:
                if isinstance(subject, NotMeasuredError):
                    raise subject
                children[name] = start(subject, logs, stack)
            except NotMeasuredError as reason:
                left_out[name] = str(reason)
        for turn in range(rounds):
            for name in list(children)[:: -1 if turn % 2 else 1]:
                try:
                    answers.setdefault(name, []).append(children[name].ask(job.get(name, job)))
                except NotMeasuredError as reason:
                    left_out[name] = str(reason)
                    children.pop(name)
                    answers.pop(name)
    order = [name for name in subjects if name in answers]
    return Runs({name: answers[name] for name in order}, left_out)


def start(subject: Subject, logs: Path, stack: ExitStack) -> Child:
    """A child that is closed with the stack."""
    child = Child(subject, logs / f"{subject.module}.log")
    stack.callback(child.close)
    return child


def ask_once(subject: Subject, job: Job, logs: Path) -> Answer:
    """Start a subject, have one job done and close it."""
    with ExitStack() as stack:
        return start(subject, logs, stack).ask(job)
