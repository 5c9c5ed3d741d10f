"""Inspects how `datasets` calls a function of `map`, without importing it."""

import re
import sys
from types import FrameType
from typing import Any, SupportsIndex

OURS, THEIRS = __name__.partition(".")[0], "datasets"
RANK_IN_FINGERPRINT = re.compile(r".*_(\d+)_of_(\d+)")  # as `map` names the part of each of its workers


class Fingerprinted:
    """A value of which the fingerprint of `map` takes `hash_key()`, not the whole pickled instance.

    Pickled for anything else, such as a worker process, it is the instance.
    """

    def hash_key(self) -> tuple[Any, ...]:
        raise NotImplementedError

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        if called_by_hasher():
            return tuple, (self.hash_key(),)
        return super().__reduce_ex__(protocol)


def called_by_hasher() -> bool:
    """True in an `__reduce_ex__` that is called for a fingerprint, by the pickler of `datasets`."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_name == "__reduce_ex__":
        frame = frame.f_back
    pickler = None if frame is None else frame.f_locals.get("self")
    return type(pickler).__module__ == "datasets.utils._dill"


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


def read_map_worker() -> tuple[int, int] | None:
    """The rank and the number of parts of the `Dataset.map` whose function this is called from.

    None outside of a map, and in one that is not divided.
    """
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_name != "_map_single":
        frame = frame.f_back
    if frame is None or get_package(frame) != THEIRS:
        return None
    match = RANK_IN_FINGERPRINT.fullmatch(str(frame.f_locals.get("new_fingerprint")))
    return (int(match[1]), int(match[2])) if match else None


def get_package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
