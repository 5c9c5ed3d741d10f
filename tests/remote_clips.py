"""What a remote clip costs a server, and its windows beside those of the local file."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from remote_site import Handler, Route, ranges

from hf_audio_tagger.cells import BytesMedia, Media
from hf_audio_tagger.chunks import PipelineOptions
from hf_audio_tagger.decode_ahead import decode_ahead

RATE_HZ = 16_000
WINDOW_SECONDS = 10.24


@dataclass
class Counts:
    """What a server was asked."""

    requests: int = 0
    sent_bytes: int = 0
    tokens: list[str | None] = field(default_factory=list)
    lock: Any = field(default_factory=threading.Lock)

    def counted(self, route: Route, delay_seconds: float = 0.0) -> Route:
        def count(handler: Handler) -> None:
            write = handler.wfile.write

            def count_bytes(data: bytes) -> int:
                with self.lock:
                    self.sent_bytes += len(data)
                return int(write(data))

            with self.lock:
                self.requests += 1
                self.tokens.append(handler.headers.get("Authorization"))
            time.sleep(delay_seconds)
            handler.wfile.write = count_bytes  # type: ignore[method-assign]
            try:
                route(handler)
            finally:
                handler.wfile.write = write  # type: ignore[method-assign]

        return count

    def file(self, data: bytes, delay_seconds: float = 0.0) -> Route:
        return self.counted(ranges(data), delay_seconds)


@dataclass(frozen=True)
class NoModel:
    """What the pipeline asks of a model before there are windows."""

    rate_hz: int = RATE_HZ
    window_samples: int = round(WINDOW_SECONDS * RATE_HZ)
    hop_samples: int = round(WINDOW_SECONDS * RATE_HZ)
    frame_samples: int = 400


def cut(media: list[Media], windows: str | int = "first", **settings: Any) -> list[Any]:
    """The windows of each clip, or its error."""
    model: Any = NoModel()
    options = PipelineOptions(windows, model.window_samples, "mean", "pyav", 16, 2, **settings)
    clips: list[Any] = [[] for _ in media]
    for chunk in decode_ahead(media, model, options):
        clips[chunk.clip] += [(window.start_sample, window.samples) for window in chunk.windows]
        if chunk.end is not None and chunk.end.error is not None:
            clips[chunk.clip] = str(chunk.end.error)
    return clips


def assert_as_local(remote: Any, data: bytes, windows: str | int) -> None:
    """The same windows, to the bit, as of the file's bytes in memory."""
    (local,) = cut([BytesMedia(data)], windows)
    assert not isinstance(remote, str), remote
    assert [start for start, _ in remote] == [start for start, _ in local]
    for (_, own), (_, other) in zip(remote, local, strict=True):
        np.testing.assert_array_equal(own, other)


@contextmanager
def no_threads_left(name: str) -> Iterator[None]:
    """All threads of this name that the block starts end with it."""
    before = set(threading.enumerate())
    yield
    left = [one.name for one in threading.enumerate() if one not in before and name in one.name]
    assert not left
