"""Damaged, lying and disguised files, each made of whole ones by a seed and a number alone."""

import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from .seeds import Seed

MOST_STEPS = 3  # ways of damage in one mutant
SUFFIXES = ("mp4", "wav", "mkv", "ogg", "mp3", "flac", "avi", "txt", "jpg", "m3u8", "")

EXTREMES_32 = (0, 1, 7, 8, 9, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF)
EXTREMES_16 = (0, 1, 2, 7, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)
RATES_HZ = (0, 1, 7, 999, 12_345, 44_100, 768_001, 0x7FFFFFFF, 0xFFFFFFFF)

MP4_BOXES = tuple(
    b"ftyp moov mvhd trak tkhd edts elst mdia mdhd hdlr minf smhd dinf dref stbl stsd stts stsc stsz stco "
    b"co64 mp4a esds alac dOps dac3 samr wave mvex trex moof mfhd traf tfhd tfdt trun mdat udta meta ilst "
    b"free sidx".split()
)
SAMPLE_ENTRIES = (b"mp4a", b"alac", b"Opus", b"ac-3", b"samr", b"twos", b"sowt", b".mp3")
FOREIGN_ENTRIES = (
    b"ac-4",
    b"mha1",
    b"mhm1",
    b"apac",
    b"enca",
    b"iamf",
    b"dts-",
    b"lpcm",
    b"\0\0\0\0",
    b"xxxx",
)
CODEC_IDS = re.compile(rb"[AV]_[A-Z0-9/_]{3,20}")  # Matroska's
FOREIGN_CODEC_IDS = (
    b"A_OPUSX",
    b"A_AC4",
    b"A_MPEGH",
    b"A_MS/ACM",
    b"A_PCM/FLOAT/IEEE",
    b"A_QUICKTIME",
    b"A_",
)
EBML_WORDS = (
    "1a45dfa3 18538067 114d9b74 1549a966 1654ae6b ae d7 73c5 83 86 e1 b5 9f 6264 63a2 56aa 56bb "
    "1f43b675 e7 a3 a0 a1 1c53bb6b bb b3 b7 2ad7b1 4489 1254c367"
)
EBML_IDS = tuple(map(bytes.fromhex, EBML_WORDS.split()))
RIFF_WORDS = b"RIFF RF64 ds64 fmt_ fact data LIST avih strh strf idx1 JUNK FORM COMM SSND desc pakt kuki"
RIFF_CHUNKS = tuple(word.replace(b"_", b" ") for word in RIFF_WORDS.split())  # and those of AIFF and CAF
WAV_TAGS = (0, 0xFFFF, 0xFFFE, 0x0055, 0x00FF, 0x0011, 0x2000, 0x0161, 0x674F, 0x1234, 0xA106)
PLAYLISTS = (
    b"ffconcat version 1.0\nfile '/etc/hostname'\n",
    b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n",
    b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n",
    b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>\n',
    b"ID3\x03\0\0\0\0\0\x05abcdeffconcat version 1.0\nfile 'a.mp4'\n",
    b"[playlist]\nFile1=/etc/hostname\n",
)


@dataclass(frozen=True)
class Mutant:
    """A file that may be anything, and where it comes from."""

    number: int
    seed_name: str  # of the whole file that it was made of
    ways: tuple[str, ...]  # in which it was damaged, in order
    suffix: str
    data: bytes

    @property
    def file_name(self) -> str:
        stem = "-".join((f"{self.number:06d}", self.seed_name, *self.ways))
        return f"{stem}.{self.suffix}" if self.suffix else stem


def make_mutant(seeds: Sequence[Seed], seed: int, number: int) -> Mutant:
    """The mutant of a number: the same one wherever and whenever it is made."""
    random = Random(f"{seed}/{number}")
    whole = seeds[number % len(seeds)]
    data, ways, steps = whole.data, list[str](), random.randint(1, MOST_STEPS)
    while len(ways) < steps:
        way = random.choice(tuple(ATTACKS if random.random() < 0.5 else DAMAGE))
        changed = (DAMAGE | ATTACKS)[way](data, random, seeds)
        if changed != data:  # an attack on boxes changes no WAV: then another is tried
            data = changed
            ways.append(way)
    suffix = random.choice(SUFFIXES) if random.random() < 0.1 else whole.suffix
    return Mutant(number, whole.name, tuple(ways), suffix, data)


