"""A report on disk: made beside its place and moved there when it is whole; or as one file."""

import base64
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..atomic_files import temporary_path, write_file
from ..disk import find_system_folder
from ..errors import SettingsError

WEB = Path(__file__).with_name("web")
INDEX = "index.html"
ENTRIES = {INDEX, "web", "data", "posters", "media"}  # of a report, and of nothing else
PAGE_FILES = ("*.css", "*.js", "*.txt")  # licences of what is vendored are texts
SCRIPT = re.compile(rb'<script src="((?:web|data)/[\w.-]+\.js)"></script>')
STYLE = b'<link rel="stylesheet" href="web/page.css">'
DATA = b"<!-- data -->"
POLICY_SCRIPTS, POLICY_STYLES = b"script-src 'self' file:", b"style-src 'self' file:"


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill. It takes the place of `folder` when the block ends, and is removed if it raises."""
    check_place(folder)
    remove_leftovers(folder)
    temporary = temporary_path(folder)
    try:
        temporary.mkdir(parents=True)
    except OSError as error:
        raise SettingsError(f"{folder} cannot be written ({error.strerror or error}).") from error
    try:
        yield temporary
        for name in ("data/head.js", INDEX):
            with open(temporary / name, "rb") as file:
                os.fsync(file.fileno())
        move_into_place(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def move_into_place(temporary: Path, folder: Path) -> None:
    """Rename. An earlier report is set aside, and put back where the new one cannot come."""
    if not folder.exists():
        os.replace(temporary, folder)
        return
    old = temporary.with_name(f"{temporary.name}.old.{os.getpid()}.tmp")
    os.replace(folder, old)
    try:
        os.replace(temporary, folder)
    except OSError:
        os.replace(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def check_place(folder: Path) -> None:
    """Refuse a place that holds anything but an earlier report."""
    if system := find_system_folder(folder):
        raise SettingsError(f"{folder} is in {system}, where no report can be kept. Choose another folder.")
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise SettingsError(f"{folder} must be a folder or not exist. Choose another one for the report.")
    if folder.is_dir():
        others = sorted(path.name for path in folder.iterdir() if path.name not in ENTRIES)
        is_report = (folder / INDEX).is_file() or not any(folder.iterdir())
        if others or not is_report:
            shown = others[0] if others else next(folder.iterdir()).name
            raise SettingsError(
                f"{folder} holds other files ({shown}), and a report replaces the whole folder. Name one of "
                "its own."
            )


def remove_leftovers(folder: Path) -> None:
    """Remove what reports that were killed have left beside the folder."""
    pattern = re.compile(rf"\.{re.escape(folder.name)}\.(\d+)\.tmp(?:\.old\.\d+\.tmp)?")
    with suppress(OSError):
        for path in folder.parent.iterdir():
            match = pattern.fullmatch(path.name)
            if match and path.is_dir() and not is_running(int(match[1])):
                shutil.rmtree(path, ignore_errors=True)


def is_running(process: int) -> bool:
    if os.name == "nt":  # where the call below would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def copy_page(folder: Path) -> None:
    """The page's own files."""
    (folder / "web").mkdir()
    for path in list_page_files():
        (folder / "web" / path.name).write_bytes(path.read_bytes())
    (folder / INDEX).write_bytes((WEB / INDEX).read_bytes())


def list_page_files() -> list[Path]:
    return sorted(path for pattern in PAGE_FILES for path in WEB.glob(pattern))


def join_files(folder: Path) -> bytes:
    """The page and its data as one HTML file, whose policy allows exactly these scripts and styles."""
    page = (WEB / INDEX).read_bytes()
    style = (WEB / "page.css").read_bytes()
    data = sorted(path for path in (folder / "data").glob("*.js") if path.name != "head.js")
    scripts: list[bytes] = []

    def inline(text: bytes) -> bytes:
        scripts.append(text)
        return b"<script>" + text + b"</script>"

    def read(match: re.Match[bytes]) -> bytes:
        name = match[1].decode()
        place = WEB / name.removeprefix("web/") if name.startswith("web/") else folder / name
        return inline(place.read_bytes())

    page = page.replace(STYLE, b"<style>" + style + b"</style>", 1)
    head, marker, tail = page.partition(DATA)
    head, tail = SCRIPT.sub(read, head), SCRIPT.sub(read, tail)
    page = head + b"\n".join(inline(path.read_bytes()) for path in data) + tail if marker else head
    hashes = b" ".join(map(hash_text, scripts))
    page = page.replace(POLICY_SCRIPTS, b"script-src " + hashes, 1)
    return page.replace(POLICY_STYLES, b"style-src " + hash_text(style), 1)


def hash_text(text: bytes) -> bytes:
    """A text in a content security policy."""
    return b"'sha256-" + base64.b64encode(hashlib.sha256(text).digest()) + b"'"


def write_one_file(page: bytes, path: Path) -> None:
    """Write a report of one file, whole or not at all."""
    if path.is_dir():
        raise SettingsError(f"{path} is a folder; a single file needs a name of its own.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, page)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written ({error.strerror or error}).") from error
