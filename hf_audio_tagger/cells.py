"""Parse the cells of a dataset into `Media`.

`datasets` passes a video or a sound in many forms: a path or URL, its bytes, a ``{path, bytes}`` struct, an
``{array, sampling_rate}`` of samples, a decoder object of its own, or a list of these. All other modules
handle only the few kinds of `Media`.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np
import pyarrow as pa

from .compat.datasets_calls import encoded_file
from .errors import ColumnError, MediaError
from .text import hide_secrets

MOST_SHOWN = 100  # characters of a cell in an error
COLUMNS = ("video", "videos", "audio")  # searched for media, in this order


@dataclass(frozen=True)
class FileMedia:
    """A local path, or a URL that fsspec can open (``https://``, ``hf://``, ``s3://``, ...)."""

    path: str

    @property
    def name(self) -> str:
        """For errors: of a web address without its query, which may sign it."""
        return hide_secrets(to_utf8(self.path)) if is_url(self.path) else to_utf8(self.path)


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
    """A torchcodec ``AudioDecoder`` that `datasets` opened from an unknown source."""

    decoder: Any
    name: str = "<decoder>"


@dataclass(frozen=True)
class UnreadableMedia:
    """A value that is not a video or sound, or a clip that must not be opened. Opening it raises `error`."""

    name: str
    reason: str
    error: type[MediaError | ColumnError] = MediaError


NULL_MEDIA = UnreadableMedia("<null>", "there is no video, only a null in the list.")
CELL_NAME = "<cell>"  # of a value without a path

Media = FileMedia | BytesMedia | SamplesMedia | DecoderMedia | UnreadableMedia


def read_cells(column: pa.ChunkedArray) -> list[Any]:
    """A column's cells as Python values. Cells of mixed types, which `datasets` keeps as JSON, are parsed."""
    cells: list[Any] = column.to_pylist()
    if not isinstance(column.type, pa.JsonType):
        return cells
    return [None if text is None else parse_json_cell(text) for text in cells]


def parse_json_cell(text: str) -> Any:
    """A cell of a mixed column. A value of a wrong type does not fail the other cells."""
    value = json.loads(text)
    try:
        parse_cell(value)
    except ColumnError as error:
        return {"path": text[:MOST_SHOWN], "refused": str(error).rstrip(".")}
    return value


def build_column(cells: Sequence[Any], kind: pa.DataType) -> pa.ChunkedArray:
    """The inverse of `read_cells`."""
    if isinstance(kind, pa.JsonType):
        texts = [None if cell is None else json.dumps(cell) for cell in cells]
        return pa.chunked_array([pa.array(texts, kind.storage_type).cast(kind)])
    return pa.chunked_array([pa.array(cells, type=kind)])


def parse_cells(cells: Sequence[Any]) -> list[list[Media]]:
    """The videos of each cell of a column.

    Raises `ColumnError` if no cell holds a video or sound: the column is wrong. An invalid cell among valid
    ones becomes `UnreadableMedia`.
    """
    media: list[list[Media]] = []
    errors: list[ColumnError] = []
    for cell in cells:
        try:
            media.append(parse_cell(cell))
        except ColumnError as error:
            errors.append(error)
            media.append([wrong_value(str(error))])
    if errors and len(errors) == sum(map(bool, media)):
        raise errors[0]
    return media


def parse_cell(cell: Any) -> list[Media]:
    """Every video of one cell, in order; ``[]`` for a null. Raises `ColumnError` if it has none.

    >>> parse_cell("a.mp4")
    [FileMedia(path='a.mp4')]
    >>> parse_cell([{"path": "a.mp4", "bytes": None}, "b.mp4"])
    [FileMedia(path='a.mp4'), FileMedia(path='b.mp4')]
    """
    if is_null(cell):
        return []
    values = list(cell) if is_list_cell(cell) else [cell]
    media: list[Media] = []
    errors: list[ColumnError] = []
    for value in values:
        try:
            media.append(parse_value(value))
        except ColumnError as error:
            errors.append(error)
            media.append(wrong_value(str(error)))
    if errors and len(errors) == sum(not is_null(value) for value in values):
        raise errors[0]
    return media


def is_null(value: Any) -> bool:
    """True for None and for a struct whose path and bytes are both null, which is Arrow's null struct."""
    if value is None:
        return True
    return is_file_struct(value) and value.get("path") is None and value.get("bytes") is None


def is_list_cell(value: Any) -> bool:
    """True for a list of videos. An array of numbers is one sound, and is rejected later."""
    if isinstance(value, np.ndarray):
        return value.dtype == object or value.dtype.kind in "US"
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray, memoryview))


