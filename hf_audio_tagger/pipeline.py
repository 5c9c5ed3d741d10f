"""The pipeline: threads decode the next clips while the model runs.

Each clip is opened, cut into windows at the model's rate, and scored in micro-batches of the windows of
several clips. Memory is bounded by the windows in flight, never by a clip's length, and so is the number of
files that are open at a time.
"""

import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice

import numpy as np

from .activity import add_clips, scoring
from .cells import Media
from .errors import ColumnError, MediaError, ModelError
from .media.audio import is_remote, open_sound
from .media.failures import convert_clip_errors
from .media.turns import Turns
from .models.family import AudioModel, ModelOutput
from .process import compute, one_thread_each
from .windows import Window, cut_windows, estimate_count

BATCH_UNIT_SECONDS = 10  # `batch_size` counts windows of about this length, or as many shorter ones
OPEN_PER_THREAD = 4  # clips open at a time for each decode thread: one that it decodes, others that wait
REMOTE_CLIPS = 32  # open at a time: what they cost is waiting for servers, not cores
FILES_PER_OPEN_CLIP = 8  # of the limit of open files: decoders and the network need some, too


@dataclass(frozen=True)
class PipelineOptions:
    """How clips are decoded, cut and batched."""

    windows: str | int  # "first", "all", or how many spread evenly
    hop_samples: int  # from window to window, at the model's rate
    channels: str
    decoder: str
    batch_size: int  # of windows of about ten seconds, in a micro-batch
    decode_threads: int
    token: str | bool | None = field(default=None, repr=False)  # for media on the Hub


@dataclass(frozen=True)
class ScoredWindows:
    """The model's output for consecutive windows of one clip."""

    clip: int  # its index in the sequence of media
    spans: list[tuple[float, float]]  # start and end of each window, in seconds
    output: ModelOutput


@dataclass(frozen=True)
class ClipEnd:
    """A clip is finished: all its windows are scored, or it has no audio stream, or there is an error."""

    clip: int
    has_sound: bool = True
    error: MediaError | ColumnError | ModelError | None = None


@dataclass(frozen=True)
class Chunk:
    """Consecutive windows of one clip. The last chunk has the clip's end; the file is then closed."""

    clip: int
    name: str
    windows: list[Window]
    end: ClipEnd | None = None
    share: float = 0.0  # of its clip, as far as its length is known; the shares of all chunks add up to 1
    sound_seconds: float = 0.0  # in no chunk before


@dataclass
class Extent:
    """How far a clip's windows have been cut."""

    expected: int | None = None  # windows
    shared: float = 0.0  # of the clip, in the chunks so far
    end_seconds: float = 0.0  # of the last window so far

    def take_share(self, count: int) -> float:
        """The share of some windows; nothing for those beyond the length that the container states."""
        share = min(count / self.expected, 1.0 - self.shared) if self.expected else 0.0
        self.shared += share
        return share

    def measure(self, windows: Sequence[Window], rate_hz: int) -> float:
        """The seconds of sound in these windows and in none before."""
        seconds = 0.0
        for start, end in (window.find_span(rate_hz) for window in windows):
            seconds += max(0.0, end - max(start, self.end_seconds))
            self.end_seconds = max(self.end_seconds, end)
        return seconds


@dataclass(frozen=True, eq=False)
class WaitingClip:
    """A queued clip: its chunks, the lane that decodes them, and the first one, which is decoded ahead."""

    chunks: Generator[Chunk, None, None]
    lane: "Lane"
    first: Future[Chunk] = field(default_factory=Future)


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


def windows_per_unit(model: AudioModel, options: PipelineOptions) -> int:
    """The windows in ten seconds at the model's own hop; a smaller hop does not increase the number."""
    return max(1, round(BATCH_UNIT_SECONDS * model.rate_hz / max(options.hop_samples, model.hop_samples)))


def limit_open_clips(decode_threads: int) -> int:
    """How many local clips may be open: a few per thread, within the process's limit of open files."""
    return limit_by_files(OPEN_PER_THREAD * decode_threads)


