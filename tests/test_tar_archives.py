"""What is read of a tar, also of one that was made to do harm. Compared with Python's `tarfile`."""

import gzip
import io
import os
import tarfile
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tar_files import BLOCK, END, find_offset, make_header, pack, pad

from hf_audio_tagger.sources import SourceError, open_source
from hf_audio_tagger.sources.tars import archive, byte_streams, layout, samples

CLIP = b"no real clip" * 100
FIRST = [("first.mp4", CLIP), ("first.txt", b"one")]


def read(data: bytes, path: Path) -> tuple[list[dict[str, Any]], dict[int, str]]:
    """The rows of a tar, and by row why its clip cannot be read."""
    path.write_bytes(data)
    source = open_source(str(path))
    rows = source.stream().take(1_000).to_pylist()
    return rows, {row: clips[0].reason for row, clips in source.refused.items()}


def read_after_first(blocks: bytes, tmp_path: Path) -> tuple[list[str], dict[int, str]]:
    """The keys of a tar whose first sample is in order, and what is wrong with others."""
    rows, reasons = read(pack(FIRST)[: 4 * BLOCK + 2 * BLOCK] + blocks, tmp_path / "a.tar")
    assert rows[0]["__key__"] == "first"
    assert rows[0]["txt"] == "one"
    return [row["__key__"] for row in rows[1:]], reasons


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_format_gives_the_members_that_tarfile_gives(format: int, tmp_path: Path) -> None:
    folder = "folder/" * 12
    members = [("a.mp4", CLIP), ("a.txt", b""), (f"{folder}b.c.d.mp4", CLIP[:513]), ("d/e.mp4", CLIP[:512])]
    if format != tarfile.USTAR_FORMAT:
        members += [("long" * 60 + ".mp4", CLIP), ("éß漢.mp4", CLIP[:1])]
    data = pack(members, format)
    rows, reasons = read(data, tmp_path / "a.tar")
    clips = {row["mp4"]["path"]: row["mp4"]["bytes"] for row in rows if row["mp4"] is not None}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        expected = {one.name: tar.extractfile(one).read() for one in tar if one.name.endswith(".mp4")}  # type: ignore[union-attr]
    assert clips == expected
    assert [row["__key__"] for row in rows[:3]] == ["a", f"{folder}b", "d/e"]
    assert rows[0]["txt"] == ""
    assert not reasons


def test_folders_hidden_files_and_names_without_suffix_are_no_samples(tmp_path: Path) -> None:
    extra = make_header("folder", kind=b"5") + pad(b"")
    rest = pack([("README", b"x"), ("x/.DS_Store", b"y"), ("._b.mp4", b"z"), ("b.mp4", CLIP)])
    assert read_after_first(extra + rest, tmp_path) == (["b"], {})


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (b"1", "a link"),
        (b"2", "a link"),
        (b"3", "a device"),
        (b"4", "a device"),
        (b"6", "a pipe"),
        (b"Z", "unknown kind"),
    ],
)
def test_links_and_devices_are_named_and_not_followed(kind: bytes, what: str, tmp_path: Path) -> None:
    evil = make_header("evil.mp4", kind=kind, linkname="/etc/passwd")
    keys, reasons = read_after_first(evil + pack([("b.mp4", CLIP)]), tmp_path)
    assert keys == ["evil", "b"]
    assert what in reasons.pop(1)
    assert not reasons


def test_sparse_files_are_not_read(tmp_path: Path) -> None:
    gnu = bytearray(make_header("old.mp4", 4, b"S"))
    gnu[482] = 1  # another header follows
    gnu[148:156] = b"%06o\0 " % (sum(gnu[:148]) + 8 * 32 + sum(gnu[156:]))
    pax = pack_pax({"GNU.sparse.major": "1", "GNU.sparse.name": "new.mp4", "GNU.sparse.realsize": "9"})
    blocks = bytes(gnu) + bytes(BLOCK) + pad(b"data") + pax + make_header("x/0", 3) + pad(b"abc")
    keys, reasons = read_after_first(blocks + pack([("b.mp4", CLIP)]), tmp_path)
    assert keys == ["old", "new", "b"]
    assert all("sparse" in reasons[row] for row in (1, 2))


def pack_pax(fields: dict[str, str], kind: bytes = b"x") -> bytes:
    lines = b""
    for name, value in fields.items():
        body = f" {name}={value}\n".encode()
        length = len(body) + 1
        length = len(body) + len(str(length + (length >= 9)))
        lines += b"%d" % length + body
    return make_header("pax", len(lines), kind) + pad(lines)


def test_sizes_of_more_than_eight_gigabytes_and_of_pax_are_understood(tmp_path: Path) -> None:
    """Base-256 and pax sizes: the data are not there, so that the tar is cut off, and that says how many."""
    binary = make_header("big.mp4", 9 << 30)
    assert read_after_first(binary + b"x", tmp_path)[1][1].count(f"{9 << 30:,}") == 1
    by_pax = pack_pax({"size": "5"}) + make_header("c.mp4", 0) + pad(b"12345") + END
    rows, _ = read(pack(FIRST)[: 6 * BLOCK] + by_pax, tmp_path / "b.tar")
    assert rows[1]["mp4"]["bytes"] == b"12345"


