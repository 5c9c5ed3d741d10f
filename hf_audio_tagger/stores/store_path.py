"""A path in an object store, with those methods of `pathlib.Path` that stores have.

A store has no folders, renames in two steps at best, and appends nothing. What it does well is used instead:
a file is put whole, and one that is replaced is the old one or the new one at any moment.
"""

import errno
import fnmatch
import io
import posixpath
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

from .errors import ExistsError, MissingError, StoreError, explained
from .systems import open_system, read_scheme

WHOLE_BYTES = 64 << 20  # a larger file is put in parts, which become visible together
PART_BYTES = 64 << 20
COPIED_BYTES = 8 << 20
HUB = "hf"


def is_store(name: str) -> bool:
    """Whether results can be written to a URL: one of a store, not of the Hub or a web server.

    >>> is_store("s3://bucket/run"), is_store("hf://datasets/me/clips"), is_store("out/run")
    (True, False, False)
    """
    return read_scheme(name) not in ("", HUB, "http", "https") and "::" not in name


@dataclass(frozen=True)
class ObjectStat:
    """What `os.stat` says of a file, for an object; `st_ino` differs with the content, if the store tells."""

    st_size: int
    st_mtime_ns: int
    st_ino: int  # 0: it does not tell


@dataclass(frozen=True)
class StorePath:
    """A URL of a file or folder. Picklable; the connection is made in each process."""

    url: str
    listed: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)  # by `glob`
    token: str | bool | None = field(default=None, compare=False, repr=False)  # of the Hub, for hf://

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> "StorePath":
        return StorePath(f"{self.url.rstrip('/')}/{name}")

    @property
    def name(self) -> str:
        return posixpath.basename(self.url.rstrip("/"))

    @property
    def suffix(self) -> str:
        return posixpath.splitext(self.name)[1]

    @property
    def parent(self) -> "StorePath":
        return StorePath(posixpath.dirname(self.url.rstrip("/")))

    def with_name(self, name: str) -> "StorePath":
        return self.parent / name

    def open_system(self) -> tuple[Any, str]:
        """The file system of fsspec, and the path in it."""
        return open_system(self.url, self.token)

    def mkdir(self, parents: bool = True, exist_ok: bool = True) -> None:
        """Nothing where the store has no folders."""
        system, path = self.open_system()
        if read_scheme(self.url) in ("file", "local"):
            system.makedirs(path, exist_ok=True)

    def exists(self) -> bool:
        try:
            self.read_info()
        except MissingError:
            return False
        return True

    def is_file(self) -> bool:
        try:
            return bool(self.read_info().get("type") == "file")
        except MissingError:
            return False

    def stat(self) -> ObjectStat:
        info = self.listed or self.read_info()
        times = (info.get(name) for name in ("LastModified", "last_modified", "mtime", "created"))
        changed = next(filter(None, times), 0)
        seconds = changed.timestamp() if isinstance(changed, datetime) else float(changed or 0)
        tag = info.get("ETag") or info.get("etag") or info.get("md5Hash") or info.get("blob_id") or ""
        return ObjectStat(int(info["size"] or 0), round(seconds * 1e9), crc32(str(tag).encode()))

    def read_info(self) -> Mapping[str, Any]:
        system, path = self.open_system()
        with explained(self.url):
            system.invalidate_cache()
            info: Mapping[str, Any] = system.info(path)
            return info

    def iterdir(self) -> Iterator["StorePath"]:
        return self.glob("*", is_hidden_too=True)

    def glob(self, pattern: str, is_hidden_too: bool = False) -> Iterator["StorePath"]:
        """The files directly in this folder whose names match, as they are now, in order of their names."""
        for info in self.list_files(is_deep=False):
            path = StorePath(f"{self.url.rstrip('/')}/{posixpath.basename(info['name'])}", info)
            is_hidden = path.name.startswith(".") and not (is_hidden_too or pattern.startswith("."))
            if not is_hidden and fnmatch.fnmatchcase(path.name, pattern):
                yield path

    def find(self) -> list["StorePath"]:
        """The files that this URL as a glob names, as they are now, in order of their names."""
        system, path = self.open_system()
        with explained(self.url):
            system.invalidate_cache()
            found = system.glob(path, detail=True)
        scheme = read_scheme(self.url)
        files = [info for _, info in sorted(found.items()) if info["type"] == "file"]
        return [StorePath(f"{scheme}://{info['name'].lstrip('/')}", info, self.token) for info in files]

    def list_files(self, is_deep: bool = True) -> list[dict[str, Any]]:
        """What the store tells of each file below this folder, or directly in it; none if there is no folder.

        Empty objects that stand for folders are left out.
        """
        system, path = self.open_system()
        with explained(self.url):
            system.invalidate_cache()
            try:
                found = system.find(path, maxdepth=None if is_deep else 1, detail=True)
            except FileNotFoundError as error:
                if "bucket" in str(error):
                    raise
                found = {}
        files = [info for info in found.values() if info["type"] == "file" and not info["name"].endswith("/")]
        return sorted(files, key=lambda info: str(info["name"]))

    def read_bytes(self) -> bytes:
        system, path = self.open_system()
        with explained(self.url):
            data: bytes = system.cat_file(path)
            return data

    def write_bytes(self, data: bytes) -> None:
        """Put a whole file in one request."""
        system, path = self.open_system()
        with explained(self.url):
            system.pipe_file(path, data)

    def create(self, data: bytes) -> bool:
        """Put a file that is not there; False if it is. Stores that cannot tell overwrite it."""
        if self.exists():
            return False
        system, path = self.open_system()
        try:
            with explained(self.url):
                system.pipe_file(path, data, mode="create")
        except ExistsError:
            return False
        return True

    def put(self, file: BinaryIO) -> None:
        """Put a local file, which appears whole: also a large one, which goes in parts."""
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        if size <= WHOLE_BYTES:
            self.write_bytes(file.read())
            return
        system, path = self.open_system()
        with explained(self.url):
            output = system.open(path, "wb", block_size=PART_BYTES)
            try:
                while data := file.read(COPIED_BYTES):
                    output.write(data)
            except BaseException:
                output.discard()  # its close would make visible what was written so far
                raise
            output.close()

    def rename(self, target: "StorePath") -> None:
        """Copy, then remove: a run that ends in between leaves both."""
        system, path = self.open_system()
        with explained(self.url):
            system.cp_file(path, open_system(target.url)[1])
            system.rm_file(path)

    def unlink(self, missing_ok: bool = False) -> None:
        system, path = self.open_system()
        try:
            with explained(self.url):
                system.rm_file(path)
        except MissingError:
            if not missing_ok:
                raise

    def open(self) -> "StoreFile":
        """The file for reading."""
        return StoreFile(self, self.stat().st_size)


Place = Path | StorePath


class StoreFile(io.RawIOBase):
    """A file in a store, read by ranges, a request each: for Parquet, whose reader asks for whole columns."""

    def __init__(self, path: StorePath, size: int) -> None:
        self.path, self.size, self.position = path, size, 0

    def readable(self) -> bool:
        return True

    seekable = readable

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.size}[whence]
        return self.position

    def tell(self) -> int:
        return self.position

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self.size - self.position)
        count = left if size is None or size < 0 else min(size, left)
        if not count:
            return b""
        system, path = self.path.open_system()
        with explained(self.path.url):
            data: bytes = system.cat_file(path, start=self.position, end=self.position + count)
        if len(data) != count:
            raise StoreError(errno.ECONNABORTED, f"{self.path}: it sends no parts of a file, or an old one")
        self.position += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def open_scratch() -> BinaryIO:
    """A local file without a name, which the system removes whenever this process ends."""
    file: Any = tempfile.TemporaryFile(prefix="hf_audio_tagger-")  # noqa: SIM115
    return file  # type: ignore[no-any-return]
