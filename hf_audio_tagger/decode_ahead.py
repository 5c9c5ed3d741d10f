"""Threads decode the next clips while the model runs. How many are open, and how many wait, is limited."""

import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass, field

from .cells import Media
from .chunks import Chunk, PipelineOptions, decode_chunks
from .media.audio import is_remote
from .media.turns import Turns
from .models.family import AudioModel
from .process import one_thread_each

OPEN_PER_THREAD = 4  # clips open at a time for each decode thread: one that it decodes, others that wait
REMOTE_CLIPS = 32  # open at a time: what they cost is waiting for servers, not cores
FILES_PER_OPEN_CLIP = 8  # of the limit of open files: decoders and the network need some, too


@dataclass(frozen=True, eq=False)
class WaitingClip:
    """A queued clip: its chunks, the lane that decodes them, and the first one, which is decoded ahead."""

    chunks: Generator[Chunk, None, None]
    lane: "Lane"
    first: Future[Chunk] = field(default_factory=Future)


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

    def __init__(
        self, pool: ThreadPoolExecutor, threads: int, most_open: int, turns: Turns | None = None
    ) -> None:
        self.pool, self.threads, self.most_open, self.turns = pool, threads, most_open, turns
        self.open_count = self.opening_count = 0  # of clips; of threads that open clips
        self.lock = threading.Lock()
        self.unopened: deque[WaitingClip] = deque()

    def open_next(self) -> None:
        """Let a thread open the clips whose turn it is, unless all that there are do so already."""
        with self.lock:
            if self.opening_count >= self.threads or not self.may_open():
                return
            self.opening_count += 1
        self.pool.submit(self.decode_first_chunks)

    def may_open(self) -> bool:
        return bool(self.unopened) and self.open_count < self.most_open

    def decode_first_chunks(self) -> None:
        """Open clips and decode their first chunks, up to the limit of open clips."""
        while True:
            with self.lock:
                if not self.may_open():
                    self.opening_count -= 1
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
        self.most_waiting = 2 * max(options.batch_size, options.decode_threads)  # so that no thread is idle
        self.remote: Lane | None = None
        threads = options.decode_threads
        pool = stack.enter_context(one_thread_each(threads, "decode"))
        self.local = stack.enter_context(closing(Lane(pool, threads, limit_open_clips(threads))))

    def pick(self, media: Media) -> Lane:
        if not is_remote(media):
            return self.local
        if self.remote is None:
            most_open = limit_by_files(REMOTE_CLIPS)
            # One more, for the current clip's next chunk while all others wait.
            pool = self.stack.enter_context(one_thread_each(most_open + 1, "decode remote"))
            turns = Turns(self.options.decode_threads)
            self.remote = self.stack.enter_context(closing(Lane(pool, most_open, most_open, turns)))
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