BROKEN = {
    "nothing more": (b"", "without an end mark"),
    "zeros cut off": (b"", "without an end mark"),
    "half a header": (make_header("b.mp4", 3)[:100], "within a header"),
    "no header": (b"garbage!" * 64 + END, "no header"),
    "a wrong checksum": (make_header("b.mp4", 3).replace(b"b.mp4", b"c.mp4") + END, "no header"),
    "a size that lies": (make_header("b.mp4", 5_000) + pad(b"short"), "cut off within 'b.mp4'"),
    "a huge size": (make_header("b.mp4", 1 << 61) + END, "cut off within 'b.mp4'"),
    "a negative size": (make_header("b.mp4", -5) + END, "size that cannot be"),
    "a pax size that lies": (pack_pax({"size": "99999"}) + make_header("b.mp4", 1) + END, "cut off"),
    "a negative pax size": (pack_pax({"size": "-9"}) + make_header("b.mp4", 1) + END, "size that cannot be"),
    "a damaged pax header": (make_header("x", 9, b"x") + pad(b"99 path=a\n") + END, "damaged"),
    "gigabytes of pax": (make_header("x", 3 << 30, b"x") + END, "the limit is"),
    "a long name of gigabytes": (make_header("x", 3 << 30, b"L") + END, "the limit is"),
    "a cut pax header": (make_header("x", 900, b"x") + b"12", "cut off within an extended header"),
    "a path of 5,000 letters": (pack([("p" * 5_000 + ".mp4", b"")]), "5,004 characters"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_tar_ends_at_its_last_good_sample_and_says_so(case: str, tmp_path: Path) -> None:
    blocks, problem = BROKEN[case]
    keys, reasons = read_after_first(blocks, tmp_path)
    assert keys == [""]  # the row that says so
    assert problem in reasons[1]
    assert len(reasons) == 1


def test_a_sample_that_is_cut_off_is_left_out_whole(tmp_path: Path) -> None:
    """Its clip is there, but nobody knows what else it had."""
    data = pack([*FIRST, ("b.mp4", CLIP), ("b.json", b"{}" * 2_000)])
    rows, reasons = read(data[: find_offset(data, "b.json") + 3_000], tmp_path / "a.tar")
    assert [row["__key__"] for row in rows] == ["first", ""]
    assert "'b.json'" in reasons[1]


def test_names_of_any_bytes_become_text_and_no_path(tmp_path: Path) -> None:
    header = bytearray(make_header("placeholder.mp4", 3))
    header[:15] = b"\x1b[2J\xff\n..\xe9.mp4".ljust(15, b"\0")
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:]))
    up = pack([("../../etc/cron.d/x.mp4", b"123"), ("/abs.mp4", b"4")])
    rows, reasons = read(pack(FIRST)[: 6 * BLOCK] + bytes(header) + pad(b"abc") + up, tmp_path / "a.tar")
    assert [row["__key__"] for row in rows] == ["first", "\x1b[2J\\xff\n", "../../etc/cron.d/x", "/abs"]
    assert [os.path.basename(path) for path in map(str, tmp_path.rglob("*"))] == ["a.tar"]
    assert not reasons


def test_a_key_that_comes_again_and_a_member_that_comes_twice_are_recorded(tmp_path: Path) -> None:
    again = pack([("b.mp4", CLIP), ("b.mp4", CLIP), ("first.mp4", CLIP), ("c.mp4", CLIP), ("d.txt", b"")])
    keys, reasons = read_after_first(again, tmp_path)
    assert keys == ["b", "first", "c", "d"]
    assert "two members .mp4" in reasons.pop(1)
    assert "came before" in reasons.pop(2)
    assert "no member of a video or a sound" in reasons.pop(4)
    assert not reasons


def test_a_member_that_is_too_large_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "MOST_MEDIA_BYTES", 2_000)
    keys, reasons = read_after_first(pack([("b.mp4", bytes(2_001)), ("c.mp4", bytes(2_000))]), tmp_path)
    assert keys == ["b", "c"]
    assert "2,001 bytes, and at most 2,000" in reasons.pop(1)
    assert not reasons


def test_too_many_members_or_samples_end_a_tar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "MOST_MEMBERS", 5)
    keys, reasons = read_after_first(pack([(f"b.{number}", b"") for number in range(9)]), tmp_path)
    assert keys == [""]
    assert "more than 5 members" in reasons[1]
    monkeypatch.setattr(samples, "MOST_SAMPLES", 3)
    keys, reasons = read_after_first(pack([(f"{number}.mp4", b"") for number in range(9)]), tmp_path)
    assert keys == ["0", "1", ""]
    assert "more than 3 samples" in reasons[3]


