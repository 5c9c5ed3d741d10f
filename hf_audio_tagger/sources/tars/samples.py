"""The samples of a tar: members that follow each other and share a key.

A member's key is its name up to the first dot of the base name, its suffix what follows the dot. Names
without a suffix and hidden files belong to no sample.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from .archive import Member, read_data, read_members
from .byte_streams import ByteStream
from .problems import BrokenTarError, CutSampleError

MOST_MEMBERS = 1_000  # of a sample
MOST_SAMPLES = 1_000_000  # of a tar: their keys are kept in memory


@dataclass
class Sample:
    key: str
    end: int = 0  # byte of the tar
    members: dict[str, bytes | None] = field(default_factory=dict)  # by suffix; None: not read
    refusals: dict[str, str] = field(default_factory=dict)  # why a member was not read
    problem: str | None = None  # why none of its members counts

    @property
    def read_bytes(self) -> int:
        return sum(len(data) for data in self.members.values() if data is not None)


# The most bytes to read of a member: by its row, the sample so far and the suffix. 0: skip it.
FindLimit = Callable[[int, Sample, str], int]


def split_name(name: str) -> tuple[str, str] | None:
    """A member's key and suffix.

    >>> split_name("a/b.c/clip1.left.MP4"), split_name("a/.DS_Store"), split_name("README")
    (('a/b.c/clip1', 'left.mp4'), None, None)
    """
    folder, slash, base = name.rpartition("/")
    stem, _, suffix = base.partition(".")
    return (f"{folder}{slash}{stem}", suffix.lower()) if stem and suffix else None


def read_samples(
    stream: ByteStream, find_limit: FindLimit, first_row: int = 0, keys: Iterable[str] = ()
) -> Iterator[Sample]:
    """The samples from the stream's position on, which is that of a row. `keys` are those of the rows before.

    Raises `BrokenTarError` where the tar breaks off, after the samples that are whole.
    """
    seen, row = set(keys), first_row - 1
    sample: Sample | None = None
    try:
        for member in read_members(stream):
            parts = split_name(member.name)
            if parts is None:
                continue
            key, suffix = parts
            if sample is None or key != sample.key:
                if sample is not None:
                    yield sample
                row, sample = row + 1, Sample(key)
                if key in seen:
                    sample.problem = "its key came before in this tar"
                seen.add(key)
                if len(seen) > MOST_SAMPLES:
                    raise CutSampleError(f"it has more than {MOST_SAMPLES:,} samples")
            add_member(stream, sample, member, suffix, find_limit(row, sample, suffix))
    except CutSampleError:
        raise
    except BrokenTarError:
        if sample is not None:
            yield sample
        raise
    if sample is not None:
        yield sample


def add_member(stream: ByteStream, sample: Sample, member: Member, suffix: str, most_bytes: int) -> None:
    if len(sample.members) >= MOST_MEMBERS:
        raise CutSampleError(f"its sample {sample.key!r} has more than {MOST_MEMBERS:,} members")
    sample.end = member.end
    if suffix in sample.members:
        sample.problem = sample.problem or f"it has two members .{suffix}"
        return
    sample.members[suffix] = None
    if member.refusal is not None:
        sample.refusals[suffix] = f"it is {member.refusal}, which is not read from a tar"
    elif member.size > most_bytes > 0:
        sample.refusals[suffix] = (
            f"it has {member.size:,} bytes, and at most {most_bytes:,} of such a member are read into memory"
        )
    elif most_bytes > 0:
        sample.members[suffix] = read_data(stream, member)
