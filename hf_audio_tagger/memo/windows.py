"""A model's outputs for windows that it has scored before, by a digest of their samples.

Windows of the same samples get one forward pass and the same output, bit for bit: digital silence, an intro,
a sound that was uploaded twice.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from xxhash import xxh3_128_digest

KEPT_BYTES = 32 << 20  # of a model's outputs: about 5,000 windows of YAMNet, 6,000 of AST
SEED = int.from_bytes(os.urandom(8), "little")  # a new one in each process: no sound can be made for a digest
ENTRY_BYTES = 600  # of an output's key and array headers in Python, approximately

Key = tuple[bytes, int, str]
Output = tuple[np.ndarray, ...]  # one window's logits, and its embedding where the model has one
Window = TypeVar("Window")

_lock = threading.Lock()  # one for all memories: it is held for microseconds


def make_window_key(samples: np.ndarray) -> Key:
    """Windows with the same key have the same samples. xxh3 takes 5 µs for YAMNet's 62 kB, blake2b 77 µs."""
    return xxh3_128_digest(np.ascontiguousarray(samples).data, SEED), len(samples), samples.dtype.str


class WindowMemory:
    """The outputs of one model for the windows that were scored or found last. Threads may share it."""

    def __init__(self) -> None:
        self.outputs: OrderedDict[Key, Output] = OrderedDict()

    def find(self, key: Key) -> Output | None:
        with _lock:
            output = self.outputs.pop(key, None)
            if output is None:
                return None
            if output[0].base is not None:  # without a copy it would keep all outputs of its batch
                output = tuple(array.copy() for array in output)
            self.outputs[key] = output
            return output

    def keep(self, keys: Sequence[Key], arrays: Sequence[np.ndarray]) -> list[Output]:
        """Keep the rows of these arrays, except those that are not finite; returns all of them."""
        arrays = [np.array(array) for array in arrays]  # copies: a model's may be parts of larger ones
        outputs = list(zip(*arrays, strict=True))
        is_finite = np.logical_and.reduce([np.isfinite(array).all(axis=1) for array in arrays])
        most = KEPT_BYTES // (ENTRY_BYTES + sum(array.nbytes for array in arrays) // max(1, len(keys)))
        with _lock:
            for key, output, kept in zip(keys, outputs, is_finite.tolist(), strict=True):
                if kept:
                    self.outputs[key] = output
            while len(self.outputs) > most:
                self.outputs.popitem(last=False)
        return outputs

    def clear(self) -> None:
        with _lock:
            self.outputs.clear()


@dataclass(eq=False)
class WindowBatch(Generic[Window]):
    """Windows that wait for their outputs: those of new samples, each once, and the outputs of all others."""

    memory: WindowMemory
    new: dict[Key, Window] = field(default_factory=dict)
    outputs: dict[Key, Output] = field(default_factory=dict)

    def add(self, keys: Iterable[Key], windows: Iterable[Window]) -> None:
        for key, window in zip(keys, windows, strict=True):
            if key in self.new or key in self.outputs:
                continue
            if (output := self.memory.find(key)) is not None:
                self.outputs[key] = output
            else:
                self.new[key] = window

    def take(self, count: int) -> dict[Key, Window]:
        """Some of the new windows, which are to be scored."""
        keys = list(self.new)[:count]
        return {key: self.new.pop(key) for key in keys}

    def keep(self, keys: Sequence[Key], arrays: Sequence[np.ndarray]) -> None:
        """Add the outputs of windows that were taken."""
        self.outputs.update(zip(keys, self.memory.keep(keys, arrays), strict=True))

    def stack(self, keys: Sequence[Key]) -> list[np.ndarray]:
        """The outputs for some windows, an array of each kind with a row for each of them."""
        kinds = zip(*(self.outputs[key] for key in keys), strict=True)
        return [np.concatenate(rows).reshape(len(keys), len(rows[0])) for rows in kinds]


def _after_fork() -> None:
    """Replace the lock: if another thread of the parent held it, it would never be released."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
