"""`labels_over`: all labels of a video that score enough, as plain strings.

    ds = ds.map(build_tagger(top_k=10), batched=True)
    ds = ds.map(labels_over(0.3))
    ds["video_audio_labels"][0]  # [["Speech", "Music"]]

Each row has a list for each of its videos.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..columns import build_columns
from ..thresholds import Thresholds, freeze_thresholds
from .tag_cells import LABELS_DEPTH, LABELS_TYPE, check_list, check_scored, is_at_least, read_cells


def labels_over(
    min_score: float | Mapping[str, float] | str | os.PathLike[str],
    *,
    column: str = "video_audio_top",
    new_column: str | None = None,
    batched: bool | None = None,
) -> "LabelsOver":
    """For `map`: adds a column with the labels of each video that have at least this score, best first.

    It reads the scores that a tagger with `top_k` adds, so that k limits how many labels there can be. With a
    mapping, or a file that `write_thresholds` wrote, each label has its own threshold, and labels that are
    not in it are left out. A video without an audio stream ("EMPTY") has none, as has one of which no label
    scores enough; a video that failed has null.

    >>> top = [{"label": "Speech", "score": 0.8}, {"label": "Music", "score": 0.3}]
    >>> labels_over(0.5)({"video_audio_top": [top, [], None]})
    {'video_audio_labels': [['Speech'], [], None]}
    >>> labels_over({"Music": 0.2})({"video_audio_top": [top]})
    {'video_audio_labels': [['Music']]}

    The new column has the prefix of the one that is read: "sound_labels" for `column="sound_top"`.
    """
    return LabelsOver(freeze_thresholds(min_score), column, new_column or name_labels(column), batched)


def name_labels(column: str) -> str:
    """The name of the column of labels beside a column of scores.

    >>> name_labels("video_audio_top"), name_labels("scores")
    ('video_audio_labels', 'scores_labels')
    """
    return f"{column.removesuffix('_top')}_labels"


@dataclass(frozen=True)
class LabelsOver:
    """What `labels_over` returns: settings alone, so that it pickles and hashes.

    >>> labels_over(0.3).new_column
    'video_audio_labels'
    """

    thresholds: Thresholds
    column: str
    new_column: str
    batched: bool | None

    def __call__(self, rows: Any, index: int | None = None) -> dict[str, Any]:
        """The new column for a row, or for a batch, or for the row of a `Dataset` with this index."""
        cells, is_batch = read_cells(rows, self.column, LABELS_DEPTH, self.batched, index)
        by_label = None if isinstance(self.thresholds, float) else dict(self.thresholds)
        values = [self._find_labels(cell, by_label) for cell in (cells if is_batch else [cells])]
        return build_columns({self.new_column: values}, {self.new_column: LABELS_TYPE}, is_batch)

    def _find_labels(self, cell: Any, by_label: dict[str, float] | None) -> list[list[str] | None] | None:
        videos = check_list(cell, self.column)
        if videos is None:
            return None
        return [None if video is None else self._select(video, by_label) for video in videos]

    def _select(self, video: Any, by_label: dict[str, float] | None) -> list[str]:
        """The labels of one video, in the order of its scores."""
        labels = []
        for label, score in check_scored(video, self.column):
            least = self.thresholds if by_label is None else by_label.get(label)
            if isinstance(least, float) and is_at_least(score, least):
                labels.append(str(label))
        return labels
