"""The clip that a plot draws: of a row, or given as media."""

import os
from collections.abc import Mapping
from typing import Any

from ..cells import Media, is_list_cell, parse_value
from ..checks import invalid
from ..errors import SettingsError
from ..rows import is_cell_struct, pick_column


def find_media(clip: Any, video: int, column: str | None) -> Media:
    """The video with an index in a row's cell, or in a value that a cell may hold."""
    if hasattr(clip, "select_columns"):
        raise SettingsError(
            "It draws one clip, not a dataset: pass a row of it, as in ds[0], or in "
            "ds.cast_column('video', Video(decode=False))[0] for a Video() column."
        )
    is_row = isinstance(clip, Mapping) and not is_cell_struct(clip)
    cell = clip[pick_column(list(clip), column)] if is_row else clip
    values = cell if is_list_cell(cell) else [cell]
    if not 0 <= video < len(values):
        raise invalid("video", video, f"an index of the row's {len(values)} videos, counted from 0")
    return parse_value(values[video])


def make_title(media: Media) -> str:
    return "" if media.name.startswith("<") else os.path.basename(media.name)  # "<...>": not a file
