"""`kill`: SIGKILL at random moments, to a run, to its workers or to both; then the same command again.

A round has one DEST. Its command is killed and begun again until it ends by itself; what it has made by
then must be what a run makes that nobody has killed.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.outcome import Figure, Row

from .commands import (
    Command,
    difference,
    find_half_written,
    find_leftovers,
    read_result,
    run_to_end,
    start,
    state_folder,
)
from .materials import write_clips, write_rows
from .options import Options
from .report import Broken, Report
from .stand_in import warm

FULL_COUNT = 50
CLIPS = 24
MOST_STARTS = 40  # of the command in one round
DONE, STOPPED = (0, 3), 2  # exit codes: done, done with failed rows; the run could not go on
AFTER_TEMPORARY_SECONDS = 0.01

RUN = ("--model", "demo", "--device", "cpu", "--batch-size", "3")
TAG = (*RUN, "--shard-rows", "5", "--top-k", "3", "--embeddings")
# What is run, by the form of its result: the command for (clips, rows, DEST), and DEST's name.
FORMS: Mapping[str, tuple[Callable[[Path, Path, Path], list[str]], str]] = {
    "folder": (lambda clips, _, dest: ["tag", str(clips), "--out", str(dest), *TAG], "out"),
    "jsonl": (lambda clips, _, dest: ["tag", str(clips), "--out", str(dest), *TAG], "out.jsonl"),
    "parquet": (lambda clips, _, dest: ["tag", str(clips), "--out", str(dest), *TAG], "out.parquet"),
    "label": (lambda clips, _, dest: ["label", str(clips), "--out", str(dest), *RUN], "out"),
    "streaming": (lambda _, rows, dest: ["tag", str(rows), "--streaming", "--out", str(dest), *TAG], "out"),
}


@dataclass(frozen=True)
class Reference:
    """What rounds of one form share: their command, and what it makes when it is left alone."""

    form: str
    command: Callable[[Path], list[str]]  # for a DEST
    dest_name: str
    expected: Any
    seconds: float  # that it takes


@dataclass
class Round:
    """A DEST, and what was done to the runs that made it."""

    number: int
    reference: Reference
    dest: Path
    processes: int
    random: Random
    kills: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    @property
    def command(self) -> list[str]:
        return [*self.reference.command(self.dest), "--num-proc", str(self.processes)]


def run(options: Options) -> Report:
    """The campaign."""
    warm()
    count = FULL_COUNT if options.count is None else options.count
    clips = write_clips(options.folder / "clips", CLIPS)
    rows = write_rows(options.folder / "rows.jsonl", clips)
    references: dict[str, Reference] = {}
    rounds: list[Round] = []
    for number in [int(options.only)] if options.only is not None else range(10 * count):
        if options.is_over or sum(one.kills.total() for one in rounds) >= count:
            break
        form = list(FORMS)[number % len(FORMS)]
        if form not in references:
            references[form] = run_reference(form, clips, rows, options.folder)
        rounds.append(run_round(number, references[form], options))
    return make_report(rounds, options)


def run_reference(form: str, clips: Path, rows: Path, folder: Path) -> Reference:
    """Run the command once, left alone."""
    make, dest_name = FORMS[form]
    home = folder / f"{form}-uninterrupted"
    home.mkdir()
    begun = time.monotonic()
    command = run_to_end(make(clips, rows, home / dest_name), home / "log.txt")
    if command.code not in DONE:
        raise RuntimeError(f"The {form} run that nobody kills: {command.describe_end()}")
    return Reference(
        form, partial(make, clips, rows), dest_name, read_result(home / dest_name), time.monotonic() - begun
    )


def run_round(number: int, reference: Reference, options: Options) -> Round:
    """Kill and begin again until the run ends by itself, then compare."""
    random = Random(f"{options.seed}/round/{number}")
    home = options.folder / f"round-{number}"
    home.mkdir()
    processes = 1 if reference.form == "streaming" else 1 + number // len(FORMS) % 2
    round = Round(number, reference, home / reference.dest_name, processes, random)
    for turn in range(MOST_STARTS):
        command = start(round.command, home / f"log-{turn}.txt")
        try:
            kill_sometime(command, round)
            if not command.wait():
                round.faults.append("it does not end")
        finally:
            if not command.is_over:
                command.end()
        if not command.ended_with_workers():
            round.faults.append("workers outlive their run")
        round.faults += [f"{path} is not whole after a kill" for path in find_half_written(round.dest)]
        if command.code in DONE:
            round.faults += faults_at_end(round)
            break
        if command.code is not None and command.code >= 0 and command.code != STOPPED:
            round.faults.append(command.describe_end())
            break
    else:
        round.faults.append(f"it has not ended after {MOST_STARTS} starts")
    return round


def kill_sometime(command: Command, round: Round) -> None:
    """At one moment the whole run, or at some moments a worker of it; or at none, where it is too late."""
    who = round.random.choice(("run", "run and workers", "worker", "worker"))
    for _ in range(round.random.randint(1, 3) if who == "worker" else 1):
        if wait_for_moment(command, round):
            return
        if who == "worker":
            victims = command.workers()
            if victims:
                command.kill(round.random.choice(victims))
                round.kills[who] += 1
            continue
        if who == "run and workers":
            command.end()
        else:
            command.kill(command.pid)
        round.kills[who] += 1


def wait_for_moment(command: Command, round: Round) -> bool:
    """Wait for a random moment, or for one at which a file is being written. True: the run is over."""
    over = command.wait(round.random.uniform(0, round.reference.seconds))
    if over or round.random.random() < 0.5:
        return over
    deadline = time.monotonic() + round.reference.seconds
    while not is_writing(round.dest) and time.monotonic() < deadline:
        if command.wait(0.0):
            return True
    return command.wait(round.random.uniform(0, AFTER_TEMPORARY_SECONDS))


def is_writing(dest: Path) -> bool:
    """Whether a temporary file stands in a place of the run's."""
    places = (dest / "data", dest / "audio_pred", dest, state_folder(dest) / "data", state_folder(dest))
    return any(place.is_dir() and next(place.glob(".*.tmp"), None) is not None for place in places)


