"""The operator `video_tagging_from_audio_mapper`: adds an audio tag per video to META.

As in Data-Juicer, the tag is the best label for the first channel of the first audio stream, "EMPTY"
without such a stream, and a sample that has tags keeps them. Data-Juicer drops a sample with an
unreadable video; here it is kept, with null as the tag of that video. Null instead of a list of tags
means untagged, as in parquet files for samples without tags.

An option that Data-Juicer's operator lacks: `top_k: 5` adds the five labels with the highest scores, as
"video_audio_top" beside "video_audio_tags".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from datasets import List, Value

from ...cells import CELL_NAME, is_list_cell, parse_cell
from ...columns import Column
from ...errors import ColumnError
from ...scores import EMPTY
from ...settings import DEFAULT_MODEL, TAG_COLUMN
from ...tagger import build_tagger
from ..operator import Batch, Fields, Mapper, SampleResult
from ..recipe import one_of, option, read_count, read_flag, read_text

TAGGED, ALREADY_TAGGED, FAILED = "tagged", "already tagged", "failed"
VIDEOS, ERRORS = "videos", "video_audio_error"  # columns of the tables passed to the tagger


@dataclass
class VideoTaggingFromAudioMapper(Mapper):
    """Adds the tag of each video to the samples' META."""

    name: ClassVar[str] = "video_tagging_from_audio_mapper"
    outcomes: ClassVar[tuple[str, ...]] = (TAGGED, ALREADY_TAGGED, EMPTY, FAILED)

    hf_ast: str = option(DEFAULT_MODEL, read_text)
    trust_remote_code: bool = option(False, read_flag)
    tag_field_name: str = option(TAG_COLUMN, read_text)
    video_key: str = option("videos", read_text)
    skip_op_error: bool = option(True, read_flag)
    accelerator: str = option("cuda", one_of("cpu", "cuda"))
    top_k: int | None = option(None, read_count)

    def __post_init__(self) -> None:
        self.tagger = build_tagger(
            self.hf_ast,
            trust_remote_code=self.trust_remote_code,
            column=VIDEOS,
            channels="first",
            device="cpu" if self.accelerator == "cpu" else None,  # None: a CUDA device if available
            batched=True,
            on_error="record" if self.skip_op_error else "raise",
            top_k=self.top_k,
        )
        # The fields of META, with the tagger's columns that fill them.
        self.fields = {self.tag_field_name: TAG_COLUMN}
        if self.top_k is not None:
            self.fields[Column("top", self.tag_field_name).name] = Column("top", TAG_COLUMN).name

    @property
    def features(self) -> dict[str, Any]:
        tops = List(List({"label": Value("string"), "score": Value("float32")}))
        return dict(zip(self.fields, (List(Value("string")), tops), strict=False))

    def process(self, batch: Batch, existing: Fields) -> list[SampleResult]:
        has_all = [self.has_all(fields) for fields in existing]
        rows: dict[str, Any] = {
            column: [fields[name] if has else None for has, fields in zip(has_all, existing, strict=True)]
            for name, column in self.fields.items()
        }
        nulls = [None] * len(existing)
        cells = list(batch.get(self.video_key, nulls))
        tagged = self.tagger({VIDEOS: cells, **rows, ERRORS: nulls})
        values = zip(*(tagged[column] for column in self.fields.values()), strict=True)
        return [self.make_result(*row) for row in zip(cells, values, tagged[ERRORS], strict=True)]

    def has_all(self, fields: Mapping[str, Any]) -> bool:
        """Whether a sample has been tagged. A null is a failure of an earlier run: all is done again."""
        values: list[Any] = [fields.get(name) for name in self.fields]
        return all(is_list_cell(value) and None not in value for value in values)

    def make_result(self, cell: Any, values: tuple[list[Any], ...], errors: list[Any] | None) -> SampleResult:
        """`errors` has one entry per video; None for a sample that already has tags."""
        fields = dict(zip(self.fields, values, strict=True))
        if errors is None:
            return SampleResult(fields, [ALREADY_TAGGED])
        failed = [place for place, error in enumerate(errors) if error is not None]
        names = media_names(cell) if failed else []
        outcomes = [FAILED if failed else TAGGED, *([EMPTY] if EMPTY in values[0] else [])]
        return SampleResult(fields, outcomes, [(names[place], errors[place]) for place in failed])


def media_names(cell: Any) -> list[str]:
    """The names of the videos in a cell, which may be empty."""
    try:
        return [media.name for media in parse_cell(cell)]
    except ColumnError:
        return [CELL_NAME]