def peak_bytes(path: Path) -> int:
    """The most that Python holds while the samples of a tar are read one by one."""
    stream = open_source(str(path)).stream()
    tracemalloc.start()
    while not stream.ended:
        stream.take(1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_is_that_of_one_member(tmp_path: Path) -> None:
    size = 3 << 20
    (tmp_path / "a.tar").write_bytes(pack([(f"{number}.mp4", bytes(size)) for number in range(8)]))
    assert peak_bytes(tmp_path / "a.tar") < 2.2 * size  # the member in hand, and the next one


def make_bomb(path: Path, size: int) -> None:
    packer = zlib.compressobj(9, wbits=31)
    with open(path, "wb") as file:
        file.write(packer.compress(make_header("first.mp4", 3) + pad(b"abc") + make_header("b.mp4", size)))
        for _ in range(size >> 20):
            file.write(packer.compress(bytes(1 << 20)))
        file.write(packer.flush())


def test_a_gzip_that_grows_out_of_proportion_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(byte_streams, "FREE_UNPACKED_BYTES", 4 << 20)
    make_bomb(tmp_path / "a.tar.gz", 40 << 20)
    source = open_source(str(tmp_path / "a.tar.gz"))
    tracemalloc.start()
    rows = source.stream().take(9).to_pylist()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row["__key__"] for row in rows] == ["first", ""]
    assert "more than 100 times" in source.refused[1][0].reason
    assert peak < 20 << 20


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tgz"])
def test_gzips_are_read_also_in_parts_and_cut_off(name: str, tmp_path: Path) -> None:
    data = pack([*FIRST, ("b.mp4", os.urandom(9_000))])
    half = len(data) // 2
    two = gzip.compress(data[:half]) + gzip.compress(data[half:])
    rows, reasons = read(two, tmp_path / name)
    assert [row["__key__"] for row in rows] == ["first", "b"]
    assert not reasons
    rows, reasons = read(gzip.compress(data)[:-4_000], tmp_path / name)
    assert [row["__key__"] for row in rows] == ["first", ""]
    assert "cut off within 'b.mp4'" in reasons[1]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"not a tar" * 200, "no tar"),
        (END, "no member of a video"),
        (gzip.compress(b"x", mtime=0), "cut off"),
    ],
)
def test_what_is_no_tar_at_all_is_refused_at_once(data: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(SourceError, match=reason):
        open_source(str(tmp_path / "a.tar"))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.tar")
    with pytest.raises(SourceError, match="not a regular file"):
        open_source(str(tmp_path / "a.tar"))


def test_global_pax_fields_hold_for_those_that_follow() -> None:
    """Only fields that count are kept: a tar with a million of others fills no memory."""
    junk = {f"vendor.{number}": "x" for number in range(1_000)}
    assert archive.parse_pax(pack_pax({**junk, "path": "a.mp4"})[BLOCK:].rstrip(b"\0"), 0) == {
        "path": "a.mp4"
    }


def damage(data: bytes, random: np.random.Generator) -> bytes:
    """Some bytes changed, most of them in headers, or a part missing."""
    changed = bytearray(data)
    for _ in range(random.integers(1, 6)):
        place = random.integers(0, len(data) // BLOCK) * BLOCK + random.integers(0, 512)
        changed[min(place, len(data) - 1)] = random.choice([0, 48, 55, 128, 255, random.integers(256)])
    start, stop = sorted(random.integers(0, len(data), 2))
    kind = random.integers(3)
    return bytes(changed[:start] + changed[stop:] if kind == 0 else changed[:stop] if kind == 1 else changed)


def fix_checksums(data: bytes) -> bytes:
    """So that damaged headers are believed."""
    fixed = bytearray(data)
    for start in range(0, len(fixed) - BLOCK + 1, BLOCK):
        if fixed[start + 257 : start + 262] == b"ustar":
            header = fixed[start : start + BLOCK]
            fixed[start + 148 : start + 156] = b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:]))
    return bytes(fixed)


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_no_damage_does_more_than_end_a_tar(format: int, tmp_path: Path) -> None:
    """All that is said is said as a reason, and the samples before the damage are there."""
    random = np.random.default_rng(format)
    whole = pack([*FIRST, ("é" * 90 + ".mp4", CLIP), ("c.mp4", b"c"), ("d.json", b"{}")], format)
    rounds = int(os.environ.get("FUZZ_ROUNDS", "60"))
    for number in range(rounds):
        data = fix_checksums(pack(FIRST)[: 6 * BLOCK] + damage(whole[6 * BLOCK :], random))
        with suppress(SourceError):  # the first sample may have got a member that is cut off
            rows, reasons = read(data, tmp_path / "a.tar")
            assert rows[0]["__key__"] == "first", number
            assert rows[0]["mp4"]["bytes"] == CLIP, number
            assert all(reasons.values())
