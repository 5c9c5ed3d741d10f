"""Commands of `hf-audio-tagger` in forked processes, which begin at once; and their results."""

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence, Sized
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .child import how_it_ended, kill_group, last_lines, lead_group, print_to

RAW = 70  # exit code of a command that ended with an exception that it did not tell
LONGEST_SECONDS = 120.0
GONE_SECONDS = 15.0  # workers end soon after their parent
POLL_SECONDS = 0.002
MOST_ROUNDING = 1e-4  # of a logit


@dataclass
class Command:
    """A command at work. It leads a group of processes, its workers."""

    pid: int
    log: Path
    code: int | None = None  # as `Popen.returncode`: a negative one is a signal

    @property
    def is_over(self) -> bool:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    def wait(self, seconds: float = LONGEST_SECONDS) -> bool:
        """Wait so long at most; whether it has ended."""
        deadline = time.monotonic() + seconds
        while not self.is_over and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        return self.is_over

    def workers(self) -> list[int]:
        """Its children that are at work."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                state, parent = stat.read_text().rpartition(")")[2].split()[:2]
                if int(parent) == self.pid and state != "Z":
                    found.append(int(stat.parent.name))
        return sorted(found)

    def kill(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def ended_with_workers(self) -> bool:
        """Whether all its processes are gone in time. They are then in any case."""
        deadline = time.monotonic() + GONE_SECONDS
        while time.monotonic() < deadline:
            try:
                os.killpg(self.pid, 0)
            except ProcessLookupError:
                return True
            time.sleep(POLL_SECONDS)
        self.end()
        return False

    def end(self) -> None:
        kill_group(self.pid)
        self.wait()

    def describe_end(self) -> str:
        """How it ended, in words."""
        return f"it ended {how_it_ended(self.code)}: {last_lines(self.log)}"


def start(arguments: Sequence[str], log: Path, prepare: Callable[[], object] | None = None) -> Command:
    """Begin `hf-audio-tagger` with some arguments; `prepare` is called in its process first."""
    pid = os.fork()
    if pid == 0:
        code = RAW
        try:
            lead_group()
            print_to(log)
            if prepare is not None:
                prepare()
            code = command_line(arguments)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    with suppress(OSError):
        os.setpgid(pid, pid)  # whichever is first: it leads its group when this returns
    return Command(pid, log)


def command_line(arguments: Sequence[str]) -> int:
    """The console script's own way, and its exit code."""
    from hf_audio_tagger.cli import app

    try:
        app(list(arguments), prog_name="hf-audio-tagger")
    except SystemExit as exit:
        return exit.code if isinstance(exit.code, int) else int(bool(exit.code))
    return 0


def run_to_end(arguments: Sequence[str], log: Path, prepare: Callable[[], object] | None = None) -> Command:
    """A command from its beginning to its end; one that takes too long is killed."""
    command = start(arguments, log, prepare)
    if not command.wait():
        command.end()
    return command


# Results


def read_result(dest: Path) -> Any:
    """All that a run made of DEST, whichever form it has, in a shape that compares."""
    if dest.suffix == ".jsonl":
        return [json.loads(line) for line in dest.read_text().splitlines()]
    import pyarrow as pa
    import pyarrow.parquet as pq

    if dest.suffix == ".parquet":
        return pq.read_table(dest).to_pylist()
    if (dest / "audio_pred.json").exists():
        arrays = {path.name: np.load(path) for path in sorted((dest / "audio_pred").glob("*.npy"))}
        failures = dest / "audio_failures.jsonl"
        listed = failures.read_text() if failures.exists() else ""
        return json.loads((dest / "audio_pred.json").read_text()), arrays, listed
    shards = sorted((dest / "data").glob("*.parquet"))
    return pa.concat_tables([pq.read_table(path) for path in shards]).to_pylist()


def find_leftovers(dest: Path) -> list[str]:
    """Temporary files beside or below DEST."""
    places = [path for path in (dest, state_folder(dest)) if path.is_dir()]
    found = {path for place in places for path in place.rglob("*") if path.name.endswith((".tmp", ".part"))}
    return sorted(str(path) for path in found | set(dest.parent.glob(".*.tmp")))


def state_folder(dest: Path) -> Path:
    """Where a run to DEST remembers what it has done."""
    if dest.suffix in (".jsonl", ".parquet"):
        return dest.with_name(f".{dest.name}.hf_audio_tagger")
    return dest / ".hf_audio_tagger"


def find_half_written(dest: Path) -> list[str]:
    """Files under their final names that are not whole."""
    import pyarrow.parquet as pq

    found = []
    for place in (dest, state_folder(dest)):
        for path in sorted((place / "data").glob("shard-*")) + [one for one in (dest,) if one.is_file()]:
            if path.suffix == ".parquet" and not is_readable(path, pq.read_table):
                found.append(str(path))
    for path in (dest / "audio_pred").glob("*.npy"):
        if not is_readable(path, np.load):
            found.append(str(path))
    return sorted(set(found))


def is_readable(path: Path, read: Callable[[Path], Sized]) -> bool:
    try:
        return len(read(path)) > 0
    except Exception:
        return False


def difference(made: Any, expected: Any) -> str | None:
    """Where two results differ, in words; None where they are equal."""
    if isinstance(made, tuple):
        return labelled_difference(made, expected)
    if made == expected:
        return None
    if isinstance(made, list) and isinstance(expected, list):
        if len(made) != len(expected):
            return f"{len(made)} rows, and uninterrupted {len(expected)}"
        row = next(row for row, pair in enumerate(zip(made, expected, strict=True)) if pair[0] != pair[1])
        return f"row {row} is {str(made[row])[:300]}, and uninterrupted {str(expected[row])[:300]}"
    return "the results differ"


def labelled_difference(made: tuple[Any, ...], expected: tuple[Any, ...]) -> str | None:
    """The same of `label`. A clip may differ by rounding where it was in another batch."""
    if (made[0], made[2]) != (expected[0], expected[2]):
        return "audio_pred.json or the failures differ"
    if made[1].keys() != expected[1].keys():
        return f"the arrays are {sorted(made[1])}, and uninterrupted {sorted(expected[1])}"
    for name, array in expected[1].items():
        if made[1][name].shape != array.shape or not np.allclose(made[1][name], array, atol=MOST_ROUNDING):
            return f"the array {name} differs"
    return None
