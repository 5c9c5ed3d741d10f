"""The operator `video_tagging_from_audio_mapper`: adds an audio tag per video to META.

As in Data-Juicer, the tag is the best label for the first channel of the first audio stream, "EMPTY"
without such a stream, and a sample that has tags keeps them. Data-Juicer drops a sample with an
unreadable video; here it is kept, with null as the tag of that video. Null instead of a list of tags
means untagged, as in parquet files for samples without tags.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from datasets import List, Value

from ...cells import CELL_NAME, is_list_cell, parse_cell
from ...errors import ColumnError
from ...scores import EMPTY
from ...settings import DEFAULT_MODEL, TAG_COLUMN
from ...tagger import build_tagger
from ..operator import Batch, Fields, Mapper, SampleResult
from ..recipe import one_of, option, read_flag, read_text

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

    def __post_init__(self) -> None:
        self.tagger = build_tagger(
            self.hf_ast,
            trust_remote_code=self.trust_remote_code,
            column=VIDEOS,
            channels="first",
            device="cpu" if self.accelerator == "cpu" else None,  # None: a CUDA device if available
            batched=True,
            on_error="record" if self.skip_op_error else "raise",
        )

    @property
    def features(self) -> dict[str, Any]:
        return {self.tag_field_name: List(Value("string"))}

    def process(self, batch: Batch, existing: Fields) -> list[SampleResult]:
        tags: list[Any] = [fields.get(self.tag_field_name) for fields in existing]
        # A null tag is a failure of an earlier run: all videos of the sample are tagged again.
        tags = [one if is_list_cell(one) and None not in one else None for one in tags]
        nulls = [None] * len(tags)
        cells = list(batch.get(self.video_key, nulls))
        tagged = self.tagger({VIDEOS: cells, TAG_COLUMN: tags, ERRORS: nulls})
        return [self.make_result(*row) for row in zip(cells, tagged[TAG_COLUMN], tagged[ERRORS], strict=True)]

    def make_result(self, cell: Any, tags: list[Any], errors: list[Any] | None) -> SampleResult:
        """`errors` has one entry per video; None for a sample that already has tags."""
        fields = {self.tag_field_name: tags}
        if errors is None:
            return SampleResult(fields, [ALREADY_TAGGED])
        failed = [place for place, error in enumerate(errors) if error is not None]
        names = media_names(cell) if failed else []
        outcomes = [FAILED if failed else TAGGED, *([EMPTY] if EMPTY in tags else [])]
        return SampleResult(fields, outcomes, [(names[place], errors[place]) for place in failed])


def media_names(cell: Any) -> list[str]:
    """The names of the videos in a cell, which may be empty."""
    try:
        return [media.name for media in parse_cell(cell)]
    except ColumnError:
        return [CELL_NAME]
