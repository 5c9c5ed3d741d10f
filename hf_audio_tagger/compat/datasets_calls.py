"""How `datasets` calls a function of `map`, and what it hands over, found out without importing it."""

import sys
from types import FrameType

OURS, THEIRS = __name__.partition(".")[0], "datasets"


def encoded_file(decoder: object) -> object:
    """The {path, bytes} that `datasets` made a video or audio decoder from; None where it made none.

    Publicly a decoder gives only what it decodes.
    """
    return getattr(decoder, "_hf_encoded", None)


def called_by_arrow_map() -> bool:
    """True below `Dataset.map`, which writes Arrow; false in streaming, which passes Python values on.

    A formatted `Dataset` and an `IterableDataset` hand over the same plain dict, but only the first
    infers a column's type from its first values, so only there the types must come along. Nothing public
    tells them apart: the caller's frame does.
    """
    frame: FrameType | None = sys._getframe()
    while frame is not None and package_of(frame) != THEIRS:
        frame = frame.f_back
    return frame is not None and frame.f_globals["__name__"] == "datasets.arrow_dataset"


def called_with_indices() -> bool:
    """True where `map(with_indices=True)` calls us itself, so that what it passes after the row is an index.

    A function of the user's in between passes on what its author chose. `map` does not say what its
    arguments are: the variable `with_indices` of its frame does.
    """
    frame: FrameType | None = sys._getframe()
    while frame is not None and package_of(frame) == OURS:
        frame = frame.f_back
    while frame is not None and package_of(frame) == THEIRS:
        names = frame.f_locals
        asked = names.get("with_indices", getattr(names.get("self"), "with_indices", None))
        if asked is not None:
            return bool(asked)
        frame = frame.f_back
    return False


def package_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
