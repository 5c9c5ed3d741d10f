"""`Measure`: the base of maps that add one value for each video, such as a motion score."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, get_args

import pyarrow as pa

from ..activity import add_clips, expect_clips
from ..cells import Media, UnreadableMedia, is_list_cell, parse_cell, parse_cells
from ..checks import check_choice, invalid
from ..choices import OnError
from ..compat.datasets_calls import Fingerprinted
from ..errors import ColumnError, MediaError, transportable
from ..media.failures import convert_clip_errors
from ..memo.contents import Contents
from ..process import check_rank

if TYPE_CHECKING:
    from datasets import Features

    from ..rows import Rows

T = TypeVar("T")


def without_effect(default: T) -> T:
    """A field of a measure that changes no value, and so is no part of the fingerprint."""
    value: T = field(default=default, metadata={"has_effect": False})
    return value


@dataclass(frozen=True)
class Measured:
    """The value of one video, or the reason why it has none."""

    value: Any = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Measure(Fingerprinted, ABC):
    """A callable for `map` that adds a typed column: in each row a list with one value for each video.

    A subclass names the column and its values' type, and measures one video. It raises `MediaError` for a
    video that it cannot measure. Its fields are its settings, and part of the fingerprint unless they are
    declared with `without_effect`. `version` is raised when the same settings give other values. Where values
    depend on the bytes of videos alone, `of_content` lets files with the same ones share theirs.

    >>> @dataclass(frozen=True, kw_only=True)
    ... class NameLength(Measure):
    ...     name: ClassVar[str] = "video_name_length"
    ...     value_type: ClassVar[pa.DataType] = pa.int64()
    ...
    ...     def measure(self, media):
    ...         return len(media.name)
    >>> NameLength().compute(["a.mp4", "long.mp4"])
    [5, 8]
    >>> ds = ds.map(NameLength(), num_proc=2)  # doctest: +SKIP

    `column` is the column with the videos, by default the first of "video", "videos", "audio". With
    `on_error="record"`, a video that cannot be measured has a null, and the reason in the column
    `<output_column>_error`.
    """

    name: ClassVar[str]  # of the column that is added, unless `output_column` gives another
    value_type: ClassVar[pa.DataType]
    version: ClassVar[int] = 1
    of_content: ClassVar[bool] = False  # a value does not depend on the video's name

    column: str | None = None
    output_column: str | None = None
    on_error: OnError = "raise"
    batched: bool | None = without_effect(None)

    def __post_init__(self) -> None:
        check_choice("on_error", self.on_error, get_args(OnError))
        for setting in ("column", "output_column"):
            value = getattr(self, setting)
            if value is not None and not (isinstance(value, str) and value):
                raise invalid(setting, value, "a column's name or None")
        if self.batched not in (None, True, False):
            raise invalid("batched", self.batched, "True, False or None")

    @abstractmethod
    def measure(self, media: Media) -> Any:
        """The value of one video; raises `MediaError` where it has none."""

    def __call__(self, rows: Any, rank: int | None = None) -> Any:
        """Measure a row or a batch, as `map` passes them; returns the new columns."""
        from ..rows import read_rows  # imports `datasets`

        try:
            check_rank(rank)
            return self._measure_rows(read_rows(rows, self.column, self.batched))
        except Exception as error:
            raise transportable(error) from error.__cause__

    def compute(self, video: Any) -> Any:
        """The value of one video, or of each of a list: a path, URL, bytes, or whatever a cell may hold."""
        values = [one.value for one in self.measure_all(parse_cell(video))]
        return values if is_list_cell(video) or not values else values[0]

    def features(self, features: "Features") -> "Features":
        """The schema of a dataset after the map."""
        from datasets import Features

        values, errors = self._types().items()
        types = [values] if self.on_error == "raise" else [values, errors]
        return Features({**features, **Features.from_arrow_schema(pa.schema(types))})

    def identity(self) -> tuple[Hashable, ...]:
        """Everything that can change a value. A map's fingerprint is computed from this."""
        cls = type(self)
        # A notebook's own class is pickled with its code, so that an edited one is another measure.
        kind: Hashable = cls if cls.__module__ == "__main__" else f"{cls.__module__}.{cls.__qualname__}"
        settings = tuple(
            (one.name, value)
            for one in fields(self)
            if one.metadata.get("has_effect", True) and (value := getattr(self, one.name)) != one.default
        )
        return "hf_audio_tagger", kind, self.version, settings

    def hash_key(self) -> tuple[Hashable, ...]:
        return self.identity()

    def measure_all(self, media: Sequence[Media]) -> list[Measured]:
        """One result for each video, in order. The same video is measured once."""
        contents = Contents()
        measured: dict[Hashable, Measured] = {}
        results = []
        expect_clips(len(media))
        for one in media:
            content = (contents.identify(one) if self.of_content else None) or one
            named = content, one.name  # an error names its own file
            found = measured.get(content) or measured.get(named) or self._measure_one(one)
            measured[named if found.error else content] = found
            results.append(found)
            add_clips(1)
        return results

    def _measure_one(self, media: Media) -> Measured:
        try:
            if isinstance(media, UnreadableMedia):
                raise media.error(f"{media.name}: {media.reason}")
            with convert_clip_errors(media.name):
                return Measured(self.measure(media))
        except (MediaError, ColumnError) as error:
            if self.on_error == "raise":
                raise
            return Measured(error=str(error))

    def _measure_rows(self, rows: "Rows") -> Any:
        media = parse_cells(rows.cells)
        results = iter(self.measure_all([one for row_media in media for one in row_media]))
        by_row = [[next(results) for _ in row_media] for row_media in media]
        values, errors = self._types()
        columns = {
            values: [[one.value for one in row] for row in by_row],
            errors: [[one.error for one in row] for row in by_row],
        }
        # Errors of former values that are replaced now are replaced, too.
        if self.on_error == "raise" and rows.get_column(errors) is None:
            del columns[errors]
        return rows.build_output(columns, self._types())

    def _types(self) -> dict[str, pa.DataType]:
        """The columns that may be added: values, errors."""
        name = self.output_column or self.name
        return {name: pa.list_(self.value_type), f"{name}_error": pa.list_(pa.string())}
