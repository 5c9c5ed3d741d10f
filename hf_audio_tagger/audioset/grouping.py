"""`roll_up`: coarser names for tags, of AudioSet's own categories or of a user's classes.

    ds.map(roll_up(level=1))  # "Bark" becomes "Animal"
    ds.map(roll_up({"Vehicle": "traffic", "Animal": "nature"}, others="other"))

`map` needs no `input_columns` here: it decodes only the columns that a function reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..checks import COUNT, invalid, is_count
from ..columns import build_columns
from .ontology import Category, ontology
from .tag_cells import LABELS_DEPTH, LABELS_TYPE, LISTS, TAGS_DEPTH, check_list, find_name, read_cells

CLASSES = "a level (1, 2, ...) or your classes by category, such as {'Vehicle': 'traffic'}"


def roll_up(
    level: int | Mapping[Any, str] = 1,
    *,
    others: str | None = None,
    column: str = "video_audio_tags",
    new_column: str | None = None,
    batched: bool | None = None,
) -> "RollUp":
    """For `map`: adds a column with the categories at this level above each tag, or with classes of your own.

    Level 1 is the top ("Animal", "Music", ...). The column has, for each video, a list of names in the
    ontology's order: several where a category has several parents, the tag itself where it is above
    that level, none for "EMPTY", null where the video failed.

    >>> roll_up(level=1)({"video_audio_tags": ["Bark", "Bell", "EMPTY"]})
    {'video_audio_tags_level1': [['Animal'], ['Music', 'Sounds of things'], []]}
    >>> roll_up(level=2)({"video_audio_tags": ["Bark", "Music"]})
    {'video_audio_tags_level2': [['Domestic animals, pets'], ['Music']]}

    Classes of your own are given by category (name, id or `Category`): each tag that is one of these
    categories, or below one, gets its class. Of categories above each other the most specific one counts;
    a tag below two that are not gets both classes. A tag below none keeps its own name; with `others` it gets
    this class, so that no other names are left.

    >>> mine = {"Vehicle": "traffic", "Emergency vehicle": "siren"}
    >>> roll_up(mine)({"video_audio_tags": ["Bus", "Ambulance (siren)", "Bark"]})
    {'video_audio_tags_classes': [['traffic'], ['siren'], ['Bark']]}
    >>> roll_up(mine, others="other")({"video_audio_tags": ["Bus", "Bark", "EMPTY"]})
    {'video_audio_tags_classes': [['traffic'], ['other'], []]}

    `column` may also hold a list of labels for each video, as `labels_over` writes them. The new column is
    `column` with "_level1" or "_classes" behind it unless named.
    """
    if isinstance(level, Mapping):
        groups: Level | Classes = build_classes(level, others)
        suffix = "classes"
    elif not is_count(level):
        raise invalid("level", level, CLASSES if isinstance(level, str | list) else COUNT)
    elif others is not None:
        raise invalid("others", others, "left out with a level: it is for classes of your own")
    else:
        groups, suffix = Level(level), f"level{level}"
    return RollUp(groups, column, new_column or f"{column}_{suffix}", batched)


def build_classes(classes: Mapping[Any, str], others: str | None) -> "Classes":
    """Check a user's classes. An unknown category is an error that suggests similar ones."""
    if not classes or not all(isinstance(key, str | Category) for key in classes):
        raise invalid("level", classes, CLASSES)
    for name in [*classes.values(), *([] if others is None else [others])]:
        if not isinstance(name, str) or not name:
            raise invalid("a class", name, "a name, such as 'traffic'")
    by_category: dict[str, str] = {}
    for key, name in classes.items():
        category = key if isinstance(key, Category) else ontology[key]
        if by_category.setdefault(category.name, name) != name:
            raise invalid(
                f"the class of {category.name!r}", name, f"one; it is {by_category[category.name]!r} too"
            )
    return Classes(tuple(by_category.items()), others)


@dataclass(frozen=True)
class Level:
    """The categories at one level of the ontology."""

    level: int

    def find(self, name: str) -> tuple[str, ...]:
        return find_at_level(name, self.level)


@dataclass(frozen=True)
class Classes:
    """A user's classes by category, and the class of what is below none of these."""

    by_category: tuple[tuple[str, str], ...]
    others: str | None

    def find(self, name: str) -> tuple[str, ...]:
        return find_classes(name, self)


@dataclass(frozen=True)
class RollUp:
    """What `roll_up` returns: settings alone, so that it pickles and hashes.

    >>> roll_up(2).new_column
    'video_audio_tags_level2'
    """

    groups: Level | Classes
    column: str
    new_column: str
    batched: bool | None

    def __call__(self, rows: Any, index: int | None = None) -> dict[str, Any]:
        """The new column for a row, or for a batch, or for the row of a `Dataset` with this index."""
        depth = LABELS_DEPTH if self.column.endswith("_labels") else TAGS_DEPTH
        cells, is_batch = read_cells(rows, self.column, depth, self.batched, index)
        values = [self._roll_up(cell) for cell in (cells if is_batch else [cells])]
        return build_columns({self.new_column: values}, {self.new_column: LABELS_TYPE}, is_batch)

    def _roll_up(self, cell: Any) -> list[list[str] | None] | None:
        videos = check_list(cell, self.column)
        return None if videos is None else [self._find_names(video) for video in videos]

    def _find_names(self, video: Any) -> list[str] | None:
        """The names of one video, each once. It has one tag, or a list of labels."""
        if video is None:
            return None
        labels = video if isinstance(video, LISTS) else [video]
        names = [find_name(label, self.column) for label in labels]
        return list(
            dict.fromkeys(group for name in names if name is not None for group in self.groups.find(name))
        )


@cache
def find_at_level(name: str, level: int) -> tuple[str, ...]:
    return tuple(above.name for above in ontology[name].at_level(level))


@cache
def find_classes(name: str, classes: Classes) -> tuple[str, ...]:
    """The classes of a category: those of the nearest categories above it that have one."""
    above = {name, *(category.name for category in ontology[name].ancestors())}
    matching = {key: group for key, group in classes.by_category if key in above}
    general = {category.name for key in matching for category in ontology[key].ancestors()}
    found = dict.fromkeys(group for key, group in matching.items() if key not in general)
    return tuple(found) or (name if classes.others is None else classes.others,)
