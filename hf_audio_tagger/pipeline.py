"""Which windows of a clip are heard, and the pipeline: decode ahead while the model works.

One clip's way: open its sound, cut it into windows at the model's rate, gather windows of several
clips into micro-batches, hear them. Threads decode the clips that come next; memory is bounded by the
windows in flight, never by a clip's length, and so are the files that are open at a time.
"""

import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from math import ceil

import numpy as np

from .cells import Media
from .errors import ColumnError, MediaError, ModelError
from .media import open_sound
from .media.failures import clip_failures
from .media.resample import Conversion, resample, resample_blocks
from .media.sound import Sound, joined, no_sound
from .models.model import AudioModel, ModelOutput
from .process import compute, one_thread_each

STRETCH_SECONDS = 10  # about what one clip takes from a micro-batch; `batch_size` counts these
OPEN_PER_THREAD = 4  # clips open at a time for each decode thread: one that it reads, others that wait
FILES_PER_OPEN_CLIP = 8  # of the files that this process may open: decoders and the network need some too


@dataclass(frozen=True)
class Plan:
    """How clips are listened to."""

    windows: str | int  # "first", "all", or how many spread evenly
    hop_samples: int  # from window to window, at the model's rate
    channels: str
    decoder: str
    batch_size: int  # stretches of about ten seconds in a micro-batch
    decode_threads: int


@dataclass(frozen=True)
class Window:
    start_sample: int
    samples: np.ndarray


@dataclass(frozen=True)
class ScoredWindows:
    """What the model says of consecutive windows of one clip."""

    clip: int  # its place in the sequence of media
    spans: list[tuple[float, float]]  # start and end of each window, in seconds
    output: ModelOutput


@dataclass(frozen=True)
class ClipEnd:
    """A clip is through: heard, without an audio stream (`silent`), or with an error."""

    clip: int
    silent: bool = False
    error: MediaError | ColumnError | ModelError | None = None


@dataclass(frozen=True)
class Chunk:
    """Consecutive windows of one clip; with the last, its ending. Its file is then closed."""

    clip: int
    name: str
    windows: list[Window]
    end: ClipEnd | None = None


@dataclass(frozen=True, eq=False)
class WaitingClip:
    """A clip whose turn comes later: its chunks, and the one that is decoded first."""

    chunks: Generator[Chunk, None, None]
    first: Future[Chunk] = field(default_factory=Future)


Events = Generator[ScoredWindows | ClipEnd, None, None]


def run_pipeline(media: Iterable[Media], model: AudioModel, plan: Plan) -> Events:
    """Passages of every clip, clip after clip, each clip closed by its ending.

    A clip for which the model gives no numbers ends with an error: NaN has no best label.
    """
    error: ModelError | None = None  # of the clip whose chunks come
    for chunk, output in predict_chunks(media, model, plan):
        if output is not None and error is None:
            if is_finite(output):
                spans = [span_of(window, model.rate_hz) for window in chunk.windows]
                yield ScoredWindows(chunk.clip, spans, output)
            else:
                error = no_numbers(chunk.name)
        if chunk.end is not None:
            yield chunk.end if error is None else replace(chunk.end, error=chunk.end.error or error)
            error = None


def is_finite(output: ModelOutput) -> bool:
    pooled = output.embeddings
    return bool(np.isfinite(output.logits).all() and (pooled is None or np.isfinite(pooled).all()))


def no_numbers(name: str) -> ModelError:
    return ModelError(
        f"{name}: the model's answer holds NaN or infinite values. With dtype='float16' use 'bfloat16' or "
        "'float32', which do not overflow; else the weights are broken."
    )


def predict_chunks(
    media: Iterable[Media], model: AudioModel, plan: Plan
) -> Iterator[tuple[Chunk, ModelOutput | None]]:
    """What the model says of each chunk of every clip, a full batch of windows at a time."""
    waiting: list[Chunk] = []
    window_count = 0
    full = windows_per_batch(model, plan)
    for chunk in decode_ahead(media, model, plan):
        waiting.append(chunk)
        window_count += len(chunk.windows)
        if window_count >= full:
            yield from predict(waiting, model, full)
            waiting, window_count = [], 0
    yield from predict(waiting, model, full)


def predict(
    chunks: Sequence[Chunk], model: AudioModel, full: int
) -> Iterator[tuple[Chunk, ModelOutput | None]]:
    """The chunks with what the model says of their windows, at most `full` windows at a time in the model."""
    windows = [window.samples for chunk in chunks for window in chunk.windows]
    parts = [compute(partial(model.predict, windows[i : i + full])) for i in range(0, len(windows), full)]
    output = ModelOutput.concatenate(parts) if parts else None  # nothing but endings
    position = 0
    for chunk in chunks:
        rows = slice(position, position + len(chunk.windows))
        position = rows.stop
        yield chunk, output.rows(rows) if output is not None and chunk.windows else None


