"""The pipeline: windows of several clips are scored in micro-batches, while threads decode the next clips.

Memory is bounded by the windows in flight, never by a clip's length, and so is the number of files that are
open at a time.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from . import memo
from .activity import add_clips, scoring
from .cells import Media
from .chunks import Chunk, ClipEnd, PipelineOptions, windows_per_unit
from .decode_ahead import decode_ahead
from .errors import ModelError
from .memo.windows import WindowBatch
from .models.family import AudioModel, ModelOutput
from .process import compute
from .windows import Window

MOST_BATCHES_WAITING = 8  # of windows: so many results wait at most for a full batch of new windows


@dataclass(frozen=True)
class ScoredWindows:
    """The model's output for consecutive windows of one clip."""

    clip: int  # its index in the sequence of media
    spans: list[tuple[float, float]]  # start and end of each window, in seconds
    output: ModelOutput


def run_pipeline(
    media: Iterable[Media], model: AudioModel, options: PipelineOptions
) -> Generator[ScoredWindows | ClipEnd, None, None]:
    """Yield the scored windows of each clip in order, followed by the clip's end.

    A clip for which the model's output is not finite ends with an error, since NaN cannot be ranked.
    """
    error: ModelError | None = None  # of the current clip
    for chunk, output in predict_chunks(media, model, options):
        if output is not None and error is None:
            if all(np.isfinite(array).all() for array in output.arrays):
                yield ScoredWindows(chunk.clip, chunk.spans, output)
            else:
                error = ModelError(
                    f"{chunk.name}: the model's output has NaN or infinite values. With dtype='float16' use "
                    "'bfloat16' or 'float32', which do not overflow; else the weights are broken."
                )
        if chunk.end is not None:
            yield chunk.end if error is None else replace(chunk.end, error=chunk.end.error or error)
            error = None


def predict_chunks(
    media: Iterable[Media], model: AudioModel, options: PipelineOptions
) -> Iterator[tuple[Chunk, ModelOutput | None]]:
    """Yield the chunks of all clips with the model's output, computed in full batches of new windows.

    A window whose samples the model has scored before, or that the batch already has, has the same output.
    """
    waiting: list[Chunk] = []
    waiting_count = 0  # of windows
    windows: WindowBatch[Window] = WindowBatch(memo.get_window_memory(model))
    size = options.batch_size * windows_per_unit(model, options)
    for chunk in decode_ahead(media, model, options):
        windows.add(chunk.keys, chunk.windows)
        waiting.append(replace(chunk, windows=[]))  # of known ones no samples are kept
        waiting_count += len(chunk.keys)
        # What waits for no new window is told at once, such as errors.
        if not 0 < len(windows.new) < size or waiting_count >= MOST_BATCHES_WAITING * size:
            yield from predict(waiting, windows, model, size)
            waiting, waiting_count, windows = [], 0, WindowBatch(windows.memory)
    yield from predict(waiting, windows, model, size)


def predict(
    chunks: Sequence[Chunk], windows: WindowBatch[Window], model: AudioModel, batch: int
) -> Iterator[tuple[Chunk, ModelOutput | None]]:
    """The chunks with the model's output for their windows, at most `batch` new ones at a time."""
    count = sum(len(chunk.spans) for chunk in chunks)
    clips, seconds = sum(chunk.share for chunk in chunks), sum(chunk.sound_seconds for chunk in chunks)

    def scoring_part(part: int) -> AbstractContextManager[None]:
        return scoring(part, clips * part / count, seconds * part / count)

    if not count:
        add_clips(clips)
    elif known := count - len(windows.new):
        with scoring_part(known):
            pass
    while part := windows.take(batch):
        samples = [window.samples for window in part.values()]
        with scoring_part(len(part)):
            output = compute(partial(model.predict, samples))
        windows.keep(list(part), output.arrays)
    for chunk in chunks:
        yield chunk, ModelOutput(*windows.stack(chunk.keys)) if chunk.keys else None
