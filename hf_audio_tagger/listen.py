"""Which windows of a clip are heard, and the pipeline: decode ahead while the model works.

One clip's way: open its sound, cut it into windows at the model's rate, gather windows of several
clips into micro-batches, hear them. Threads decode the clips that come next; memory is bounded by the
windows in flight, never by a clip's length.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import islice
from math import ceil

import numpy as np

from .cells import Media
from .decode import open_sound
from .decode.resample import Conversion, resample, resample_blocks
from .decode.sound import Sound, joined, no_sound
from .errors import MediaError
from .models.contract import Heard, Listener
from .process import compute, one_thread_each

STRETCH_SECONDS = 10  # about what one clip takes from a micro-batch; `batch_size` counts these


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
class Passage:
    """What the model says of consecutive windows of one clip."""

    clip: int  # its place in the sequence of media
    spans: list[tuple[float, float]]  # start and end of each window, in seconds
    heard: Heard


@dataclass(frozen=True)
class Ending:
    """A clip is through: heard, without an audio stream (`silent`), or with an error."""

    clip: int
    silent: bool = False
    error: MediaError | None = None


def hear(media: Iterable[Media], listener: Listener, plan: Plan) -> Generator[Passage | Ending, None, None]:
    """Passages of every clip, clip after clip, each clip closed by its ending."""
    waiting: list[tuple[int, list[Window]] | Ending] = []
    window_count = 0
    full = windows_per_batch(listener, plan)
    for event in decode_ahead(media, listener, plan):
        waiting.append(event)
        window_count += 0 if isinstance(event, Ending) else len(event[1])
        if window_count >= full:
            yield from heard(waiting, listener, full)
            waiting, window_count = [], 0
    yield from heard(waiting, listener, full)


def heard(
    events: Sequence[tuple[int, list[Window]] | Ending], listener: Listener, full: int
) -> Iterator[Passage | Ending]:
    """The events with their windows heard, at most `full` windows at a time in the model."""
    windows = [window.samples for event in events if not isinstance(event, Ending) for window in event[1]]
    parts = [compute(partial(listener.hear, windows[i : i + full])) for i in range(0, len(windows), full)]
    answers = Heard.joined(parts) if parts else None  # nothing but endings
    position = 0
    for event in events:
        if isinstance(event, Ending):
            yield event
            continue
        clip, clip_windows = event
        assert answers is not None
        rows = slice(position, position + len(clip_windows))
        position = rows.stop
        yield Passage(
            clip, [span_of(window, listener.rate_hz) for window in clip_windows], answers.rows(rows)
        )


def span_of(window: Window, rate_hz: int) -> tuple[float, float]:
    return window.start_sample / rate_hz, (window.start_sample + len(window.samples)) / rate_hz


def windows_per_stretch(listener: Listener, plan: Plan) -> int:
    """As many as the model's own hop puts in a stretch: windows that lie closer are no smaller."""
    return max(1, round(STRETCH_SECONDS * listener.rate_hz / max(plan.hop_samples, listener.hop_samples)))


def windows_per_batch(listener: Listener, plan: Plan) -> int:
    return plan.batch_size * windows_per_stretch(listener, plan)


def decode_ahead(
    media: Iterable[Media], listener: Listener, plan: Plan
) -> Iterator[tuple[int, list[Window]] | Ending]:
    """Decoded windows in the clips' order, while threads work on the clips behind.

    Each waiting clip holds its first stretch only, and the clip at the head one batch beyond what was
    taken: that is all the memory there is.
    """
    clips = iter(enumerate(media))
    ahead: deque[tuple[int, Iterator[list[Window] | Ending], Future[list[Window] | Ending]]] = deque()
    try:
        with one_thread_each(plan.decode_threads, "decode") as pool:
            while True:
                for clip, one in islice(clips, 2 * plan.batch_size - len(ahead)):
                    chunks = decoded_chunks(clip, one, listener, plan)
                    ahead.append((clip, chunks, pool.submit(next, chunks)))
                if not ahead:
                    return
                clip, chunks, future = ahead[0]
                chunk = future.result()
                if isinstance(chunk, Ending):
                    ahead.popleft()
                    yield chunk
                else:
                    ahead[0] = (clip, chunks, pool.submit(next, chunks))
                    yield clip, chunk
    finally:
        for _, chunks, _ in ahead:
            chunks.close()  # type: ignore[attr-defined]  # a generator: closes its file


def decoded_chunks(
    clip: int, media: Media, listener: Listener, plan: Plan
) -> Iterator[list[Window] | Ending]:
    """One clip's windows in lists: a short one first, then whole batches; its ending last."""
    size = windows_per_stretch(listener, plan)
    try:
        only_start = plan.windows == "first"
        with open_sound(media, plan.decoder, plan.channels, only_start) as sound:
            if sound is None:
                yield Ending(clip, silent=True)
                return
            windows = windows_of(sound, listener, plan)
            is_heard = False
            while chunk := list(islice(windows, size)):
                is_heard = True
                for window in chunk:
                    if not np.isfinite(window.samples).all():
                        raise MediaError(f"{media.name}: its samples are not all finite numbers.")
                yield chunk
                size = windows_per_batch(listener, plan)
            if not is_heard:
                raise no_sound(media.name)
    except MediaError as error:
        yield Ending(clip, error=error)
        return
    yield Ending(clip)


def windows_of(sound: Sound, listener: Listener, plan: Plan) -> Iterator[Window]:
    """The windows to hear, at the model's rate. The last may be short; none is under one frame."""
    size, hop, frame = listener.window_samples, plan.hop_samples, listener.frame_samples
    rate_hz = listener.rate_hz
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
