"""How far a run is that several commands do, each a share of its shards; and who of them finishes it.

Each command, when it has done its share, looks at the shards of all. The one that finds them complete
finishes the run: it joins the shards, lists the failures and pushes. Where several find so at the same
moment, one does, under a lock; where another has changed shards meanwhile, it does so again.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ..digests import digest_values
from ..results.run_files import find_shards
from ..stores import Place
from ..stores.reading import read_each
from .files import write_file
from .locks import find_held
from .record import Record
from .run_folder import RunFolder
from .shards import identify_file, read_footer
from .share import Share, read_suffix


@dataclass(frozen=True)
class Standing:
    """The rows of all commands together, or their tars, whose rows are not known."""

    done: int
    total: int
    unfinished: tuple[Share, ...]
    running: tuple[Share, ...]
    unit: str = "rows"

    @property
    def left(self) -> int:
        return self.total - self.done


def read_standing(folder: RunFolder, record: Record) -> Standing:
    """How far the commands are that share a folder's run."""
    assert folder.share is not None
    assert record.shard_count is not None
    assert record.rows is not None
    done_rows, unfinished = 0, set()
    found = find_shards(folder.shards, record.shard_count)

    def count_rows(path: Place) -> int:
        footer = read_footer(path, record.fingerprint)
        return footer.rows if footer else 0

    done = dict(zip(found, read_each(count_rows, found.values(), folder.shards), strict=True))
    for index in range(record.shard_count):
        rows = done.get(index, 0)
        done_rows += rows
        if rows < record.count_rows(index):
            unfinished.add(index % folder.share.count + 1)
    return make_standing(folder, done_rows, record.rows, unfinished)


def make_standing(
    folder: RunFolder, done: int, total: int, unfinished: Iterable[int], unit: str = "rows"
) -> Standing:
    """The standing of a run whose unfinished shares have these numbers."""
    assert folder.share is not None
    shares = tuple(Share(number, folder.share.count) for number in sorted(unfinished))
    held = map(read_suffix, find_held(folder))
    running = tuple(share for share in held if share is not None)
    return Standing(done, total, shares, running, unit)


def describe_standing(standing: Standing) -> str:
    """What the commands of a run have done, and what is left.

    >>> print(describe_standing(Standing(5, 9, (Share(2, 3), Share(3, 3)), (Share(3, 3),))))
    All commands together have done 5 of 9 rows; 4 are left to 2/3, 3/3 (running now: 3/3). The last one to \
end finishes the run, and so does a command for all rows, which does what is left.
    """
    running = list_shares(one for one in standing.unfinished if one in standing.running) or "none"
    done = f"{standing.done:,} of {standing.total:,} {standing.unit}"
    left = f"{standing.left:,} are left to {list_shares(standing.unfinished)}"
    return (
        f"All commands together have done {done}; {left} (running now: {running}). The last one to end "
        "finishes the run, and so does a command for all rows, which does what is left."
    )


def list_shares(shares: Iterable[Share], most: int = 12) -> str:
    """
    >>> list_shares([Share(1, 4), Share(3, 4)]), list_shares([Share(n, 9) for n in range(1, 10)], 2)
    ('1/4, 3/4', '1/9, 2/9 and 7 more')
    """
    names = [str(share) for share in shares]
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def digest_shards(folder: RunFolder) -> str:
    """A digest that changes with any shard of the run."""
    return digest_values(*map(identify_file, folder.find_shards().values()))


def read_finished(folder: RunFolder) -> Mapping[str, Any]:
    """What the command that finished the run last has noted: its shards, what was pushed, and where to."""
    with suppress(FileNotFoundError, ValueError, RecursionError):
        noted = json.loads(folder.finished.read_bytes())
        if isinstance(noted, dict):
            return noted
    return {}


def write_finished(folder: RunFolder, noted: Mapping[str, Any]) -> None:
    """Note what was finished. The lists of failures of single commands go: there is one of all rows."""
    write_file(folder.finished, json.dumps(noted).encode())
    for path in folder.state.glob("failures-*.jsonl"):
        path.unlink(missing_ok=True)
