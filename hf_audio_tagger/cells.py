"""What a dataset cell may hold, as `Media`.

`datasets` hands a video or a sound over in many forms: a path or URL, its bytes, a ``{path, bytes}``
struct, an ``{array, sampling_rate}`` of samples, a decoder object that it made itself, or a list of
these. Everything behind this file sees the few kinds of `Media` only.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from .compat.datasets_calls import encoded_file
from .errors import ColumnError

MOST_SHOWN = 100  # characters of a cell in its error
COLUMNS = ("video", "videos", "audio")  # where a row's media are looked for, in this order


@dataclass(frozen=True)
class FileMedia:
    """A local path, or a URL that fsspec can open (``https://``, ``hf://``, ``s3://``, ...)."""

    path: str

    @property
    def name(self) -> str:
        return text_of(self.path)


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


@dataclass(frozen=True)
class InvalidMedia:
    """What no video or sound can be. Opening it raises a `ColumnError`; the videos beside it are read."""

    reason: str
    name: str = "<cell>"


@dataclass(frozen=True)
class RefusedMedia:
    """A clip that must not be opened; the reason stands in place of its content."""

    name: str
    reason: str


Media = FileMedia | BytesMedia | SamplesMedia | DecoderMedia | NullMedia | InvalidMedia | RefusedMedia


def cells_of(column: pa.ChunkedArray) -> list[Any]:
    """A column's cells as Python values, and those of mixed kinds, which `datasets` keeps as JSON, parsed."""
    cells: list[Any] = column.to_pylist()
    if not isinstance(column.type, pa.JsonType):
        return cells
    return [None if text is None else parsed_cell(text) for text in cells]


def parsed_cell(text: str) -> Any:
    """A cell of a mixed column. One that no video can be says so by itself: the column is the right one."""
    value = json.loads(text)
    try:
        media_of_cell(value)
    except ColumnError as error:
        return {"path": text[:MOST_SHOWN], "refused": str(error).rstrip(".")}
    return value


def column_of(cells: Sequence[Any], kind: pa.DataType) -> pa.ChunkedArray:
    """The column that `cells_of` gives such cells of."""
    if isinstance(kind, pa.JsonType):
        texts = [None if cell is None else json.dumps(cell) for cell in cells]
        return pa.chunked_array([pa.array(texts, kind.storage_type).cast(kind)])
    return pa.chunked_array([pa.array(cells, type=kind)])


def media_of_cells(cells: Sequence[Any]) -> list[list[Media]]:
    """The videos of each cell of a column.

    Where no cell holds a video or sound, the column is the wrong one: a `ColumnError`. A lone cell among
    others is invalid by itself.
    """
    media: list[list[Media]] = []
    errors: list[ColumnError] = []
    for cell in cells:
        try:
            media.append(media_of_cell(cell))
        except ColumnError as error:
            errors.append(error)
            media.append([InvalidMedia(str(error))])
    if errors and len(errors) == sum(map(bool, media)):
        raise errors[0]
    return media


def media_of_cell(cell: Any) -> list[Media]:
    """Every video of one cell, in order; ``[]`` for a null. A `ColumnError` where nothing in it is a video.

    >>> media_of_cell("a.mp4")
    [FileMedia(path='a.mp4')]
    >>> media_of_cell([{"path": "a.mp4", "bytes": None}, "b.mp4"])
    [FileMedia(path='a.mp4'), FileMedia(path='b.mp4')]
    """
    if is_null(cell):
        return []
    values = list(cell) if is_list_cell(cell) else [cell]
    foreign = [value for value in values if not is_null(value) and not is_media(value)]
    if foreign and len(foreign) == sum(not is_null(value) for value in values):
        raise ColumnError(no_media(foreign[0]))
    return [media_of_value(value) for value in values]


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


def encoded_struct(value: Any) -> Mapping[str, Any] | None:
    """What a decoder made by `datasets` remembers that it was made of: no frame of it is decoded here."""
    encoded = None if isinstance(value, Mapping) else encoded_file(value)
    return encoded if encoded and isinstance(encoded, Mapping) else None


def is_media(value: Any) -> bool:
    """True for every form that a video or sound comes in, whatever is wrong inside of it."""
    return (
        isinstance(value, (str, os.PathLike, bytes, bytearray, memoryview))
        or is_samples_struct(value)
        or is_file_struct(value)
        or encoded_struct(value) is not None
        or hasattr(value, "get_samples_played_in_range")
    )


def media_of_value(value: Any) -> Media:
    """One video or sound; `InvalidMedia`, with the reason, for what is none."""
    if is_null(value):
        return NullMedia()
    if isinstance(value, (str, os.PathLike)):
        return file_or_bytes(value, None)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return file_or_bytes(None, value)
    if is_samples_struct(value):
        return samples_media(value)
    struct = value if is_file_struct(value) else encoded_struct(value)
    if struct is not None and struct.get("refused"):
        return RefusedMedia(str(struct.get("path")), str(struct["refused"]))  # as `Source.hearable` says it
    if struct is not None:
        return file_or_bytes(struct.get("path"), struct.get("bytes"))
    if hasattr(value, "get_samples_played_in_range"):
        return DecoderMedia(value)
    return InvalidMedia(no_media(value))


def no_media(value: Any) -> str:
    """What is wrong with a value of a foreign kind, and what it may be."""
    return (
        f"A cell of type {type(value).__name__} is no video or sound. It may hold a path or URL, bytes, "
        "{'path', 'bytes'}, {'array', 'sampling_rate'}, a decoder object of datasets, or a list of these. "
        "Where datasets or a transform decodes the column first, map over ds.with_format(None), "
        "or over ds.decode(False) in streaming."
    )


def file_or_bytes(path: Any, data: Any) -> Media:
    name = name_of(path, "<bytes>" if path is None else "<path>")
    if path is not None and not isinstance(path, (str, bytes, os.PathLike)):
        return InvalidMedia(f"'path' must be a text; got {type(path).__name__}.", name)
    if data is not None and not isinstance(data, (bytes, bytearray, memoryview)):
        return InvalidMedia(f"'bytes' must be the bytes of a file; got {type(data).__name__}.", name)
    if data is not None:
        return BytesMedia(bytes(data), name)
    return NullMedia() if path is None else FileMedia(os.fsdecode(path))


def samples_media(value: Mapping[str, Any]) -> Media:
    if value["array"] is None:
        return NullMedia()
    name = name_of(value.get("path"), "<samples>")
    try:
        samples = np.asarray(value["array"])
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists; a tensor on a GPU
        return InvalidMedia(f"'array' must be an array of numbers ({error}).", name)
    rate = value["sampling_rate"]
    rate_hz = whole_number(0 if rate is None else rate)
    if rate_hz is None:
        return InvalidMedia(f"'sampling_rate' must be a whole number of Hz; got {rate!r:.100}.", name)
    if samples.ndim == 2 and samples.shape[0] > samples.shape[1]:
        samples = samples.T  # (samples, channels), as soundfile gives it
    return SamplesMedia(samples, rate_hz, name)


def whole_number(value: Any) -> int | None:
    """An integer of any library, or a float that is one; None for all else."""
    try:
        number = int(value)
        return number if bool(number == value) else None
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None


def name_of(path: Any, otherwise: str) -> str:
    """What a clip is called in errors: its path where that is one."""
    return (text_of(path) if isinstance(path, (str, bytes, os.PathLike)) else "") or otherwise


def text_of(path: str | bytes | os.PathLike[Any]) -> str:
    """A path as Arrow can hold it in an error's text: Linux allows names that are no UTF-8."""
    return os.fsdecode(path).encode("utf-8", "backslashreplace").decode("utf-8")


def is_url(path: str) -> bool:
    """True for what fsspec opens: ``scheme://``, also chained as ``zip://a.mp4::https://...``."""
    return "://" in path or "::" in path