def span_of(window: Window, rate_hz: int) -> tuple[float, float]:
    return window.start_sample / rate_hz, (window.start_sample + len(window.samples)) / rate_hz


def windows_per_stretch(model: AudioModel, plan: Plan) -> int:
    """As many as the model's own hop puts in a stretch: windows that lie closer are no smaller."""
    return max(1, round(STRETCH_SECONDS * model.rate_hz / max(plan.hop_samples, model.hop_samples)))


def windows_per_batch(model: AudioModel, plan: Plan) -> int:
    return plan.batch_size * windows_per_stretch(model, plan)


def most_open_clips(decode_threads: int) -> int:
    """Clips that may be open at a time: a few for each thread, well within this process's limit of files."""
    most = OPEN_PER_THREAD * decode_threads
    try:
        import resource
    except ImportError:  # not a Unix
        return most
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if files == resource.RLIM_INFINITY else max(1, min(most, files // FILES_PER_OPEN_CLIP))


class ClipQueue:
    """Clips that wait to be decoded, in their order, and how many are open. Used by several threads."""

    def __init__(self, most_open: int) -> None:
        self.most_open = most_open
        self.lock = threading.Lock()
        self.unopened: deque[WaitingClip] = deque()
        self.open_count = 0

    def decode_beginnings(self) -> None:
        """Open clips and decode their first chunks, while there is room to keep one more open."""
        while (clip := self.take()) is not None:
            try:
                clip.first.set_result(self.next_chunk(clip))
            except BaseException as error:
                clip.first.set_exception(error)

    def take(self) -> WaitingClip | None:
        with self.lock:
            if not self.unopened or self.open_count >= self.most_open:
                return None
            self.open_count += 1
            return self.unopened.popleft()

    def next_chunk(self, clip: WaitingClip) -> Chunk:
        """An open clip's next chunk; with the last one the clip is open no more."""
        is_open = False
        try:
            chunk = next(clip.chunks)
            is_open = chunk.end is None
            return chunk
        finally:
            if not is_open:
                with self.lock:
                    self.open_count -= 1


@contextmanager
def emptied(queue: ClipQueue) -> Iterator[None]:
    """Whatever ends the work, no thread takes another clip."""
    try:
        yield
    finally:
        with queue.lock:
            queue.unopened.clear()


def decode_ahead(media: Iterable[Media], model: AudioModel, plan: Plan) -> Iterator[Chunk]:
    """The clips' chunks in order, while threads work on the clips behind.

    Each waiting clip holds its first chunk only, and the clip at the head one batch beyond what was taken:
    that is all the memory there is. Most clips end with their first chunk and wait closed. Of the others few
    are open; a clip that finds no room waits unopened, and the head always has room, for clips are opened in
    order.
    """
    clips = (WaitingClip(decoded_chunks(clip, one, model, plan)) for clip, one in enumerate(media))
    ahead: deque[WaitingClip] = deque()
    queue = ClipQueue(most_open_clips(plan.decode_threads))
    try:
        with one_thread_each(plan.decode_threads, "decode") as pool, emptied(queue):
            while True:
                for clip in islice(clips, 2 * plan.batch_size - len(ahead)):
                    ahead.append(clip)
                    queue.unopened.append(clip)
                    pool.submit(queue.decode_beginnings)
                if not ahead:
                    return
                chunk = ahead[0].first.result()
                while chunk.end is None:
                    following = pool.submit(queue.next_chunk, ahead[0])
                    yield chunk
                    chunk = following.result()
                ahead.popleft()
                pool.submit(queue.decode_beginnings)  # there is room for one more
                yield chunk
    finally:
        for clip in ahead:
            clip.chunks.close()  # and its file


def decoded_chunks(clip: int, media: Media, model: AudioModel, plan: Plan) -> Generator[Chunk, None, None]:
    """One clip's windows: a short chunk first, then whole batches. With the last one, its file is closed."""
    windows: list[Window] = []
    end = ClipEnd(clip)
    try:
        only_start = plan.windows == "first"
        with (
            clip_failures(media.name),
            open_sound(media, plan.decoder, plan.channels, only_start) as sound,
        ):
            if sound is None:
                end = ClipEnd(clip, silent=True)
            else:
                coming = checked(windows_of(sound, model, plan), media.name)
                windows = list(islice(coming, windows_per_stretch(model, plan)))
                while following := list(islice(coming, 1)):
                    yield Chunk(clip, media.name, windows)
                    windows = following + list(islice(coming, windows_per_batch(model, plan) - 1))
    except (MediaError, ColumnError) as error:
        windows, end = [], ClipEnd(clip, error=error)
    yield Chunk(clip, media.name, windows, end)


def checked(windows: Iterator[Window], name: str) -> Iterator[Window]:
    """The windows as they are; an error where there are none, or where samples are no numbers."""
    is_heard = False
    for window in windows:
        if not np.isfinite(window.samples).all():
            raise MediaError(f"{name}: its samples are not all finite numbers.")
        is_heard = True
        yield window
    if not is_heard:
        raise no_sound(name)


def windows_of(sound: Sound, model: AudioModel, plan: Plan) -> Iterator[Window]:
    """The windows to hear, at the model's rate. The last may be short; none is under one frame."""
    size, hop, frame = model.window_samples, plan.hop_samples, model.frame_samples
    rate_hz = model.rate_hz
    if plan.windows == "first":
        starts: Sequence[int] | None = [0]
    elif plan.windows == "all":
        starts = None
    else:
        starts = starts_in(sound, rate_hz, size, hop, int(plan.windows))
    if starts is None:
        yield from sliding(read(sound, rate_hz), size, hop, frame)
        return
    for start in starts:
        blocks = list(read(sound, rate_hz, start, size))
        if blocks:
            yield Window(start, at_least(owned(joined(blocks)), frame))


def starts_in(sound: Sound, rate_hz: int, size: int, hop: int, count: int) -> list[int] | None:
    """Where windows begin that are spread over a clip, also where its container tells too long a length."""
    if sound.duration_seconds:
        told = ceil(sound.duration_seconds * rate_hz)
        starts = spread_starts(told, size, hop, count)
        if starts is None or any(map(len, read(sound, rate_hz, max(0, told - rate_hz), rate_hz))):
            return starts
    counted = ceil(sum(len(block) for block in sound.blocks()) * rate_hz / sound.rate_hz)
    return spread_starts(counted, size, hop, count)


def spread_starts(total: int, size: int, hop: int, count: int) -> list[int] | None:
    """Where `count` windows begin: each in the middle of its share of the clip.

    None where that would hear more than the whole clip, which is then heard in order.

    >>> spread_starts(total=1000, size=100, hop=100, count=2)
    [200, 700]
    """
    if 1 + ceil(max(0, total - size) / hop) <= count:
        return None
    middle = (total / count - size) / 2
    return [min(max(0, round(place * total / count + middle)), total - size) for place in range(count)]


def read(sound: Sound, rate_hz: int, start: int = 0, count: int | None = None) -> Iterator[np.ndarray]:
    """`count` samples at `rate_hz` from sample `start` on, or all of them, exact at both edges."""
    if count is None:
        yield from resample_blocks(sound.blocks(), sound.rate_hz, rate_hz)
        return
    conversion = Conversion(sound.rate_hz, rate_hz)
    first = conversion.start_in(start)
    source = list(sound.blocks(first, conversion.stop_in(start + count)))
    if not source:
        return
    samples = resample(joined(source), sound.rate_hz, rate_hz)
    skip = start - first // conversion.step_in * conversion.step_out
    samples = samples[skip : skip + count]
    if len(samples):
        yield samples


def sliding(blocks: Iterable[np.ndarray], size: int, hop: int, frame: int) -> Iterator[Window]:
    """Windows of `size` every `hop` samples, over a stream.

    The last one is short: it is there while some of it was in no window before and it makes a frame.
    """
    held = np.zeros(0, np.float32)
    start = 0  # of the next window, in the clip
    skip = 0  # samples between the end of `held` and that start, where windows leave gaps
    for block in blocks:
        block, skip = block[skip:], max(0, skip - len(block))
        held = np.concatenate([held, block]) if len(held) else block
        while len(held) >= size:
            yield Window(start, held[:size].copy())  # a view would keep the whole block alive
            start += hop
            skip += max(0, hop - len(held))
            held = held[hop:]
    unheard = len(held) if start == 0 else len(held) - max(0, size - hop)
    if unheard > 0 and (start == 0 or len(held) >= frame):
        yield Window(start, at_least(owned(held), frame))


def owned(samples: np.ndarray) -> np.ndarray:
    """Samples that keep no larger array alive, such as a whole clip that was decoded before."""
    return samples if samples.base is None and samples.flags.writeable else samples.copy()


def at_least(samples: np.ndarray, length: int) -> np.ndarray:
    """Padded with silence to `length`: 20 ms of sound still make one analysis frame."""
    return samples if len(samples) >= length else np.pad(samples, (0, length - len(samples)))