def faults_at_end(round: Round) -> Iterator[str]:
    """What is wrong with a result, whose run says that it is done."""
    try:
        wrong = difference(read_result(round.dest), round.reference.expected)
    except Exception as error:
        wrong = f"the result cannot be read ({type(error).__name__}: {error})"
    if wrong is not None:
        yield wrong
    if left := find_leftovers(round.dest):
        yield f"temporary files are left: {', '.join(left)}"


def make_report(rounds: Sequence[Round], options: Options) -> Report:
    kills = sum((one.kills for one in rounds), Counter[str]())
    broken = [
        Broken(
            f"round-{one.number}-{one.reference.form}",
            "result",
            "; ".join(one.faults),
            f"python -m campaigns kill --seed {options.seed} --only {one.number}  (moments differ a little)",
            folders=[one.dest.parent],
        )
        for one in rounds
        if one.faults
    ]
    figures = [
        Figure("kills", kills.total(), ""),
        Figure("rounds", len(rounds), "results compared"),
        Figure("results that differ or were left unclean", len(broken), "", at_most=0),
        Figure("time", options.elapsed, "s"),
    ]
    rows: list[Row] = [
        {
            "form": form,
            "rounds": len(of_form),
            **{f"kills of {who}": sum(one.kills[who] for one in of_form) for who in sorted(kills)},
            "broken": sum(bool(one.faults) for one in of_form),
        }
        for form in FORMS
        if (of_form := [one for one in rounds if one.reference.form == form])
    ]
    return Report(f"kill, seed {options.seed}", figures, [rows], broken)
