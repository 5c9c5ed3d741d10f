"""The operator `video_audio_tags_filter`, which Data-Juicer lacks: keeps samples by their videos' sound.

    process:
      - video_tagging_from_audio_mapper:
      - video_audio_tags_filter: {any_of: [Vehicle], none_of: [Speech]}

A category means all below it in AudioSet's ontology: `Vehicle` is any car, train or ship. A video fulfils
the condition if it has any of `any_of`, where they are given, and none of `none_of`. By default the tags
are read, which an earlier `video_tagging_from_audio_mapper` adds. With `min_score` the scores are read, which
that mapper adds with `top_k`, and a category counts from that score on. A video without sound has no
category. Samples with a video that could not be tagged are kept, and counted as "without tags".
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ...audioset.ontology import UnknownCategoryError
from ...audioset.queries import SoundFilter, has_sound
from ...cells import is_list_cell
from ...checks import is_number
from ...columns import Column
from ...errors import SettingsError
from ...scores import EMPTY
from ...settings import TAG_COLUMN
from ..operator import META, Batch, Fields, Filter, SampleResult
from ..recipe import option, read_names, read_text, reader
from .video_tagging_from_audio_mapper import VideoTaggingFromAudioMapper

WITHOUT_TAGS = "without tags"


@dataclass
class VideoAudioTagsFilter(Filter):
    """Keeps samples whose videos have, or lack, sounds."""

    name: ClassVar[str] = "video_audio_tags_filter"
    outcomes: ClassVar[tuple[str, ...]] = (WITHOUT_TAGS,)

    any_of: tuple[str, ...] = option((), read_names)
    none_of: tuple[str, ...] = option((), read_names)
    min_score: float | None = option(
        None, reader("a number from 0 to 1", lambda value: is_number(value) and 0 <= value <= 1)
    )
    tag_field_name: str = option(TAG_COLUMN, read_text)

    def __post_init__(self) -> None:
        if not self.any_of and not self.none_of:
            raise SettingsError("any_of or none_of must name categories, as in any_of: [Vehicle].")
        try:
            self.wanted = self.build_filter(self.any_of)
            self.unwanted = self.build_filter(self.none_of)
        except UnknownCategoryError as error:
            raise SettingsError(str(error)) from error
        self.field = self.tag_field_name
        if self.min_score is not None:
            self.field = Column("top", self.tag_field_name).name

    def build_filter(self, names: tuple[str, ...]) -> SoundFilter | None:
        return has_sound(*names, min_score=self.min_score, batched=False) if names else None

    @property
    def features(self) -> dict[str, Any]:
        return {}

    def find_missing(self, meta: Collection[str]) -> str | None:
        if self.field in meta:
            return None
        mapper = VideoTaggingFromAudioMapper.name
        options = "" if self.min_score is None else " with top_k: 5, for min_score"
        named = "" if self.tag_field_name == TAG_COLUMN else f" and tag_field_name: {self.tag_field_name}"
        return (
            f"{self.name}: the samples have no {self.field!r} in {META}. Put {mapper}{options}{named} "
            f"before {self.name} in process."
        )

    def process(self, batch: Batch, existing: Fields) -> list[SampleResult]:
        metas = batch.get(META, [None] * len(existing))
        known = [self.judge(meta or {}) for meta in metas]
        return [SampleResult({}, [WITHOUT_TAGS] if None in videos else []) for videos in known]

    def keeps(self, stats: Mapping[str, Any], meta: Mapping[str, Any]) -> bool:
        return self.decide(self.judge(meta))

    def judge(self, meta: Mapping[str, Any]) -> list[bool | None]:
        """Whether each video fulfils the condition; None where it has no tags."""
        values: Any = meta.get(self.field)
        tags: Any = meta.get(self.tag_field_name)
        if not is_list_cell(values):
            return [None]
        silent = [tag == EMPTY for tag in tags] if is_list_cell(tags) else [False] * len(values)
        return [self.fulfils(*video) for video in zip(values, silent, strict=False)]

    def fulfils(self, value: Any, is_silent: bool) -> bool | None:
        if is_silent:
            return self.wanted is None
        if value is None:
            return None
        has_wanted = self.wanted is None or bool(self.wanted([value]))
        has_unwanted = self.unwanted is not None and bool(self.unwanted([value]))
        return has_wanted and not has_unwanted
