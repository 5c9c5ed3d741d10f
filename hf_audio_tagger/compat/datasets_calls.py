"""Inspects how `datasets` calls a function of `map`, without importing it."""

import sys
from types import FrameType

OURS, THEIRS = __name__.partition(".")[0], "datasets"


def encoded_file(decoder: object) -> object:
    """The {path, bytes} from which `datasets` created a decoder; None if it did not."""
    return getattr(decoder, "_hf_encoded", None)


def called_by_arrow_map() -> bool:
    """True inside `Dataset.map`, which writes Arrow; False in streaming, which passes on Python values.

    A formatted `Dataset` and an `IterableDataset` pass the same plain dict, but only the first infers a
    column's type from its first values, so types must be returned for it.
    """
    frame: FrameType | None = sys._getframe()
    while frame is not None and get_package(frame) != THEIRS:
        frame = frame.f_back
    return frame is not None and frame.f_globals["__name__"] == "datasets.arrow_dataset"


def called_with_indices() -> bool:
    """True where `map(with_indices=True)` calls us itself, so that its second argument is an index.

    False if a user's function calls us, with arguments of its own choice.
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
