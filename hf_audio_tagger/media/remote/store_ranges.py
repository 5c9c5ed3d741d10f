"""A file of any fsspec file system (object stores), fetched by ranges."""

import io
from typing import Any

from .seekable import Reading


class StoreRanges:
    """The ranges of an open file without a cache of its own."""

    def __init__(self, file: Any, reading: Reading) -> None:
        self.file, self.reading = file, reading
        self.size: int | None = file.seek(0, io.SEEK_END) or file.tell()

    def fetch(self, start: int, stop: int) -> bytes:
        def read() -> bytes:
            self.file.seek(start)
            data: bytes = self.file.read(stop - start)
            return data

        return self.reading.retry(read)

    def open_stream(self) -> Any:
        self.file.seek(0)
        return self.file
