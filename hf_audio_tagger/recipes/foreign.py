"""Operators of an installed py-data-juicer, in processes of its own environment.

Its versions of libraries differ from ours, its operators may install packages while they run, and in one
process with a newer PyAV they drop all samples silently. So the samples go to it as a file of JSON lines, an
operator at a time, and what it writes is read back. Errors are not skipped unless the recipe's step says so.
"""

import json
import os
import signal
import subprocess
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from datasets import Dataset, Json

from ..checks import find_near
from ..errors import RunError, SettingsError
from ..sources.data_files import load_files
from ..sources.source import SourceError
from .engine import NUMBER
from .export import iterate_rows, write_lines
from .operator import STATS
from .recipe import Note, Recipe, Step

SCRIPT = Path(__file__).with_name("foreign_step.py")
LISTING_SECONDS = 600  # for importing all operators, on a slow disk
LINES_SHOWN = 30  # of its output, where it failed
OURS_ALONE = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")  # variables that would mix the environments
TEXT = "text"


@dataclass(frozen=True)
class ForeignOperator:
    """A step that py-data-juicer runs."""

    name: str
    options: Mapping[str, Any]
    python: str  # of its environment

    def run(self, samples: Dataset, recipe: Recipe, note: Note, only_stats: bool = False) -> Dataset:
        """The samples that the operator gives. With `only_stats` it drops none, and changes nothing else."""
        if len(samples) == 0:
            return samples
        note(f"{self.name}: {len(samples)} samples go to py-data-juicer ({self.python})")
        with tempfile.TemporaryDirectory(prefix="hf-audio-tagger-") as place:
            folder = Path(place)
            has_text = recipe.text_keys is not None or TEXT in samples.column_names
            given = samples if has_text else samples.add_column(TEXT, [""] * len(samples))
            self.write_samples(given, folder / "samples.jsonl")
            config = self.build_recipe(folder, recipe)
            (folder / "recipe.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
            command = "analyze" if only_stats else "run"
            run_python(self.python, [command, str(folder / "recipe.yaml")], folder, self.name, note)
            result = read_result(samples, folder / "result.jsonl", self.name)
        result = result if has_text or TEXT not in result.column_names else result.remove_columns(TEXT)
        return restore_numbers(result, self.name, note)

    def write_samples(self, samples: Dataset, path: Path) -> None:
        try:
            with path.open("wb") as file:
                write_lines(iterate_rows(samples), file)
        except SettingsError as error:
            raise SettingsError(f"{self.name} gets its samples as JSON. {error}") from None

    def build_recipe(self, folder: Path, recipe: Recipe) -> dict[str, Any]:
        keys = ("np", "image_key", "audio_key", "video_key")
        return {
            **{key: getattr(recipe, key) for key in keys},
            "text_keys": list(recipe.text_keys or (TEXT,)),
            "dataset_path": str(folder / "samples.jsonl"),
            "export_path": str(folder / "result.jsonl"),
            "skip_op_error": False,
            "keep_stats_in_res_ds": True,
            "process": [{self.name: dict(self.options)}],
        }


def find_foreign(steps: Sequence[Step], python: str, note: Note) -> list[ForeignOperator]:
    """These steps as py-data-juicer's operators; an error lists all that it lacks, and wrong options."""
    wanted = [{step.operator: dict(step.options)} for step in steps]
    with tempfile.TemporaryDirectory(prefix="hf-audio-tagger-") as place:
        answer, question = Path(place) / "operators.json", Path(place) / "steps.yaml"
        question.write_text(yaml.safe_dump(wanted), encoding="utf-8")
        arguments = ["list", str(answer), str(question)]
        run_python(python, arguments, Path(place), "data_juicer", note, LISTING_SECONDS)
        found = json.loads(answer.read_text(encoding="utf-8"))
    unknown = [step.operator for step in steps if step.operator not in found["names"]]
    if unknown:
        close = {near for name in unknown if (near := find_near(name, found["names"]))}
        hint = f" Did you mean {', '.join(sorted(close))}?" if close else ""
        raise SettingsError(
            f"Unknown operator{'s' * (len(unknown) > 1)}: {', '.join(unknown)}. Neither this package nor "
            f"py-data-juicer {found['version']} of {python} has {'them' if len(unknown) > 1 else 'it'}.{hint}"
        )
    if found["problem"]:
        raise SettingsError(f"py-data-juicer {found['version']}: {join_lines(found['problem'])}")
    return [ForeignOperator(step.operator, step.options, python) for step in steps]


def run_python(
    python: str, arguments: Sequence[str], folder: Path, name: str, note: Note, seconds: float | None = None
) -> None:
    """Run the script with another Python until it ends. An interrupt or the time limit ends it at once."""
    environment = {key: value for key, value in os.environ.items() if key not in OURS_ALONE}
    environment["HF_DATASETS_CACHE"] = str(folder / "cache")
    log = folder / "output.txt"
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                [python, "-c", SCRIPT.read_text(encoding="utf-8"), *arguments],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            problem = f"data_juicer: {python} cannot be started ({error.strerror}). "
            raise SettingsError(
                f"{problem}Name the Python of an environment with py-data-juicer: /path/to/venv/bin/python."
            ) from error
        with process:
            try:
                code = process.wait(seconds)
            except subprocess.TimeoutExpired:
                raise RunError(f"{name}: py-data-juicer gave no answer in {seconds:g} s.") from None
            finally:
                end_group(process)
    if code:
        show_failure(log, note)
        raise RunError(f"{name}: py-data-juicer failed with exit code {code}: {find_reason(log)}")


def end_group(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process, and those that it has started and left."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()


def read_tail(log: Path) -> list[str]:
    with log.open(encoding="utf-8", errors="replace") as lines:
        return [line.rstrip() for line in deque(lines, LINES_SHOWN) if line.strip()]


def show_failure(log: Path, note: Note) -> None:
    for line in read_tail(log):
        note(f"  | {line}")


def find_reason(log: Path) -> str:
    """The last line of its output, which names the exception."""
    lines = read_tail(log)
    return join_lines(lines[-1]) if lines else "it printed nothing"


def join_lines(text: str) -> str:
    return " ".join(text.split())


def read_result(samples: Dataset, path: Path, name: str) -> Dataset:
    """The samples that were written, in the types that they had before."""
    if not path.exists():
        raise RunError(f"{name}: py-data-juicer wrote no samples.")
    if path.stat().st_size == 0:
        return samples.select([])
    try:
        result: Dataset = load_files("json", [path])
    except SourceError as error:
        raise RunError(f"{name}: what py-data-juicer wrote cannot be read. {error}") from error
    kinds = {**samples.features, STATS: samples.features.get(STATS, Json())}
    for column, kind in result.features.items():
        if column in kinds and kinds[column] != kind and not isinstance(kinds[column], dict):
            with suppress(Exception):  # an operator may give a column another type
                result = result.cast_column(column, kinds[column])
    return result


def restore_numbers(samples: Dataset, name: str, note: Note) -> Dataset:
    """The samples with their numbers; counted anew where an operator made new samples without them."""
    if NUMBER in samples.column_names and None not in samples[NUMBER][:]:
        return samples
    note(f"{name}: its samples have no numbers; failures count from its first sample on")
    others = [column for column in samples.column_names if column != NUMBER]
    return samples.select_columns(others).add_column(NUMBER, list(range(len(samples))))
