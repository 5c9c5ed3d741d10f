"""The pipeline: windows of several clips are scored in micro-batches, while threads decode the next clips.

Memory is bounded by the windows in flight, never by a clip's length, and so is the number of files that are
open at a time.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from .activity import add_clips, scoring
from .cells import Media
from .chunks import Chunk, ClipEnd, PipelineOptions, windows_per_unit
from .decode_ahead import decode_ahead
from .errors import ModelError
from .models.family import AudioModel, ModelOutput
from .process import compute


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
            arrays = [array for array in (output.logits, output.embeddings) if array is not None]
            if all(np.isfinite(array).all() for array in arrays):
                spans = [window.find_span(model.rate_hz) for window in chunk.windows]
                yield ScoredWindows(chunk.clip, spans, output)
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
    """Yield the chunks of all clips with the model's output, computed in full batches of windows."""
    waiting: list[Chunk] = []
    window_count = 0
    batch = options.batch_size * windows_per_unit(model, options)
    for chunk in decode_ahead(media, model, options):
        waiting.append(chunk)
        window_count += len(chunk.windows)
        if window_count >= batch or not window_count:  # errors are told at once
            yield from predict(waiting, model, batch)
            waiting, window_count = [], 0
    yield from predict(waiting, model, batch)


def predict(
    chunks: Sequence[Chunk], model: AudioModel, batch: int
) -> Iterator[tuple[Chunk, ModelOutput | None]]:
    """The chunks with the model's output for their windows, at most `batch` of them at a time."""
    windows = [window.samples for chunk in chunks for window in chunk.windows]
    clips, seconds = sum(chunk.share for chunk in chunks), sum(chunk.sound_seconds for chunk in chunks)
    parts = []
    for start in range(0, len(windows), batch):
        part = windows[start : start + batch]
        share = len(part) / len(windows)
        with scoring(len(part), share * clips, share * seconds):
            parts.append(compute(partial(model.predict, part)))
    if not windows:
        add_clips(clips)
    output = ModelOutput.concatenate(parts) if parts else None  # clips without windows only
    position = 0
    for chunk in chunks:
        rows = slice(position, position + len(chunk.windows))
        position = rows.stop
        yield chunk, output.rows(rows) if output is not None and chunk.windows else None
