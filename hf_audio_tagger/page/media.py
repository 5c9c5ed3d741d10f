"""A clip's file beside the page: linked, or as a small preview; its poster, or its peaks without a picture.

A clip that is missing or broken never stops a report: it is shown without.
"""

import base64
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

import numpy as np

from ..cells import BytesMedia, FileMedia, is_url
from ..errors import MediaError
from ..media_paths import AUDIO_SUFFIXES, get_suffix
from ..process import usable_cores
from .clips import FAILED, Clip
from .pictures import make_sheet, measure_peaks, take_poster
from .previews import Preview, make_preview
from .scripts import pack

MediaKind = Literal["link", "embed", "none"]
WAITING = 4  # jobs for each thread: clips in memory at once

ReadBytes = Callable[[Clip], bytes | None]


@dataclass(frozen=True)
class MediaPlan:
    """How clips are shown.

    Posters and previews are made of at most so many clips, evenly spread over all.
    """

    kind: MediaKind
    posters: int
    previews: int
    clip_count: int
    base: str | None  # the folder of relative paths; None: the current one
    folder: Path  # of the page, when it is done
    read_bytes: ReadBytes  # of a clip that lies in the dataset
    holds_bytes: bool

    def wants_poster(self, clip: Clip) -> bool:
        return clip.state != FAILED and is_drawn(clip.number, self.posters, self.clip_count)

    def wants_preview(self, clip: Clip) -> bool:
        is_drawn_too = is_drawn(clip.number, self.previews, self.clip_count)
        return self.kind == "embed" and clip.state != FAILED and is_drawn_too

    def find_file(self, clip: Clip) -> str | None:
        """The absolute path of a clip's file on this machine; None where it has none."""
        path = clip.path
        if not path:
            return None
        if path.startswith("file://"):
            path = unquote(path.removeprefix("file://"))
        if is_url(path) or "\0" in path:
            return None
        path = os.path.abspath(os.path.join(self.base or "", path))
        return path if os.path.isfile(path) else None

    def find_link(self, file: str | None) -> str | None:
        """The path from the page to a file; None where there is no way."""
        if self.kind != "link" or file is None:
            return None
        try:
            return os.path.relpath(os.path.realpath(file), os.path.realpath(self.folder)).replace(os.sep, "/")
        except ValueError:  # another drive
            return None


def is_drawn(number: int, wanted: int, total: int) -> bool:
    """Whether a clip is among `wanted` of `total`, evenly spread."""
    return wanted >= total or (number * wanted) % max(1, total) < wanted


@dataclass
class Shown:
    """What the page has of a clip's media."""

    link: str | None = None
    is_audio: bool = False
    poster: np.ndarray | None = None
    peaks: np.ndarray | None = None
    preview: Preview | None = None
    seconds: float | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def has_media(self) -> bool:
        return self.link is not None or self.preview is not None


def show_clips(clips: Iterable[Clip], plan: MediaPlan) -> Iterator[tuple[Clip, Shown]]:
    """Each clip with its media, in order. Posters and previews are made in threads, a few clips ahead."""
    threads = max(1, min(8, usable_cores()))
    waiting: list[tuple[Clip, Future[Shown] | Shown]] = []
    with ThreadPoolExecutor(threads, thread_name_prefix="page") as pool:
        try:
            for clip in clips:
                waiting.append((clip, begin(clip, plan, pool)))
                while waiting and (len(waiting) > WAITING * threads or isinstance(waiting[0][1], Shown)):
                    yield finish(*waiting.pop(0))
            while waiting:
                yield finish(*waiting.pop(0))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def begin(clip: Clip, plan: MediaPlan, pool: ThreadPoolExecutor) -> "Future[Shown] | Shown":
    file = plan.find_file(clip)
    shown = Shown(plan.find_link(file), get_suffix(clip.path or "") in AUDIO_SUFFIXES)
    wants_poster, wants_preview = plan.wants_poster(clip), plan.wants_preview(clip)
    if not (wants_poster or wants_preview) or not (file or plan.holds_bytes):
        return shown
    media: FileMedia | BytesMedia | None = FileMedia(file) if file else None
    if media is None and (data := plan.read_bytes(clip)):
        media = BytesMedia(data, clip.name)
    return shown if media is None else pool.submit(make_pictures, shown, media, wants_poster, wants_preview)


def finish(clip: Clip, shown: "Future[Shown] | Shown") -> tuple[Clip, Shown]:
    return clip, shown if isinstance(shown, Shown) else shown.result()


def make_pictures(shown: Shown, media: FileMedia | BytesMedia, poster: bool, preview: bool) -> Shown:
    """Add a poster or peaks, and a preview; what fails is left out."""
    if poster:
        with suppress(Exception):
            shown.poster, shown.seconds = take_poster(media)
        if shown.poster is None:
            with suppress(Exception):
                measured = measure_peaks(media)
                if measured is not None:
                    (shown.peaks, shown.seconds), shown.is_audio = measured, True
    if preview:
        try:
            shown.preview = make_preview(media)
            shown.is_audio = not shown.preview.has_picture
        except MediaError as error:
            shown.problems.append(str(error))
        except Exception as error:
            shown.problems.append(f"{type(error).__name__}: {error}")
    return shown


class MediaFiles:
    """Writes previews and posters, or turns them into addresses that hold them."""

    def __init__(self, folder: Path, in_one_file: bool) -> None:
        self.folder, self.in_one_file = folder, in_one_file

    def add_preview(self, number: int, preview: Preview) -> str:
        """The address of a clip's preview."""
        if self.in_one_file:
            kind = "video" if preview.has_picture else "audio"
            return make_address(f"{kind}/{preview.suffix}", preview.data)
        path = f"media/{number:06}.{preview.suffix}"
        (self.folder / "media").mkdir(exist_ok=True)
        (self.folder / path).write_bytes(preview.data)
        return path

    def add_sheet(self, part: int, posters: Sequence[np.ndarray]) -> str | None:
        """The address of a part's posters; None without any."""
        if not posters:
            return None
        data = make_sheet(posters)
        if self.in_one_file:
            return make_address("image/jpeg", data)
        path = f"posters/{part:05}.jpg"
        (self.folder / "posters").mkdir(exist_ok=True)
        (self.folder / path).write_bytes(data)
        return path


def make_address(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def describe_shown(clip: Clip, shown: Shown, files: MediaFiles, poster: int | None) -> dict[str, Any]:
    """The keys of a clip's media, as the page reads them."""
    values: dict[str, Any] = {}
    if shown.preview is not None:
        values["media"] = files.add_preview(clip.number, shown.preview)
        if not shown.preview.is_whole:
            values["preview_seconds"] = round(shown.preview.seconds, 3)
    elif shown.link is not None:
        values["media"] = shown.link
    if "media" in values:
        values["media_kind"] = "audio" if shown.is_audio else "video"
    if poster is not None:
        values["poster"] = poster
    if shown.peaks is not None:
        values["peaks"] = pack(shown.peaks, "u1")
    return values