Change = Callable[[bytes, Random, Sequence[Seed]], bytes]


def place_in(data: bytes, random: Random) -> int:
    """Half of the time in the header, where a byte decides more."""
    return random.randrange(min(len(data), 600) if random.random() < 0.5 else len(data)) if data else 0


# Damage: what disks, networks and programs do


def flip_bits(data: bytes, random: Random, _: Sequence[Seed]) -> bytes:
    changed = bytearray(data)
    for _flip in range(random.choice((1, 2, 8, 64)) if data else 0):
        changed[place_in(data, random)] ^= 1 << random.randrange(8)
    return bytes(changed)


def overwrite_run(data: bytes, random: Random, _: Sequence[Seed]) -> bytes:
    start, length = place_in(data, random), random.choice((1, 4, 16, 300, 5_000))
    length = min(length, len(data) - start)
    filler = random.choice((bytes(length), b"\xff" * length, random.randbytes(length)))
    return data[:start] + filler + data[start + length :]


def truncate(data: bytes, random: Random, _: Sequence[Seed]) -> bytes:
    return data[: place_in(data, random)]


def cut_start(data: bytes, random: Random, _: Sequence[Seed]) -> bytes:
    return data[place_in(data, random) :]


def insert(data: bytes, random: Random, _: Sequence[Seed]) -> bytes:
    start = place_in(data, random)
    return data[:start] + random.randbytes(random.choice((1, 2, 3, 17, 4_096))) + data[start:]


def delete(data: bytes, random: Random, _: Sequence[Seed]) -> bytes:
    start = place_in(data, random)
    return data[:start] + data[start + random.choice((1, 2, 3, 17, 4_096)) :]


def repeat(data: bytes, random: Random, _: Sequence[Seed]) -> bytes:
    start = place_in(data, random)
    return (
        data[:start]
        + data[start : start + random.choice((4, 100, 3_000))] * random.randint(2, 9)
        + data[start:]
    )


def swap_chunks(data: bytes, random: Random, _: Sequence[Seed]) -> bytes:
    first, second, third, fourth = sorted(place_in(data, random) for _place in range(4))
    return data[:first] + data[third:fourth] + data[second:third] + data[first:second] + data[fourth:]


def splice(data: bytes, random: Random, seeds: Sequence[Seed]) -> bytes:
    other = random.choice(seeds).data
    return data[: place_in(data, random)] + other[place_in(other, random) :]


# Attacks: a header that says what is not so


def set_bytes(data: bytes, start: int, value: bytes) -> bytes:
    return data[:start] + value + data[start + len(value) :] if 0 <= start <= len(data) - len(value) else data


def find_places(data: bytes, marks: Sequence[bytes]) -> list[int]:
    """Where any of some marks stands; a mark of one byte is looked for in the header alone."""
    found: list[int] = []
    for mark in marks:
        end = len(data) if len(mark) > 2 else min(len(data), 2_000)
        start = data.find(mark, 0, end)
        while start >= 0 and len(found) < 1_000:
            found.append(start)
            start = data.find(mark, start + 1, end)
    return sorted(found)


def number_in(data: bytes, start: int, random: Random, order: str) -> bytes:
    """Another number at a place of the file: an extreme one, or one beside what is there."""
    kind, extremes = ("H", EXTREMES_16) if random.random() < 0.25 else ("I", EXTREMES_32)
    size = struct.calcsize(order + kind)
    if not 0 <= start <= len(data) - size:
        return data
    there = struct.unpack_from(order + kind, data, start)[0]
    near = [(there + step) % (1 << 8 * size) for step in (-8, -1, 1, 8)]
    value = random.choice((*extremes, *near, there * 2 % (1 << 8 * size), len(data) % (1 << 8 * size)))
    return set_bytes(data, start, struct.pack(order + kind, value))


def any_number(data: bytes, random: Random, _: Sequence[Seed]) -> bytes:
    return number_in(data, place_in(data, random), random, random.choice("<>"))


def box_size(data: bytes, random: Random, _: Sequence[Seed]) -> bytes:
    places = find_places(data, MP4_BOXES)
    return number_in(data, random.choice(places) - 4, random, ">") if places else data


def box_field(data: bytes, random: Random, _: Sequence[Seed]) -> bytes:
    places = find_places(data, MP4_BOXES)
    return (
        number_in(data, random.choice(places) + 4 + 4 * random.randrange(12), random, ">") if places else data
    )


