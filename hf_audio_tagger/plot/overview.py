"""A whole clip in a bounded number of columns: its envelope and its log-mel.

The clip is streamed once. A column initially is one frame of 10 ms; when all columns are used, pairs are
merged, which doubles their duration. The length need not be known in advance and does not affect memory.
"""

from dataclasses import dataclass
from typing import Any

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
        """The position of a frequency on an axis of bands, where the first band spans 0 to 1."""
        low, high, mel = 1127 * np.log1p(np.array([LOWEST_HZ, RATE_HZ / 2, hz]) / 700)  # Kaldi's scale
        # Triangles overlap by half: the centre of band i lies i + 1 steps above the lowest frequency.
        return float((mel - low) / (high - low) * (BANDS + 1) - 0.5)


def read_overview(sound: Sound, name: str) -> Overview:
    """Read a clip from beginning to end."""
    prepare_torch()
    bank = FilterBank(RATE_HZ, BANDS, torch.device("cpu"))
    width = bank.shift_samples  # of a column
    empty: dict[np.ufunc, Any] = {
        np.minimum: np.float32(np.inf),
        np.maximum: np.float32(-np.inf),
        np.add: np.zeros(BANDS + 1),
    }
    # Minimum and maximum sample, and the sum of the frames' power, followed by the number of frames.
    columns = {ufunc: np.array([value] * MOST_COLUMNS) for ufunc, value in empty.items()}
    total = framed = 0  # samples read so far, and the start of the next frame
    pending = np.zeros(0, np.float32)  # samples from the next frame on

    def add_values(ufunc: np.ufunc, starts: np.ndarray, values: np.ndarray) -> None:
        """Combine each value with the column that contains its start."""
        places = starts // width
        firsts = np.flatnonzero(np.diff(places, prepend=-1))
        old = columns[ufunc][places[firsts]]
        columns[ufunc][places[firsts]] = ufunc(old, ufunc.reduceat(values, firsts, axis=0))

    def add_frames(samples: np.ndarray) -> int:
        """Add the whole frames of these samples; returns the number of samples consumed."""
        if count := bank.count_frames(len(samples)):
            with torch.inference_mode():
                power = bank.log_mel(torch.from_numpy(samples)[None])[0].double().exp().numpy()
            starts = framed + bank.shift_samples * np.arange(count)
            add_values(np.add, starts, np.pad(power, ((0, 0), (0, 1)), constant_values=1))
        return count * bank.shift_samples

    for block in read_resampled(sound, RATE_HZ):
        for start in range(0, len(block), PIECE_SAMPLES):
            piece = block[start : start + PIECE_SAMPLES]
            if not np.isfinite(piece).all():
                raise MediaError(f"{name}: its samples are not all finite numbers.")
            while total + len(piece) > width * MOST_COLUMNS:
                width *= 2
                for ufunc, old in columns.items():
                    unused = [empty[ufunc]] * (MOST_COLUMNS // 2)
                    columns[ufunc] = np.concatenate([ufunc(old[::2], old[1::2]), unused])
            for ufunc in (np.minimum, np.maximum):
                add_values(ufunc, total + np.arange(len(piece)), piece)
            total += len(piece)
            pending = np.concatenate([pending, piece])
            done = add_frames(pending)
            pending, framed = pending[done:], framed + done
    if not total:
        raise MediaError(f"{name}: it holds no sound.")
    if not framed:
        add_frames(pad_to(pending, bank.frame_samples))
    filled = -(-total // width)
    power = columns[np.add][columns[np.add][:, -1] > 0]
    mel_db = DECIBEL_PER_NEPER * np.log(power[:, :-1] / power[:, -1:])
    return Overview(
        seconds=total / RATE_HZ,
        column_seconds=width / RATE_HZ,
        lowest=columns[np.minimum][:filled],
        highest=columns[np.maximum][:filled],
        mel_db=np.pad(mel_db, ((0, filled - len(power)), (0, 0)), mode="edge"),
    )
