"""The results of a campaign: figures with their bounds, counts, and what broke, kept to be looked at."""

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.outcome import Figure, Row
from benchmarks.report import make_figure_rows, text_table

LONGEST_NAME = 120
SHOWN = 20  # of what broke; all of it is kept


@dataclass(frozen=True)
class Broken:
    """Something that should not be, and how to see it again."""

    name: str
    what: str  # crash, hang, wrong exception, ...
    why: str
    repeat: str  # the command
    files: Mapping[str, bytes] = field(default_factory=dict)  # by name
    folders: Sequence[Path] = ()  # kept as they are


@dataclass(frozen=True)
class Report:
    """The outcome of a campaign."""

    title: str
    figures: Sequence[Figure] = ()
    tables: Sequence[Sequence[Row]] = ()
    broken: Sequence[Broken] = ()
    notes: Sequence[str] = ()

    @property
    def is_whole(self) -> bool:
        """Nothing broke, and every figure is within its bound."""
        return not self.broken and all(figure.reached is not False for figure in self.figures)

    def text(self) -> str:
        """For the terminal."""
        rows = make_figure_rows(
            [{**vars(one), "bound": one.bound, "reached": one.reached} for one in self.figures]
        )
        parts = [f"== {self.title}", *(text_table(table) for table in (rows, *self.tables) if table)]
        parts += [f"- {note}" for note in self.notes]
        parts += [f"BROKEN {one.what}: {one.name}: {shorten(one.why)}" for one in self.broken[:SHOWN]]
        if len(self.broken) > SHOWN:
            parts.append(f"... and {len(self.broken) - SHOWN} more")
        parts.append("Nothing broke." if self.is_whole else f"{len(self.broken)} broke.")
        return "\n\n".join(parts)


def keep(broken: Broken, folder: Path) -> Path:
    """Lay what broke into a folder of its own: files, reason, and how to repeat it."""
    place = folder / safe_name(broken.name)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for name, data in broken.files.items():
        (place / safe_name(name)).write_bytes(data)
    for source in broken.folders:
        shutil.copytree(source, place / source.name, symlinks=True, ignore=only_regular)
    (place / "reason.txt").write_text(f"{broken.what}\n{broken.why}\n\nTo repeat it:\n  {broken.repeat}\n")
    return place


def only_regular(folder: str, names: list[str]) -> list[str]:
    """What `copytree` leaves out: a pipe could be read for ever, a device too."""
    paths = [Path(folder) / name for name in names]
    return [path.name for path in paths if not (path.is_symlink() or path.is_dir() or path.is_file())]


def safe_name(name: str) -> str:
    """
    >>> safe_name("../a b\\x1b.mp4")
    '.._a_b_.mp4'
    """
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)[-LONGEST_NAME:]


def shorten(text: str) -> str:
    """One line, without what a terminal would obey."""
    line = " ".join(text.split())
    return "".join(letter if letter.isprintable() else "?" for letter in line)[:400]
