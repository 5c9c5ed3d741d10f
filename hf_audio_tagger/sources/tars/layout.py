"""The columns of tars, found in the first samples, and the rows that samples become.

All tars of a run have the same columns with the same types: a member of text or JSON is a column of strings,
since a tar may always have a JSON that differs from those before, and one of sound or pictures is a file in a
cell. What the first samples do not have gets no column.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any, Literal

import pyarrow as pa
from datasets import Audio, Features, Value, Video

from ...cells import UnreadableMedia
from ...media_paths import AUDIO_SUFFIXES, MEDIA_SUFFIXES, VIDEO_SUFFIXES
from .byte_streams import ByteStream
from .problems import BrokenTarError
from .samples import Sample, read_samples

KEY, URL = "__key__", "__url__"  # as `datasets` names them
FIRST_SAMPLES = 16  # whose members are the columns
MOST_TEXT_BYTES = 16 << 20
MOST_MEDIA_BYTES = 1 << 30  # of a member that is read into memory
TEXT_NAMES = (
    "json jsonl json5 txt text transcript caption captions cls cls2 index inx id class label labels lab tag "
    "tags srt vtt lrc csv tsv xml yaml yml toml md html htm url"
)
TEXT_SUFFIXES = frozenset(TEXT_NAMES.split())
Kept = Literal["texts", "media", "all"]
FILE = {"bytes": Value("binary"), "path": Value("string")}  # a file in a cell, not seen as the media


def is_kept(suffix: str, kept: Kept) -> bool:
    return is_text(suffix) or kept == "all" or (kept == "media" and is_media(suffix))


def is_media(suffix: str) -> bool:
    return find_end(suffix) in MEDIA_SUFFIXES


def is_text(suffix: str) -> bool:
    return find_end(suffix)[1:] in TEXT_SUFFIXES


def find_end(suffix: str) -> str:
    """The last part of a suffix, with its dot.

    >>> find_end("left.mp4")
    '.mp4'
    """
    return f".{suffix.rpartition('.')[2]}"


@dataclass(frozen=True)
class Layout:
    """Which members are columns, and which of them is the clip."""

    suffixes: tuple[str, ...]  # of the first samples
    media: str  # the clip's suffix, and the name of its column
    is_chosen: bool = False  # the user named the clip's column: nothing stands in for it
    kept: Kept = "media"  # beside texts and the clip, what else is a column

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The members with a column, beside the clip's."""
        return tuple(one for one in self.suffixes if one != self.media and is_kept(one, self.kept))

    @cached_property
    def features(self) -> Features:
        """Of the rows, with the clip."""
        clip = Video() if find_end(self.media) in VIDEO_SUFFIXES else Audio()
        members = {one: make_feature(one) for one in self.columns} | {self.media: clip}
        names = {KEY: Value("string"), URL: Value("string")}
        return Features({**names, **{name: members[name] for name in sorted(members)}})

    def find_limit(self, sample: Sample, suffix: str) -> int:
        """The most bytes to read of a sample's next member; 0 for one that no column needs."""
        if suffix in self.columns:
            return MOST_TEXT_BYTES if is_text(suffix) else MOST_MEDIA_BYTES
        if suffix == self.media:
            return MOST_MEDIA_BYTES
        return MOST_MEDIA_BYTES if self.may_stand_in(suffix) and self.find_clip(sample) is None else 0

    def may_stand_in(self, suffix: str) -> bool:
        return not self.is_chosen and suffix != self.media and is_media(suffix)

    def find_clip(self, sample: Sample) -> str | None:
        """The suffix of a sample's clip: that of the column, else the first one that stands in for it."""
        others = (one for one in sample.members if self.may_stand_in(one))
        return self.media if self.media in sample.members else next(others, None)

    def keep(self, kept: Kept) -> "Layout":
        """The layout with other columns, and nothing in it that makes no difference to these."""
        suffixes = tuple(one for one in self.suffixes if one == self.media or is_kept(one, kept))
        return replace(self, suffixes=suffixes, kept=kept)


def make_feature(suffix: str) -> Any:
    if is_text(suffix):
        return Value("string")
    return FILE if is_media(suffix) else Value("binary")


def find_layout(stream: ByteStream) -> Layout | None:
    """The layout of the first samples, of which only headers are read; None without any media.

    Raises `BrokenTarError` where the tar breaks off before its first sample.
    """
    samples: list[Sample] = []
    try:
        samples.extend(islice(read_samples(stream, lambda row, sample, suffix: 0), FIRST_SAMPLES))
    except BrokenTarError:
        if not samples:
            raise
    return make_layout([list(sample.members) for sample in samples])


def make_layout(samples: Sequence[Sequence[str]]) -> Layout | None:
    """The layout of samples by their members' suffixes: the clip is a video, else a sound, the commonest one.

    >>> make_layout([["mp4", "wav", "json"], ["webm", "json"]])
    Layout(suffixes=('json', 'mp4', 'wav', 'webm'), media='mp4', is_chosen=False, kept='media')
    """
    counts = Counter(suffix for sample in samples for suffix in sample)
    media = [suffix for suffix in counts if is_media(suffix)]
    if not media:
        return None
    clip = min(media, key=lambda one: (find_end(one) in AUDIO_SUFFIXES, -counts[one]))
    return Layout(tuple(sorted(counts)), clip)


def build_rows(
    samples: Sequence[Sample], url: str, layout: Layout
) -> tuple[pa.Table, dict[int, UnreadableMedia]]:
    """The rows of samples as `Layout.features` has them, and by row the clips that cannot be read."""
    values: dict[str, list[Any]] = {KEY: [one.key for one in samples], URL: [url] * len(samples)}
    for name in layout.columns:
        values[name] = [make_cell(sample, name) for sample in samples]
    clips = [make_clip(sample, layout) for sample in samples]
    values[layout.media] = [None if isinstance(clip, UnreadableMedia) else clip for clip in clips]
    schema = layout.features.arrow_schema
    arrays = [pa.array(values[field.name], field.type) for field in schema]
    refused = {row: clip for row, clip in enumerate(clips) if isinstance(clip, UnreadableMedia)}
    return pa.table(arrays, schema=schema), refused


def make_cell(sample: Sample, suffix: str) -> Any:
    data = sample.members.get(suffix)
    if data is None or sample.problem is not None:
        return None
    if is_text(suffix):
        return data.decode("utf-8", "backslashreplace")
    return {"bytes": data, "path": f"{sample.key}.{suffix}"} if is_media(suffix) else data


def make_clip(sample: Sample, layout: Layout) -> UnreadableMedia | Mapping[str, Any]:
    suffix = layout.find_clip(sample)
    name = sample.key if suffix is None else f"{sample.key}.{suffix}"
    if sample.problem is not None:
        return UnreadableMedia(name, sample.problem)
    if suffix is None:
        wanted = f".{layout.media}" if layout.is_chosen else "of a video or a sound"
        return UnreadableMedia(name, f"it has no member {wanted}")
    data = sample.members[suffix]
    if data is None:
        return UnreadableMedia(name, sample.refusals.get(suffix, "it was not read"))
    return {"bytes": data, "path": name}


def find_left_out(sample: Sample, layout: Layout) -> Counter[str]:
    """Members that became no cell though they are texts or were refused, counted by the reason."""
    clip = layout.find_clip(sample)
    reasons = Counter(reason for suffix, reason in sample.refusals.items() if suffix != clip)
    for suffix in sample.members:
        if is_text(suffix) and suffix not in layout.suffixes:
            reasons[f"the first samples have no member .{find_end(suffix)[1:]}"] += 1
    return reasons
