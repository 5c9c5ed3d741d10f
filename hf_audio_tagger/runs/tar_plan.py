"""Plan a run over tars: which are not done, have changed since, or have rows to do again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import SettingsError
from .engine import RunPlan
from .shards import DamagedShardError, Footer, check_shard, find_shards, read_footer, read_ledger, set_aside
from .tag_plan import check_names, find_failed_rows
from .tar_shard import TarJob, TarState, TarTagger, make_tar_job, read_state


@dataclass(frozen=True)
class DoneTar:
    """What an earlier run wrote of a tar."""

    footer: Footer
    state: TarState
    failed_rows: tuple[int, ...] = ()

    @property
    def is_broken(self) -> bool:
        return self.state.problem is not None


@dataclass
class Standing:
    """How far all tars are."""

    jobs: list[TarJob] = field(default_factory=list)
    done_rows: int = 0
    failed_rows: int = 0  # and tars that break off, of what is not done again


def make_tar_plan(work: TarTagger, retry_failed: bool) -> RunPlan:
    """Find the remaining jobs. Damaged shards are set aside; beside tars they are an error."""
    if not work.is_beside:
        check_names(work.folder.shards, len(work.source.tars))
    done, notes = find_done_tars(work)
    standing = Standing()
    for index, tar in enumerate(work.source.tars):
        one = done.get(index)
        if one is None or has_changed(one, tar.stamp):
            standing.jobs.append(make_tar_job(index, tar, is_fresh=one is not None))
            continue
        redo_rows = one.failed_rows if retry_failed else ()
        is_retried = retry_failed and one.is_broken
        if redo_rows or is_retried or not one.footer.ended:
            standing.jobs.append(make_tar_job(index, tar, redo_rows))
        standing.done_rows += one.footer.rows - len(redo_rows)
        standing.failed_rows += len(one.failed_rows) - len(redo_rows) + (one.is_broken and not is_retried)
    return RunPlan(
        work.folder,
        work.record,
        standing.jobs,
        work,
        None,
        standing.done_rows,
        standing.failed_rows,
        notes=notes,
    )


def has_changed(done: DoneTar, stamp: str | None) -> bool:
    return None not in (done.state.stamp, stamp) and done.state.stamp != stamp


def find_tar_shards(work: TarTagger) -> Mapping[int, Path]:
    """The shards that are there, by the tar's index."""
    if not work.is_beside:
        return find_shards(work.folder.shards, len(work.source.tars))
    paths = {index: work.find_shard(index) for index in range(len(work.source.tars))}
    return {index: path for index, path in paths.items() if path.exists()}


def find_done_tars(work: TarTagger) -> tuple[dict[int, DoneTar], list[str]]:
    """What is done of each tar, and a note for each shard that is set aside."""
    done: dict[int, DoneTar] = {}
    notes: list[str] = []
    ledger = read_ledger(work.folder.ledger)
    for index, path in find_tar_shards(work).items():
        footer = read_footer(path, work.record.fingerprint)
        state = read_state(footer)
        try:
            if footer is None or state is None or state.layout != work.layout_digest:
                notes.append(set_tar_aside(work, path))
                continue
            check_shard(path, work.folder.ledger, ledger)
            failed = find_failed_rows(work, index) if footer.failed_rows else ()
            done[index] = DoneTar(footer, state, failed)
        except DamagedShardError as error:
            notes.append(str(error))
    return done, notes


def set_tar_aside(work: TarTagger, path: Path) -> str:
    """Set a damaged shard aside; returns a note. Beside tars it may be of another run, which is kept."""
    if work.is_beside:
        raise SettingsError(
            f"{path} is damaged, or was written with other settings. overwrite=True replaces it."
        )
    return set_aside(path, "is damaged, or of another run")
