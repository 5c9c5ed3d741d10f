"""A whole clip in a bounded number of columns: its envelope and its log-mel.

The clip is read once, some seconds at a time. A column begins as one frame of 10 ms; whenever all columns are
used, pairs of them are merged and each lasts twice as long. So the length need not be known in advance, and
an hour takes no more memory than a minute.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import log

import numpy as np
import torch

from ..errors import MediaError
from ..media.resample import read_resampled
from ..media.sound import Sound
from ..models.front_ends.kaldi import LOWEST_HZ, FilterBank
from ..process import prepare_torch
from ..windows import pad_to

RATE_HZ = 16_000
BANDS = 80
PIECE_SAMPLES = 10 * RATE_HZ  # processed at once
MOST_COLUMNS = 1500  # of which at least half are filled once a clip lasts 15 s
DECIBEL_PER_NEPER = 10 / np.log(10)  # of a natural logarithm of power


@dataclass(frozen=True)
class Overview:
    """A clip as it is drawn. Column i begins at `i * column_seconds`."""

    seconds: float
    column_seconds: float
    lowest: np.ndarray  # (columns,): the smallest sample of each
    highest: np.ndarray  # (columns,)
    mel_db: np.ndarray  # (columns, bands): mean power; without a whole frame, that of the column before

    def band_at(self, hz: float) -> float:
        """The position of a frequency among the bands, of which the first spans from 0 to 1."""
        low, high = mel(LOWEST_HZ), mel(RATE_HZ / 2)
        # Triangles overlap by half: the centre of band i lies i + 1 steps above the lowest frequency.
        return (mel(hz) - low) / (high - low) * (BANDS + 1) - 0.5


def mel(hz: float) -> float:
    """Kaldi's scale."""
    return 1127 * log(1 + hz / 700)


class Columns:
    """The columns of the samples that were read so far."""

    def __init__(self, frame_samples: int) -> None:
        self.width_samples = frame_samples  # of a column
        self.lowest = np.full(MOST_COLUMNS, np.inf, np.float32)
        self.highest = np.full(MOST_COLUMNS, -np.inf, np.float32)
        self.power = np.zeros((MOST_COLUMNS, BANDS))
        self.frame_counts = np.zeros(MOST_COLUMNS)

    def make_room(self, samples: int) -> None:
        """Merge pairs of columns until so many samples fit."""
        while samples > self.width_samples * MOST_COLUMNS:
            self.width_samples *= 2
            self.lowest = merge_pairs(np.minimum, self.lowest, np.inf)
            self.highest = merge_pairs(np.maximum, self.highest, -np.inf)
            self.power = merge_pairs(np.add, self.power, 0)
            self.frame_counts = merge_pairs(np.add, self.frame_counts, 0)

    def add_samples(self, samples: np.ndarray, start: int) -> None:
        columns = (start + np.arange(len(samples))) // self.width_samples
        fold(np.minimum, self.lowest, columns, samples)
        fold(np.maximum, self.highest, columns, samples)

    def add_frames(self, power: np.ndarray, starts: np.ndarray) -> None:
        columns = starts // self.width_samples
        fold(np.add, self.power, columns, power)
        fold(np.add, self.frame_counts, columns, np.ones(len(power)))

    def overview(self, samples: int) -> Overview:
        filled = -(-samples // self.width_samples)
        framed = int(np.count_nonzero(self.frame_counts))
        mean_power = self.power[:framed] / self.frame_counts[:framed, None]
        mel_db = DECIBEL_PER_NEPER * np.log(mean_power)
        return Overview(
            seconds=samples / RATE_HZ,
            column_seconds=self.width_samples / RATE_HZ,
            lowest=self.lowest[:filled],
            highest=self.highest[:filled],
            mel_db=np.pad(mel_db, ((0, filled - framed), (0, 0)), mode="edge"),
        )


def merge_pairs(ufunc: np.ufunc, columns: np.ndarray, empty: float) -> np.ndarray:
    """Merge pairs of columns into the first half, and empty the second."""
    merged = np.full_like(columns, empty)
    merged[: len(columns) // 2] = ufunc(columns[::2], columns[1::2])
    return merged


def fold(ufunc: np.ufunc, target: np.ndarray, columns: np.ndarray, values: np.ndarray) -> None:
    """Combine each value with its column of the target. `columns` is ascending."""
    if len(columns):
        firsts = np.flatnonzero(np.diff(columns, prepend=-1))
        places = columns[firsts]
        target[places] = ufunc(target[places], ufunc.reduceat(values, firsts, axis=0))


def split_blocks(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Blocks of any size, in pieces of at most `PIECE_SAMPLES`."""
    for block in blocks:
        for start in range(0, len(block), PIECE_SAMPLES):
            yield block[start : start + PIECE_SAMPLES]


def read_overview(sound: Sound, name: str) -> Overview:
    """Read a clip from beginning to end."""
    prepare_torch()
    bank = FilterBank(RATE_HZ, BANDS, torch.device("cpu"))
    columns = Columns(bank.shift_samples)
    total = 0
    pending = np.zeros(0, np.float32)  # samples from the start of the next frame on
    framed = 0  # position of that start in the clip

    def add_frames(samples: np.ndarray) -> int:
        """Add the whole frames in these samples, and return how many samples they advance."""
        count = bank.count_frames(len(samples))
        if count:
            with torch.inference_mode():
                power = bank.log_mel(torch.from_numpy(samples)[None])[0].double().exp().numpy()
            columns.add_frames(power, framed + bank.shift_samples * np.arange(count))
        return count * bank.shift_samples

    for piece in split_blocks(read_resampled(sound, RATE_HZ)):
        if not np.isfinite(piece).all():
            raise MediaError(f"{name}: its samples are not all finite numbers.")
        columns.make_room(total + len(piece))
        columns.add_samples(piece, total)
        total += len(piece)
        pending = np.concatenate([pending, piece])
        done = add_frames(pending)
        pending, framed = pending[done:], framed + done
    if not total:
        raise MediaError(f"{name}: it holds no sound.")
    if not framed:
        add_frames(pad_to(pending, bank.frame_samples))
    return columns.overview(total)
