"""The samples of one tar, a batch at a time."""

from collections.abc import Iterable, Iterator
from contextlib import closing

from .byte_streams import open_bytes
from .problems import BrokenTarError
from .samples import FindLimit, Sample, read_samples


class SampleReader:
    """Reads a tar's samples from a byte on, which is where that of a row begins.

    `has_ended` once there are no more; `problem` then says why, if the tar could not be read to its end.
    """

    def __init__(
        self, path: str, find_limit: FindLimit, byte: int = 0, row: int = 0, keys: Iterable[str] = ()
    ) -> None:
        self.problem: str | None = None
        self.has_ended = False
        self.samples = self.read(path, find_limit, byte, row, keys)

    def read(
        self, path: str, find_limit: FindLimit, byte: int, row: int, keys: Iterable[str]
    ) -> Iterator[Sample]:
        try:
            with closing(open_bytes(path)) as stream:
                stream.skip_to(byte)
                yield from read_samples(stream, find_limit, row, keys)
        except BrokenTarError as error:
            self.problem = str(error)
        self.has_ended = True

    def take(self, rows: int, most_bytes: int) -> list[Sample]:
        """The next samples: so many, or fewer where they reach so many bytes. At the end, fewer or none."""
        samples: list[Sample] = []
        read_bytes = 0
        while len(samples) < rows and read_bytes < most_bytes and (sample := self.take_one()) is not None:
            samples.append(sample)
            read_bytes += sample.read_bytes
        return samples

    def take_one(self) -> Sample | None:
        return next(self.samples, None)
