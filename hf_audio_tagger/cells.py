"""What a dataset cell may hold, as `Media`.

`datasets` hands a video or a sound over in many forms: a path or URL, its bytes, a ``{path, bytes}``
struct, an ``{array, sampling_rate}`` of samples, a decoder object that it made itself, or a list of
these. Everything behind this file sees four kinds only.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import ColumnError

COLUMNS = ("video", "videos", "audio")  # where a row's media are looked for, in this order


@dataclass(frozen=True)
class FileMedia:
    """A local path, or a URL that fsspec can open (``https://``, ``hf://``, ``s3://``, ...)."""

    path: str

    @property
    def name(self) -> str:
        """The path as Arrow can hold it in an error's text: Linux allows names that are no UTF-8."""
        return self.path.encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass(frozen=True)
class BytesMedia:
    """A whole file in memory."""

    data: bytes
    name: str = "<bytes>"


@dataclass(frozen=True, eq=False)
class SamplesMedia:
    """Decoded sound: floats, or integers of full scale, ``(samples,)`` or ``(channels, samples)``."""

    samples: np.ndarray
    rate_hz: int
    name: str = "<samples>"


@dataclass(frozen=True, eq=False)
class DecoderMedia:
    """A torchcodec ``AudioDecoder`` that `datasets` opened and whose source it did not tell."""

    decoder: Any
    name: str = "<decoder>"


@dataclass(frozen=True)
class NullMedia:
    """A null in a list of videos: nothing to read, yet it has a place in the answer."""

    name: str = "<null>"


Media = FileMedia | BytesMedia | SamplesMedia | DecoderMedia | NullMedia


def media_of_cell(cell: Any) -> list[Media]:
    """Every video of one cell, in order; ``[]`` for a null.

    >>> media_of_cell("a.mp4")
    [FileMedia(path='a.mp4')]
    >>> media_of_cell([{"path": "a.mp4", "bytes": None}, "b.mp4"])
    [FileMedia(path='a.mp4'), FileMedia(path='b.mp4')]
    """
    if is_null(cell):
        return []
    if is_list_cell(cell):
        return [media_of_value(value) for value in cell]
    return [media_of_value(cell)]


def is_null(value: Any) -> bool:
    """True for None and for a struct whose path and bytes are both null, which is Arrow's null struct."""
    if value is None:
        return True
    return is_file_struct(value) and value.get("path") is None and value.get("bytes") is None


def is_list_cell(value: Any) -> bool:
    """True for a list of videos. An array of numbers is one sound and is refused further on."""
    if isinstance(value, np.ndarray):
        return value.dtype == object or value.dtype.kind in "US"
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray, memoryview))


def is_file_struct(value: Any) -> bool:
    return isinstance(value, Mapping) and bool({"path", "bytes"} & set(value)) and "array" not in value


def is_samples_struct(value: Any) -> bool:
    return isinstance(value, Mapping) and "array" in value and "sampling_rate" in value


def media_of_value(value: Any) -> Media:
    """One video or sound. What it cannot be is said in the error, with what it may be."""
    if is_null(value):
        return NullMedia()
    if isinstance(value, (str, os.PathLike)):
        return FileMedia(os.fsdecode(value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return BytesMedia(bytes(value))
    if is_samples_struct(value):
        return samples_media(value)
    if is_file_struct(value):
        return file_or_bytes(value.get("path"), value.get("bytes"))
    if not isinstance(value, Mapping) and (encoded := getattr(value, "_hf_encoded", None)):
        # A decoder made by `datasets` remembers what it was made of: no frame of it is decoded here.
        return file_or_bytes(encoded.get("path"), encoded.get("bytes"))
    if hasattr(value, "get_samples_played_in_range"):
        return DecoderMedia(value)
    raise ColumnError(
        f"A cell of type {type(value).__name__} is no video or sound. It may hold a path or URL, bytes, "
        "{'path', 'bytes'}, {'array', 'sampling_rate'}, a decoder object of datasets, or a list of these. "
        "Where datasets or a transform decodes the column first, map over ds.with_format(None), "
        "or over ds.decode(False) in streaming."
    )


def file_or_bytes(path: str | None, data: bytes | None) -> Media:
    if data is not None:
        return BytesMedia(bytes(data), name=path or "<bytes>")
    if path is None:
        return NullMedia()
    return FileMedia(os.fsdecode(path))


def samples_media(value: Mapping[str, Any]) -> Media:
    if value["array"] is None:
        return NullMedia()
    samples = np.asarray(value["array"])
    if samples.ndim == 2 and samples.shape[0] > samples.shape[1]:
        samples = samples.T  # (samples, channels), as soundfile gives it
    return SamplesMedia(samples, int(value["sampling_rate"] or 0), value.get("path") or "<samples>")


def is_url(path: str) -> bool:
    """True for what fsspec opens: ``scheme://``, also chained as ``zip://a.mp4::https://...``."""
    return "://" in path or "::" in path
