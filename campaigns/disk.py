"""`disk`: a disk that is full in the middle of a run, for every form of result and for the caches.

Each case has a small file system of its own, in a mount namespace that goes with its process. Where none may
be mounted, the size of single files is limited instead, which the kernel refuses in the same calls.
"""

import ctypes
import json
import os
import re
import resource
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.outcome import Figure, Row

from .child import JobResult, Limits, Worker, ask_all, run_alone
from .commands import Command, difference, find_half_written, find_leftovers, read_result, run_to_end
from .kill import CLIPS, DONE, FORMS, RUN, TAG
from .materials import write_clips, write_recipe, write_rows
from .options import Options
from .report import Broken, Report
from .servers import serving, whole
from .stand_in import warm

SHARES = (0.1, 0.35, 0.6, 0.85)  # of what the whole takes on the disk
ROOMY = "512m"
RECIPE, ROWS, WEIGHTS = "recipe", "rows' cache", "weights' cache"
KINDS = (*FORMS, RECIPE, ROWS, WEIGHTS)
PAGE_BYTES = 4096
LOG_BYTES = 8 << 10  # what a command prints must fit: a limit of file sizes holds for its log too
LIMITS = Limits(seconds=300.0, grown_mb=2_000.0)
CLONE_NEWNS = 0x00020000  # of Linux: mount_small of one's own
SAYS_SO = re.compile(r"disk is full|No space left|not enough (disk )?space|File too large", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """Where a case happens."""

    home: Path  # on a roomy disk
    disk: Path  # the one that is small


@dataclass(frozen=True)
class Kind:
    """What is run, and which of its files are on the small disk."""

    name: str
    command: Callable[[Place], list[str]]
    dest: Callable[[Place], Path]
    prepare: Callable[[Place], object] | None = None  # in the command's process


@dataclass(frozen=True)
class Reference:
    """What a kind's run makes where there is room, and what its files take."""

    expected: Any
    used_bytes: int
    largest_bytes: int


@dataclass(frozen=True)
class Case:
    kind: str
    share: float

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.share:.0%}"


@dataclass(frozen=True)
class Filled:
    """What came of a case."""

    was_full: bool  # else all found room
    kept: int  # rows or arrays that were there when the disk was full
    faults: tuple[str, ...]


def run(options: Options) -> Report:
    """The campaign."""
    warm()
    home, can_mount = (
        options.folder,
        run_alone(mount_small, options.folder / "try", LIMITS, options.folder / "try.log"),
    )
    by_mounting = can_mount.is_answer
    clips = write_clips(home / "clips", CLIPS)
    write_rows(home / "rows.jsonl", clips)
    cases = [Case(kind, share) for share in SHARES for kind in KINDS]
    cases = [case for case in cases if options.only in (None, case.name)][: options.count]
    weights = write_weights(home) if any(case.kind == WEIGHTS for case in cases) else b""
    with serving({"/yamnet.pth": whole(weights)}) as url:
        kinds = {kind.name: kind for kind in make_kinds(home, url)}
        references = {
            name: run_reference(kinds[name], home) for name in dict.fromkeys(case.kind for case in cases)
        }
        fill_case = partial(fill, kinds=kinds, references=references, home=home, by_mounting=by_mounting)
        workers = [Worker(fill_case, home / f"worker-{number}.log") for number in range(options.jobs)]
        until_over = (case for case in cases if not options.is_over)
        results = dict(ask_all(workers, until_over, LIMITS))
    notes = (
        [] if by_mounting else [f"No disk may be mounted here ({can_mount.value}): file sizes were limited."]
    )
    return make_report(results, home, notes, options)


def make_kinds(home: Path, url: str) -> list[Kind]:
    clips, rows = home / "clips", home / "rows.jsonl"

    def result_on_disk(name: str) -> Kind:
        make, dest_name = FORMS[name]
        return Kind(
            name,
            lambda place: make(clips, rows, place.disk / dest_name),
            lambda place: place.disk / dest_name,
        )

    def export(place: Place) -> list[str]:
        return ["run", str(write_recipe(place.home / "recipe.yaml", clips, place.disk / "res.jsonl"))]

    def with_cached_rows(place: Place) -> list[str]:
        return ["tag", str(rows), "--out", str(place.home / "out.jsonl"), *TAG]

    def with_weights(place: Place) -> list[str]:
        named = ("--model", "yamnet", "--weights", f"{url}/yamnet.pth", *RUN[2:])
        return ["label", str(clips), "--out", str(place.home / "out"), *named]

    def keep_rows_on_disk(place: Place) -> None:
        import datasets.config

        datasets.config.HF_DATASETS_CACHE = place.disk / "datasets"

    def keep_weights_on_disk(place: Place) -> None:
        os.environ["HF_AUDIO_TAGGER_CACHE"] = str(place.disk / "weights")

    return [
        *map(result_on_disk, FORMS),
        Kind(RECIPE, export, lambda place: place.disk / "res.jsonl"),
        Kind(ROWS, with_cached_rows, lambda place: place.home / "out.jsonl", keep_rows_on_disk),
        Kind(WEIGHTS, with_weights, lambda place: place.home / "out", keep_weights_on_disk),
    ]


def write_weights(home: Path) -> bytes:
    """YAMNet with random weights, made in a process of its own: it computes."""
    from benchmarks.subjects.maker import make_yamnet

    path = home / "yamnet.pth"
    result = run_alone(make_yamnet, str(path), LIMITS, home / "weights.log")
    if not result.is_answer:
        raise RuntimeError(f"No weights could be made: {result.value}")
    return path.read_bytes()


