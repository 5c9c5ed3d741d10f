"""Plan a run over tars: which are not done, have changed since, or have rows to do again."""

from dataclasses import dataclass, field, replace

from ..errors import SettingsError
from ..stores import Place
from .engine import RunPlan
from .record import prepare_folder
from .shards import DamagedShardError, Footer, check_shard, read_footer, read_ledgers, set_aside
from .standing import Standing, make_standing
from .tag_plan import check_names, find_failed_rows
from .tar_folder import BesideFolder
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
class TarPlan:
    """How far all tars are."""

    jobs: list[TarJob] = field(default_factory=list)
    done_rows: int = 0
    failed_rows: int = 0  # and tars that break off, of what is not done again


def make_tar_plan(work: TarTagger, retry_failed: bool) -> RunPlan:
    """Find the remaining jobs. Damaged shards are set aside; beside tars they are an error."""
    if not isinstance(work.folder, BesideFolder):
        check_names(work.folder.shards, len(work.source.tars))
    done, notes = find_done_tars(work)
    planned = TarPlan()
    for index, tar in enumerate(work.source.tars):
        if not work.folder.has_shard(index):
            continue
        one = done.get(index)
        if one is None or has_changed(one, tar.stamp):
            planned.jobs.append(make_tar_job(index, tar, is_fresh=one is not None))
            continue
        redo_rows = one.failed_rows if retry_failed else ()
        is_retried = retry_failed and one.is_broken
        if redo_rows or is_retried or not one.footer.ended:
            planned.jobs.append(make_tar_job(index, tar, redo_rows))
        planned.done_rows += one.footer.rows - len(redo_rows)
        planned.failed_rows += len(one.failed_rows) - len(redo_rows) + (one.is_broken and not is_retried)
    return RunPlan(
        work.folder,
        work.record,
        planned.jobs,
        work,
        None,
        planned.done_rows,
        planned.failed_rows,
        notes=notes,
    )


def has_changed(done: DoneTar, stamp: str | None) -> bool:
    return None not in (done.state.stamp, stamp) and done.state.stamp != stamp


def find_done_tars(work: TarTagger) -> tuple[dict[int, DoneTar], list[str]]:
    """What is done of each tar, and a note for each shard that is set aside."""
    done: dict[int, DoneTar] = {}
    notes: list[str] = []
    ledger = read_ledgers(work.folder.state)
    for index, path in work.folder.find_shards().items():
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


def set_tar_aside(work: TarTagger, path: Place) -> str:
    """Set a damaged shard aside; returns a note. Beside tars it may be of another run, which is kept."""
    if isinstance(work.folder, BesideFolder):
        raise SettingsError(
            f"{path} is damaged, or was written with other settings. overwrite=True replaces it."
        )
    return set_aside(path, "is damaged, or of another run")


def plan_tars(work: TarTagger, overwrite: bool, retry_failed: bool) -> RunPlan:
    """Start a run over tars or resume one, and find the remaining jobs."""
    if isinstance(work.folder, BesideFolder):
        work.folder.clear(overwrite)
        return make_tar_plan(work, retry_failed)
    record = prepare_folder(work.folder, work.record, overwrite)
    return make_tar_plan(replace(work, record=record), retry_failed)


def read_tar_standing(work: TarTagger) -> Standing:
    """How far the commands are that share a run over tars, in tars."""
    assert work.folder.share is not None
    whole, count = replace(work.folder, share=None), work.folder.share.count
    found, unfinished, done = whole.find_shards(), set(), 0
    for index in range(len(work.source.tars)):
        footer = read_footer(found[index], work.record.fingerprint) if index in found else None
        if footer is not None and footer.ended:
            done += 1
        else:
            unfinished.add(index % count + 1)
    return make_standing(work.folder, done, len(work.source.tars), unfinished, "tars")
