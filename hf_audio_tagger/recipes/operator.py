"""The bases of operators. An operator is a file in `operators/`, with a line in `operators/__init__.py`.

An operator returns its own results for each sample. `run.py` merges them into the samples, counts them,
lists the failures, and drops the samples that a filter does not keep.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from ..errors import SettingsError
from .recipe import Note, Recipe, find_options, one_of, option, parse_options, read_file

META = "__dj__meta__"  # the column of a struct with the fields of all mappers
STATS = "__dj__stats__"  # the same for filters

Batch = Mapping[str, Sequence[Any]]  # the samples' columns
Fields = Sequence[Mapping[str, Any]]  # a mapping for each sample

# Options that every operator of Data-Juicer takes.
COMMON_OPTIONS = frozenset({
    "text_key", "image_key", "audio_key", "video_key", "image_bytes_key", "system_key", "instruction_key",
    "prompt_key", "query_key", "response_key", "history_key", "index_key", "work_dir", "input_columns",
    "output_columns", "skip_op_error", "adaptive_batching", "auto_op_parallelism", "batch_mode",
    "accelerator", "batch_size", "num_proc", "turbo", "cpu_required", "gpu_required", "mem_required",
    "num_cpus", "num_gpus", "memory", "runtime_env", "ray_execution_mode"
})  # fmt: skip


@dataclass(frozen=True)
class SampleResult:
    """An operator's result for one sample."""

    fields: Mapping[str, Any]  # for its META or STATS
    outcomes: Sequence[str] = ()  # of `Operator.outcomes`, those to count
    failures: Sequence[tuple[str, str]] = ()  # unreadable media, with reasons


@dataclass
class Operator(ABC):
    """A step of a recipe. The fields made by `option` are its options."""

    name: ClassVar[str]  # in recipes
    column: ClassVar[str]  # into which its results are merged
    outcomes: ClassVar[tuple[str, ...]] = ()  # what is counted, in the order of the summary

    @property
    @abstractmethod
    def features(self) -> dict[str, Any]:
        """The fields that it adds, with their types."""

    @abstractmethod
    def process(self, batch: Batch, existing: Fields) -> list[SampleResult]:
        """One result per sample of a batch. `existing` has their values of META or STATS."""

    def find_missing(self, meta: Collection[str]) -> str | None:
        """What this operator reads and the samples lack, for an error before anything runs.

        `meta` has the fields of META that the samples have, or get from the operators before this one.
        """
        return None

    @classmethod
    def from_options(cls, given: Mapping[str, Any], recipe: Recipe, note: Note) -> Self:
        """Build the operator from its step. Keys of the recipe with the name of an option (`video_key`,
        `skip_op_error`) are its default.

        Unsupported options that all Data-Juicer operators have are ignored with a note.
        """
        known = find_options(cls)
        for name in given:
            if name not in known and name not in COMMON_OPTIONS:
                raise SettingsError(f"{cls.name} has no option {name!r}. It has: {', '.join(sorted(known))}.")
            if name not in known:
                note(f"Ignored: {cls.name}.{name}")
        defaults = {name: getattr(recipe, name) for name in known.keys() & find_options(Recipe).keys()}
        try:
            return cls(**{**defaults, **parse_options(cls, given)})
        except SettingsError as error:
            raise SettingsError(f"{cls.name}: {error}") from None


@dataclass
class Mapper(Operator):
    """An operator that adds fields to the samples' META."""

    column: ClassVar[str] = META


@dataclass
class Filter(Operator):
    """An operator that keeps some of the samples. What it counts for that is added to their STATS.

    `stats_export_path` is a file for the samples with their stats, before any are dropped.
    """

    column: ClassVar[str] = STATS

    any_or_all: str = option("any", one_of("any", "all"))  # of a sample's videos have to fulfil it
    stats_export_path: Path | None = option(None, read_file)  # noqa: RUF009

    @abstractmethod
    def keeps(self, stats: Mapping[str, Any], meta: Mapping[str, Any]) -> bool:
        """Whether to keep a sample, by its STATS and its META."""

    def decide(self, fulfilled: Sequence[bool | None]) -> bool:
        """Whether to keep a sample, by which of its videos fulfil the condition.

        A sample without videos is kept, and one with a video of which it is not known (None).
        """
        if not fulfilled or None in fulfilled:
            return True
        return all(fulfilled) if self.any_or_all == "all" else any(fulfilled)
