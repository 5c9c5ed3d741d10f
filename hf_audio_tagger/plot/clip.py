"""The clip that a plot draws: of a dataset's row, or given as media."""

import os
from collections.abc import Mapping
from typing import Any

from ..cells import Media, is_list_cell, parse_value
from ..checks import invalid
from ..errors import SettingsError
from ..media_column import pick_column
from ..rows import find_row_column, is_cell_struct, read_stored_row


def find_media(clip: Any, index: int | None, video: int, column: str | None) -> Media:
    """The video with an index in a row's cell: of a dataset with the row's index, of a row, or of a value."""
    if index is not None:
        row, features = read_stored_row(clip, index), clip.features
        clip = row[pick_column(list(row), column, lambda: features, lambda name: [row[name]])]
    elif hasattr(clip, "select_columns"):
        raise SettingsError("It draws one clip, not a dataset: pass its row's index too, as in (ds, 0).")
    elif isinstance(clip, Mapping) and not is_cell_struct(clip):
        clip = clip[find_row_column(clip, column)]
    values = clip if is_list_cell(clip) else [clip]
    if not 0 <= video < len(values):
        raise invalid("video", video, f"an index of the row's {len(values)} videos, counted from 0")
    return parse_value(values[video])


def make_title(media: Media) -> str:
    return "" if media.name.startswith("<") else os.path.basename(media.name)  # "<...>": not a file
