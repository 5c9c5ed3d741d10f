"""The members of a tar, one after the other: names, sizes, and where their data begin.

`tarfile` keeps every member that it has seen and reads extended headers of any size into memory. Here all of
that has limits, since a tar may come from anywhere. Read are ustar, GNU's long names and pax headers.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .byte_streams import ByteStream
from .problems import BrokenTarError, CutSampleError

BLOCK = 512  # bytes; headers are one, and data are padded to a multiple
NAME, SIZE, CHECKSUM, KIND, MAGIC, PREFIX = (
    slice(0, 100),
    slice(124, 136),
    slice(148, 156),
    slice(156, 157),
    slice(257, 263),
    slice(345, 500),
)
GNU_EXTENDED, GNU_CONTINUED = 482, 504  # in a sparse member's header and its extension: whether one follows
FILES = b"0\x007"
SPARSE = b"S"
WITHOUT_DATA = {b"1": "a link", b"2": "a link", b"3": "a device", b"4": "a device", b"6": "a pipe"}
FOLDER = b"5"
LONG_NAME, LONG_LINK = b"L", b"K"
PAX, PAX_GLOBAL, PAX_SOLARIS = b"x", b"g", b"X"
MOST_HEADER_BYTES = 1 << 20  # of an extended header: names are at most a few thousand
MOST_NAME = 4_096  # characters, as in paths
MOST_SIZE = 1 << 62
SPARSE_FIELDS = "GNU.sparse."
WANTED_FIELDS = ("path", "size", "GNU.sparse.name")
PAX_RECORD = re.compile(rb"([1-9]\d{0,6}) ([^=]+)=")


@dataclass(frozen=True)
class Member:
    name: str
    size: int  # bytes
    start: int  # of its first header
    data_start: int
    refusal: str | None = None  # why its data are not read

    @property
    def end(self) -> int:
        return self.data_start + -(-self.size // BLOCK) * BLOCK


def read_members(stream: ByteStream) -> Iterator[Member]:
    """The members but folders, from the stream's position on.

    A member's data may be read from the stream before the next member is asked for. Raises `BrokenTarError`
    where the tar breaks off.
    """
    shared: dict[str, str] = {}  # by a global pax header
    while (member := read_member(stream, shared)) is not None:
        if member.refusal is not None or not member.name.endswith("/"):
            yield member
        check_length(stream, member)
        stream.skip_to(member.end)
        if stream.position < member.data_start + member.size:
            raise make_cut(member, stream.position)


def read_member(stream: ByteStream, shared: dict[str, str]) -> Member | None:
    """The next member, with what the headers before its own say of it; None at the end of the tar."""
    start, named, fields = stream.position, None, dict(shared)
    while True:
        at = stream.position
        header = stream.read(BLOCK)
        check_header(header, at)
        if not any(header):
            return None
        kind, size = header[KIND], parse_number(header[SIZE], at)
        if kind in (PAX, PAX_SOLARIS, PAX_GLOBAL, LONG_NAME, LONG_LINK):
            data = read_extension(stream, size, at)
            if kind == LONG_NAME:
                named = decode(data.rstrip(b"\0"))
            elif kind != LONG_LINK:
                (shared if kind == PAX_GLOBAL else fields).update(parse_pax(data, at))
            continue
        if kind == SPARSE:
            skip_sparse_headers(stream, header, at)
        return make_member(stream, header, kind, size, start, named, {**shared, **fields})


def make_member(
    stream: ByteStream,
    header: bytes,
    kind: bytes,
    size: int,
    start: int,
    named: str | None,
    fields: Mapping[str, str],
) -> Member:
    name = fields.get("GNU.sparse.name") or fields.get("path") or named or parse_name(header)
    refusal = WITHOUT_DATA.get(kind)
    if kind in WITHOUT_DATA or kind == FOLDER:
        size = 0
    elif "size" in fields:
        size = parse_decimal(fields["size"], start)
    if kind == FOLDER:
        name = f"{name.rstrip('/')}/"
    elif kind == SPARSE or SPARSE_FIELDS in fields:
        refusal = "a sparse file"
    elif refusal is None and kind not in FILES:
        refusal = "of an unknown kind"
    if len(name) > MOST_NAME:
        raise BrokenTarError(f"the member at byte {start:,} has a name of {len(name):,} characters")
    return Member(name, size, start, stream.position, refusal)


def read_data(stream: ByteStream, member: Member) -> bytes:
    check_length(stream, member)
    data = stream.read(member.size)
    if len(data) < member.size:
        raise make_cut(member, stream.position)
    return data


def check_length(stream: ByteStream, member: Member) -> None:
    if stream.length is not None and member.data_start + member.size > stream.length:
        raise make_cut(member, stream.length)


def make_cut(member: Member, end: int) -> CutSampleError:
    return CutSampleError(
        f"it is cut off within {member.name!r}: {member.size:,} bytes should follow byte "
        f"{member.data_start:,}, and {end - member.data_start:,} do"
    )


def check_header(header: bytes, at: int) -> None:
    """Raise an error for a block that is neither a header nor the zeros of the end."""
    if not header:
        what = "it is empty" if not at else f"it ends at byte {at:,} without an end mark: it may be cut off"
        raise BrokenTarError(what)
    if len(header) < BLOCK:
        raise BrokenTarError(f"it is cut off within a header, at byte {at + len(header):,}")
    if not any(header):
        return
    stated = header[CHECKSUM].split(b"\0")[0].strip()
    as_blank = header[: CHECKSUM.start] + b" " * 8 + header[CHECKSUM.stop :]
    sums = {sum(as_blank), sum(as_blank) - 256 * sum(byte > 127 for byte in as_blank)}  # signed, of old tars
    try:
        is_right = int(stated, 8) in sums
    except ValueError:
        is_right = False
    if not is_right:
        raise BrokenTarError(f"there is no header of a member at byte {at:,}" if at else "it is no tar")


def parse_number(field: bytes, at: int) -> int:
    """A number of a header: octal text, or binary where its first bit says so."""
    if field[0] & 0x80:
        number = -1 if field[0] == 0xFF else int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    else:
        text = field.split(b"\0")[0].strip()
        try:
            number = int(text or b"0", 8)
        except ValueError:
            number = -1
    if not 0 <= number <= MOST_SIZE:
        raise BrokenTarError(f"the header at byte {at:,} states a size that cannot be")
    return number


def parse_decimal(text: str, at: int) -> int:
    if not re.fullmatch(r"[0-9]{1,19}", text) or int(text) > MOST_SIZE:
        raise BrokenTarError(f"the pax header at byte {at:,} states a size that cannot be")
    return int(text)


def parse_name(header: bytes) -> str:
    name = header[NAME].split(b"\0")[0]
    if header[MAGIC] == b"ustar\0" and (prefix := header[PREFIX].split(b"\0")[0]):
        name = prefix + b"/" + name
    return decode(name)


def decode(text: bytes) -> str:
    """A name as text; bytes that are not UTF-8 are escaped, since a column cannot hold them."""
    return text.decode("utf-8", "backslashreplace")


def read_extension(stream: ByteStream, size: int, at: int) -> bytes:
    if size > MOST_HEADER_BYTES:
        raise BrokenTarError(
            f"the extended header at byte {at:,} has {size:,} bytes; the limit is {MOST_HEADER_BYTES:,}"
        )
    data = stream.read(size)
    stream.skip_to(at + BLOCK + -(-size // BLOCK) * BLOCK)
    if len(data) < size:
        raise BrokenTarError(f"it is cut off within an extended header, at byte {at + BLOCK + len(data):,}")
    return data


def parse_pax(data: bytes, at: int) -> dict[str, str]:
    """The fields that count of a pax header: "LENGTH NAME=VALUE" lines, the length that of the whole line."""
    fields: dict[str, str] = {}
    start = 0
    while start < len(data) and data[start]:
        match = PAX_RECORD.match(data, start)
        end = start + int(match[1]) if match else 0
        if match is None or not match.end() < end <= len(data) or data[end - 1 : end] != b"\n":
            raise BrokenTarError(f"the pax header at byte {at:,} is damaged")
        name = decode(match[2])
        if name in WANTED_FIELDS:
            fields[name] = decode(data[match.end() : end - 1])
        if name.startswith(SPARSE_FIELDS):
            fields[SPARSE_FIELDS] = ""
        start = end
    return fields


def skip_sparse_headers(stream: ByteStream, header: bytes, at: int) -> None:
    more = header[GNU_EXTENDED]
    while more:
        block = stream.read(BLOCK)
        if len(block) < BLOCK:
            raise CutSampleError(f"it is cut off within a header, at byte {at:,}")
        more = block[GNU_CONTINUED]