def box_name(data: bytes, random: Random, _: Sequence[Seed]) -> bytes:
    places = find_places(data, MP4_BOXES)
    return set_bytes(data, random.choice(places), random.choice(MP4_BOXES)) if places else data


def sample_entry(data: bytes, random: Random, _: Sequence[Seed]) -> bytes:
    """Another codec's name, a rate or a number of channels where an mp4 says how its sound is stored."""
    start = data.find(b"stsd") + 16  # version, flags, count, the entry's size; then its name
    if start < 16 or data[start : start + 4] not in SAMPLE_ENTRIES:
        return data
    what = random.randrange(4)
    if what < 2:
        return set_bytes(data, start, random.choice(FOREIGN_ENTRIES))
    if what == 2:
        return set_bytes(data, start + 20, struct.pack(">H", random.choice(EXTREMES_16)))  # channels
    return set_bytes(data, start + 28, struct.pack(">I", random.choice(RATES_HZ)))


def ebml_length(data: bytes, random: Random, _: Sequence[Seed]) -> bytes:
    if not data.startswith(EBML_IDS[0]):
        return data
    mark = random.choice(EBML_IDS)
    places = find_places(data, [mark])
    lengths = (b"\x80", b"\x81", b"\xff", b"\x00", b"\x40\x00", b"\x10\xff\xff\xff", b"\x01" + b"\xff" * 7)
    return set_bytes(data, random.choice(places) + len(mark), random.choice(lengths)) if places else data


def codec_id(data: bytes, random: Random, _: Sequence[Seed]) -> bytes:
    found = CODEC_IDS.search(data)
    if found is None:
        return data
    length = found.end() - found.start()
    return set_bytes(data, found.start(), random.choice(FOREIGN_CODEC_IDS)[:length].ljust(length, b"\0"))


def riff_size(data: bytes, random: Random, _: Sequence[Seed]) -> bytes:
    places = find_places(data, RIFF_CHUNKS)
    order = "<" if data[:1] == b"R" else ">"
    return number_in(data, random.choice(places) + 4, random, order) if places else data


def riff_format(data: bytes, random: Random, _: Sequence[Seed]) -> bytes:
    """Tag, channels, rate, bytes a second, block or bits of a WAV or an AVI's sound."""
    places = find_places(data, [b"fmt ", b"auds", b"strf"])
    if not places:
        return data
    start = random.choice(places) + 8
    what = random.randrange(4)
    if what == 0:
        return set_bytes(data, start, struct.pack("<H", random.choice(WAV_TAGS)))
    if what == 1:
        return set_bytes(data, start + 4, struct.pack("<I", random.choice(RATES_HZ)))
    return set_bytes(
        data, start + random.choice((2, 12, 14, 16)), struct.pack("<H", random.choice(EXTREMES_16))
    )


def ogg_page(data: bytes, random: Random, _: Sequence[Seed]) -> bytes:
    """A page changed, with a checksum that holds: else FFmpeg looks no further."""
    places = find_places(data, [b"OggS"])
    if not places:
        return data
    start = random.choice(places)
    end = next((place for place in places if place > start), len(data))
    page = bytearray(data[start:end])
    for _step in range(random.choice((1, 3, 20))):
        page[random.randrange(4, len(page)) if len(page) > 4 else 0] = random.randrange(256)
    page[22:26] = bytes(4)
    page[22:26] = struct.pack("<I", ogg_checksum(page))
    return data[:start] + bytes(page) + data[end:]


def ogg_checksum(page: bytes | bytearray) -> int:
    """
    >>> hex(ogg_checksum(b"OggS"))
    '0x5fb0a94f'
    """
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
    return value


def disguise(data: bytes, random: Random, _: Sequence[Seed]) -> bytes:
    """A text that names other files, with media behind it; seldom, for most are refused at first sight."""
    if random.random() < 0.8:
        return data
    return random.choice(PLAYLISTS) + random.choice((b"", b"\0")) + data


DAMAGE: dict[str, Change] = {
    one.__name__: one
    for one in (flip_bits, overwrite_run, truncate, cut_start, insert, delete, repeat, swap_chunks, splice)
}
ATTACKS: dict[str, Change] = {
    one.__name__: one
    for one in (
        any_number,
        box_size,
        box_field,
        box_name,
        sample_entry,
        ebml_length,
        codec_id,
        riff_size,
        riff_format,
        ogg_page,
        disguise,
    )
}
