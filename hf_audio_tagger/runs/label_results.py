"""The results of a labelling run: the index of its clips, the list of failures, and the counts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..predictions.writing import write_index
from ..results.reasons import FailureReason, find_common_reasons
from .collection import Collection
from .engine import RunCounter, write_failures
from .journal import Entry


@dataclass(frozen=True)
class LabelSummary:
    """Counts of all clips, including those of earlier runs."""

    folder: str
    clips: int
    labelled: int
    without_sound: int
    failed: int
    patches: int
    sound_seconds: float
    processed_now: int  # clips of this run
    seconds: float  # of this run
    failures: str | None  # the file that lists them
    clips_per_second: float = 0.0  # in this run, without loading the model
    sound_seconds_now: float = 0.0  # of sound that this run scored
    times_realtime: float = 0.0  # seconds of sound scored in a second, in this run
    common_reasons: tuple[FailureReason, ...] = ()  # of the failures, with a file each
    shard: str | None = None  # "2/8": the counts are of this command's share, while others' clips are left
    clips_left: int = 0  # of the other commands
    notes: tuple[str, ...] = ()  # for the user, one line each


def write_entries(
    home: Path,
    model: str,
    classes: Sequence[str],
    collection: Collection,
    entries: Sequence[Entry | None],
) -> None:
    """Write the index of a collection's clips."""
    with_ids = zip(entries, collection.ids, strict=True)
    without_sound = [id for entry, id in with_ids if entry is None or entry.is_silent]
    predictions = (
        {
            "id": entry.id,
            "category_tsr_fname": f"{entry.name}.npy",
            "scanned_segment": [0.0, entry.end_seconds],
            "scanned_num_chunks": entry.patches,
            "per_chunk_length": entry.step_seconds,
            "patch_length": entry.patch_seconds,
            "meta": meta,
        }
        for entry, meta in zip(entries, collection.read_metas(), strict=True)
        if entry is not None and entry.patches
    )
    write_index(home, model, classes, without_sound, predictions)


def list_failed(entries: Iterable[Entry | None], path: Path) -> str | None:
    """Write the list of failures; returns its path if there are some."""
    failed = [one for one in entries if one is not None and one.error is not None]
    return write_failures(path, [{"id": one.id, "error": one.error} for one in failed])


def summarize(
    home: Path, entries: Sequence[Entry | None], counter: RunCounter, failures: Path
) -> LabelSummary:
    """Count rows, and list their failures."""
    labelled = [entry for entry in entries if entry is not None and entry.patches]
    failed = [entry for entry in entries if entry is not None and entry.error is not None]
    now = counter.progress
    return LabelSummary(
        folder=str(home),
        clips=len(entries),
        labelled=len(labelled),
        without_sound=len(entries) - len(labelled) - len(failed),
        failed=len(failed),
        patches=sum(entry.patches for entry in labelled),
        sound_seconds=round(sum(entry.end_seconds for entry in labelled), 3),
        processed_now=now.processed_now,
        seconds=round(counter.seconds, 3),
        failures=list_failed(entries, failures),
        clips_per_second=round(now.clips_per_second, 3),
        sound_seconds_now=round(now.activity.sound_seconds, 3),
        times_realtime=round(now.times_realtime, 3),
        common_reasons=find_common_reasons((one.id, str(one.error)) for one in failed),
    )
