"""What an operator is given and what it gives back, and the names that its data have in Data-Juicer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from datasets import Dataset

from ..errors import SettingsError
from .recipe import Recipe

META = "__dj__meta__"  # a struct, a field for each operator's tags
STATS = "__dj__stats__"  # the same for filters; kept and exported where the samples bring it along

# Options that every operator of Data-Juicer takes.
COMMON_OPTIONS = frozenset({
    "text_key", "image_key", "audio_key", "video_key", "image_bytes_key", "system_key", "instruction_key",
    "prompt_key", "query_key", "response_key", "history_key", "index_key", "work_dir", "input_columns",
    "output_columns", "skip_op_error", "adaptive_batching", "auto_op_parallelism", "batch_mode",
    "accelerator", "batch_size", "num_proc", "turbo", "cpu_required", "gpu_required", "mem_required",
    "num_cpus", "num_gpus", "memory", "runtime_env", "ray_execution_mode"
})  # fmt: skip

Note = Callable[[str], None]  # takes a line for the person who runs the recipe


@dataclass(frozen=True)
class Failure:
    """A medium that could not be read. Its sample is kept."""

    sample: int  # its place in the export, from 0
    media: str
    reason: str


@dataclass(frozen=True)
class Outcome:
    """The samples after an operator, and what it did, by a word for each kind."""

    samples: Dataset
    counts: Mapping[str, int] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()


Operator = Callable[[Dataset, int], Outcome]  # the samples, and in how many processes
Build = Callable[[Mapping[str, Any], Recipe, Note], Operator]  # checks the options; runs before data are read


def check_options(operator: str, options: Mapping[str, Any], known: frozenset[str], note: Note) -> None:
    """Refuse an option that no version of the operator has; name one that is ignored here."""
    for name in options:
        if name in known:
            continue
        if name not in COMMON_OPTIONS:
            raise SettingsError(f"{operator} has no option {name!r}. It has: {', '.join(sorted(known))}.")
        note(f"Ignored: {operator}.{name}")