def run_reference(kind: Kind, home: Path) -> Reference:
    """Run once with room enough, and see what the disk then holds."""
    place = Place(home / f"{kind.name}-roomy", home / f"{kind.name}-roomy" / "disk")
    place.disk.mkdir(parents=True)
    command = command_at(place, kind, "log.txt")
    if command.code not in DONE:
        raise RuntimeError(f"The run with room enough ({kind.name}): {command.describe_end()}")
    sizes = [path.stat().st_size for path in place.disk.rglob("*") if path.is_file()]
    pages = sum(-(-size // PAGE_BYTES) for size in sizes)
    return Reference(read_result(kind.dest(place)), pages * PAGE_BYTES, max(sizes))


def command_at(place: Place, kind: Kind, log: str, limit: Callable[[], object] = lambda: None) -> Command:
    def prepare() -> None:
        if kind.prepare is not None:
            kind.prepare(place)
        limit()

    arguments = kind.command(place)
    as_json = [] if arguments[0] == "run" else ["--json"]
    return run_to_end([*arguments, *as_json], place.home / log, prepare)


# A case, in a process of its own


def fill(
    case: Case, kinds: Mapping[str, Kind], references: Mapping[str, Reference], home: Path, by_mounting: bool
) -> Filled:
    """Run with too little room, then the same again with enough."""
    kind, reference = kinds[case.kind], references[case.kind]
    place = Place(home / case.name, home / case.name / "disk")
    place.home.mkdir()
    if by_mounting:
        pages = max(1, round(case.share * reference.used_bytes / PAGE_BYTES))
        mount_small(place.disk, f"{pages * PAGE_BYTES}")
        first = command_at(place, kind, "first.txt")
        faults = faults_when_full(first, place, kind)
        kept = count_kept(kind.dest(place))
        mount_small(place.disk, ROOMY, "remount,")
    else:
        place.disk.mkdir()
        first = command_at(
            place, kind, "first.txt", partial(limit_files, int(case.share * reference.largest_bytes))
        )
        faults = faults_when_full(first, place, kind)
        kept = count_kept(kind.dest(place))
    second = first if first.code in DONE else command_at(place, kind, "second.txt")
    if second.code not in DONE:
        faults.append(f"with room, the same command: {second.describe_end()}")
    else:
        wrong = difference(read_result(kind.dest(place)), reference.expected)
        faults += [f"with room, {wrong}"] if wrong else []
        faults += [f"temporary files are left: {path}" for path in find_leftovers(kind.dest(place))]
        processed = None if second is first else processed_now(second)
        if processed is not None and processed > CLIPS - kept:
            faults.append(
                f"{kept} clips were done when the disk was full, and {processed} of {CLIPS} were done again"
            )
    return Filled(first.code not in DONE, kept, tuple(faults))


def mount_small(disk: Path, size: str = "1m", how: str = "") -> None:
    """A small file system of this process's own."""
    if not how:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNS):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        subprocess.run(["mount", "--make-rprivate", "/"], check=True, capture_output=True)
        disk.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"{how}size={size}", "none", str(disk)]
    subprocess.run(command, check=True, capture_output=True)


def limit_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(size, LOG_BYTES), resource.RLIM_INFINITY))


def faults_when_full(command: Command, place: Place, kind: Kind) -> list[str]:
    """What is wrong with the way in which a run ends on a full disk; nothing if all found room."""
    said = command.log.read_text(errors="replace")
    faults = [f"{path} is not whole" for path in find_half_written(kind.dest(place))]
    if command.code in DONE:
        return faults
    if command.code not in (1, 2) or "Traceback" in said:
        faults.append(f"on the full disk {command.describe_end()}")
    elif not SAYS_SO.search(said):
        faults.append(f"on the full disk it does not say so: {command.describe_end()}")
    return faults


def count_kept(dest: Path) -> int:
    """Clips whose answer is kept: rows of shards, or arrays."""
    import pyarrow.parquet as pq

    from .commands import state_folder

    shards = [
        path for place in (dest, state_folder(dest)) for path in (place / "data").glob("shard-*.parquet")
    ]
    return sum(pq.read_metadata(path).num_rows for path in shards) + len(list(dest.glob("audio_pred/*.npy")))


def processed_now(command: Command) -> int | None:
    """How many clips a run says that it processed; None for a recipe's."""
    lines = [line for line in command.log.read_text(errors="replace").splitlines() if line.startswith("{")]
    return json.loads(lines[-1])["processed_now"] if lines else None


def make_report(results: Mapping[Case, JobResult], home: Path, notes: list[str], options: Options) -> Report:
    filled = {case: one.value for case, one in results.items() if one.is_answer}
    faults = {case: "; ".join(one.faults) for case, one in filled.items() if one.faults}
    faults |= {case: f"the case {one.how}: {one.value}" for case, one in results.items() if not one.is_answer}
    broken = [
        Broken(
            case.name,
            "disk",
            why,
            f"python -m campaigns disk --only '{case.name}'",
            folders=[home / case.name],
        )
        for case, why in faults.items()
    ]
    figures = [
        Figure("cases", len(results), ""),
        Figure("of them full", sum(one.was_full for one in filled.values()), ""),
        Figure("that did not say so, or went on wrongly", len(broken), "", at_most=0),
        Figure("time", options.elapsed, "s"),
    ]
    rows: list[Row] = [
        {
            "on the disk": kind,
            "cases": len(of_kind),
            "full": sum(filled[case].was_full for case in of_kind),
            "kept": sum(filled[case].kept for case in of_kind),
            "broken": sum(case in faults for case in of_kind),
        }
        for kind in dict.fromkeys(case.kind for case in filled)
        if (of_kind := [case for case in filled if case.kind == kind])
    ]
    return Report("disk", figures, [rows], broken, notes)
