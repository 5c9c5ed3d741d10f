"""How `datasets` calls a function of `map`, and what it passes, found without importing it."""

import sys
from types import FrameType

OURS, THEIRS = __name__.partition(".")[0], "datasets"


def encoded_file(decoder: object) -> object:
    """The {path, bytes} that `datasets` made a video or audio decoder from; None where it made none."""
    return getattr(decoder, "_hf_encoded", None)


def called_by_arrow_map() -> bool:
    """True below `Dataset.map`, which writes Arrow; false in streaming, which passes Python values on.

    A formatted `Dataset` and an `IterableDataset` pass the same plain dict, but only the first infers a
    column's type from its first values, so that there types must be returned too.
    """
    frame: FrameType | None = sys._getframe()
    while frame is not None and get_package(frame) != THEIRS:
        frame = frame.f_back
    return frame is not None and frame.f_globals["__name__"] == "datasets.arrow_dataset"


def called_with_indices() -> bool:
    """True where `map(with_indices=True)` calls us itself, so that what it passes after the row is an index.

    False where a function of the user's calls us: it passes what its author chose.
    """
    frame: FrameType | None = sys._getframe()
    while frame is not None and get_package(frame) == OURS:
        frame = frame.f_back
    while frame is not None and get_package(frame) == THEIRS:
        names = frame.f_locals
        with_indices = names.get("with_indices", getattr(names.get("self"), "with_indices", None))
        if with_indices is not None:
            return bool(with_indices)
        frame = frame.f_back
    return False


def get_package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