def is_file_struct(value: Any) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping) and bool({"path", "bytes"} & set(value)) and "array" not in value


def is_samples_struct(value: Any) -> bool:
    return isinstance(value, Mapping) and "array" in value and "sampling_rate" in value


def parse_value(value: Any) -> Media:
    """One video or sound, even if its content is invalid; raises `ColumnError` for other values."""
    if is_null(value):
        return NULL_MEDIA
    if isinstance(value, (str, os.PathLike)):
        return parse_file(value, None)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return parse_file(None, value)
    if is_samples_struct(value):
        return parse_samples(value)
    # `datasets` keeps the struct of which it made a decoder object: reading it decodes no frame.
    struct = value if isinstance(value, Mapping) else encoded_file(value)
    if isinstance(struct, Mapping) and struct.get("refused"):  # set by `Source` and `parse_json_cell`
        return UnreadableMedia(str(struct.get("path")), f"{struct['refused']}.")
    if is_file_struct(struct):
        return parse_file(struct.get("path"), struct.get("bytes"))
    if hasattr(value, "get_samples_played_in_range"):
        return DecoderMedia(value)
    raise ColumnError(
        f"A cell of type {type(value).__name__} is no video or sound. It may hold a path or URL, bytes, "
        "{'path', 'bytes'}, {'array', 'sampling_rate'}, a decoder object of datasets, or a list of these. "
        "Where datasets or a transform decodes the column first, map over ds.with_format(None), "
        "or over ds.decode(False) in streaming."
    )


def parse_single(value: Any) -> Media:
    """One video or sound; a value that is neither is an unreadable one."""
    try:
        return parse_value(value)
    except ColumnError as error:
        return wrong_value(str(error))


def wrong_value(reason: str, name: str = CELL_NAME) -> UnreadableMedia:
    return UnreadableMedia(name, reason, ColumnError)


def parse_file(path: Any, data: Any) -> Media:
    name = make_name(path, "<bytes>" if path is None else "<path>")
    if path is not None and not isinstance(path, (str, bytes, os.PathLike)):
        return wrong_value(f"'path' must be a text; got {type(path).__name__}.", name)
    if data is not None and not isinstance(data, (bytes, bytearray, memoryview)):
        return wrong_value(f"'bytes' must be the bytes of a file; got {type(data).__name__}.", name)
    if data is not None:
        return BytesMedia(bytes(data), name)
    return NULL_MEDIA if path is None else FileMedia(os.fsdecode(path))


def parse_samples(value: Mapping[str, Any]) -> Media:
    if value["array"] is None:
        return NULL_MEDIA
    name = make_name(value.get("path"), "<samples>")
    try:
        samples = np.asarray(value["array"])
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists; a tensor on a GPU
        return wrong_value(f"'array' must be an array of numbers ({error}).", name)
    rate = value["sampling_rate"]
    rate_hz = parse_integer(0 if rate is None else rate)
    if rate_hz is None:
        return wrong_value(f"'sampling_rate' must be a whole number of Hz; got {rate!r:.100}.", name)
    if samples.ndim == 2 and samples.shape[0] > samples.shape[1]:
        samples = samples.T  # (samples, channels), as soundfile returns them
    return SamplesMedia(samples, rate_hz, name)


def parse_integer(value: Any) -> int | None:
    """An integer of any library, or a float without a fraction; else None."""
    try:
        number = int(value)
        return number if bool(number == value) else None
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None


def make_name(path: Any, default: str) -> str:
    """A clip's name in errors: its path, if it has one."""
    return (to_utf8(path) if isinstance(path, (str, bytes, os.PathLike)) else "") or default


def to_utf8(path: str | bytes | os.PathLike[Any]) -> str:
    """A path as Arrow can store it in an error: Linux allows names that are not UTF-8."""
    return os.fsdecode(path).encode("utf-8", "backslashreplace").decode("utf-8")


def is_url(path: str) -> bool:
    """True for a URL that fsspec opens: ``scheme://``, also chained as ``zip://a.mp4::https://...``."""
    return "://" in path or "::" in path
