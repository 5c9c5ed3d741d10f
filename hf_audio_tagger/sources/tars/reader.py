"""The samples of one tar, one after the other."""

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
        self,
        path: str,
        find_limit: FindLimit,
        byte: int = 0,
        row: int = 0,
        keys: Iterable[str] = (),
        token: str | bool | None = None,
    ) -> None:
        self.problem: str | None = None
        self.has_ended = False
        self.samples = self.read(path, find_limit, byte, row, keys, token)

    def read(
        self,
        path: str,
        find_limit: FindLimit,
        byte: int,
        row: int,
        keys: Iterable[str],
        token: str | bool | None,
    ) -> Iterator[Sample]:
        try:
            with closing(open_bytes(path, token)) as stream:
                stream.skip_to(byte)
                yield from read_samples(stream, find_limit, row, keys)
        except BrokenTarError as error:
            self.problem = str(error)
        self.has_ended = True

    def take_one(self) -> Sample | None:
        return next(self.samples, None)