def limit_by_files(most: int) -> int:
    """That many clips, or fewer: well within the process's limit of open files."""
    try:
        import resource
    except ImportError:  # not a Unix
        return most
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if files == resource.RLIM_INFINITY else max(1, min(most, files // FILES_PER_OPEN_CLIP))


class Lane:
    """Clips that are decoded by the same threads, with a count of those that are open.

    With `turns`, the threads are more than the cores: most of them wait for servers.
    """

    def __init__(self, pool: ThreadPoolExecutor, most_open: int, turns: Turns | None = None) -> None:
        self.pool, self.most_open, self.turns = pool, most_open, turns
        self.open_count = 0
        self.lock = threading.Lock()
        self.unopened: deque[WaitingClip] = deque()

    def open_next(self) -> None:
        """Let a thread open the clips whose turn it is."""
        self.pool.submit(self.decode_first_chunks)

    def decode_first_chunks(self) -> None:
        """Open clips and decode their first chunks, up to the limit of open clips."""
        while True:
            with self.lock:
                if not self.unopened or self.open_count >= self.most_open:
                    return
                self.open_count += 1
                clip = self.unopened.popleft()
            try:
                clip.first.set_result(self.next_chunk(clip))
            except BaseException as error:
                clip.first.set_exception(error)

    def next_chunk(self, clip: WaitingClip) -> Chunk:
        """An open clip's next chunk; with the last one the clip is closed."""
        chunk = None
        try:
            with nullcontext() if self.turns is None else self.turns.taken():
                chunk = next(clip.chunks)
            return chunk
        finally:
            if chunk is None or chunk.end is not None:
                with self.lock:
                    self.open_count -= 1

    def close(self) -> None:
        """Drop the clips that are not open yet, and end all waits for servers."""
        with self.lock:
            self.unopened.clear()
        if self.turns is not None:
            self.turns.stop()


class Lanes:
    """Local clips have a thread for each core. Remote ones have threads of their own.

    So many of them wait at a time, and a server that does not answer holds up no other clip.
    """

    def __init__(self, options: PipelineOptions, stack: ExitStack) -> None:
        self.options, self.stack = options, stack
        self.most_waiting = 2 * options.batch_size
        self.remote: Lane | None = None
        pool = stack.enter_context(one_thread_each(options.decode_threads, "decode"))
        self.local = stack.enter_context(closing(Lane(pool, limit_open_clips(options.decode_threads))))

    def pick(self, media: Media) -> Lane:
        if not is_remote(media):
            return self.local
        if self.remote is None:
            most_open = limit_by_files(REMOTE_CLIPS)
            # One more, for the current clip's next chunk while all others wait.
            pool = self.stack.enter_context(one_thread_each(most_open + 1, "decode remote"))
            turns = Turns(self.options.decode_threads)
            self.remote = self.stack.enter_context(closing(Lane(pool, most_open, turns)))
            self.most_waiting = max(self.most_waiting, most_open)
        return self.remote


def decode_ahead(media: Iterable[Media], model: AudioModel, options: PipelineOptions) -> Iterator[Chunk]:
    """The clips' chunks in order, while threads decode the clips after the current one.

    Memory is bounded: a waiting clip holds only its first chunk, the current clip one batch in advance. Most
    clips have only one chunk and are closed after it. The number of open clips is limited; clips beyond the
    limit wait unopened. Clips are opened in order, so the current one is always open.
    """
    waiting: deque[WaitingClip] = deque()
    rest = enumerate(media)
    try:
        with ExitStack() as stack:
            lanes = Lanes(options, stack)
            while True:
                while len(waiting) < lanes.most_waiting and (following := next(rest, None)) is not None:
                    index, one = following
                    lane = lanes.pick(one)
                    clip = WaitingClip(decode_chunks(index, one, model, options), lane)
                    waiting.append(clip)
                    lane.unopened.append(clip)
                    lane.open_next()
                if not waiting:
                    return
                current = waiting[0]
                chunk = current.first.result()
                while chunk.end is None:
                    next_chunk = current.lane.pool.submit(current.lane.next_chunk, current)
                    yield chunk
                    chunk = next_chunk.result()
                waiting.popleft()
                current.lane.open_next()  # another clip may be opened now
                yield chunk
    finally:
        for clip in waiting:
            clip.chunks.close()  # closes its file, too


def decode_chunks(
    clip: int, media: Media, model: AudioModel, options: PipelineOptions
) -> Generator[Chunk, None, None]:
    """One clip's windows: a short chunk first, then full batches. The file is closed before the last one."""
    held: list[Window] = []
    end, extent = ClipEnd(clip), Extent()
    try:
        is_first, is_all = options.windows == "first", options.windows == "all"
        opening = open_sound(media, options.decoder, options.channels, is_first, is_all, options.token)
        with convert_clip_errors(media.name), opening as sound:
            if sound is None:
                end = ClipEnd(clip, has_sound=False)
            else:
                windows = cut_windows(sound, media.name, model, options.windows, options.hop_samples)
                extent.expected = estimate_count(sound, model, options.windows, options.hop_samples)
                unit = windows_per_unit(model, options)
                held = list(islice(windows, unit))
                while following := list(islice(windows, 1)):
                    seconds = extent.measure(held, model.rate_hz)
                    yield Chunk(clip, media.name, held, None, extent.take_share(len(held)), seconds)
                    held = following + list(islice(windows, options.batch_size * unit - 1))
    except (MediaError, ColumnError) as error:
        held, end = [], ClipEnd(clip, error=error)
    seconds = extent.measure(held, model.rate_hz)
    yield Chunk(clip, media.name, held, end, 1.0 - extent.shared, seconds)
