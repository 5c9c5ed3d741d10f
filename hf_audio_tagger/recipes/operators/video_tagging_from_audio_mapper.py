"""The operator `video_tagging_from_audio_mapper`: what each video sounds like, under `__dj__meta__`.

As in Data-Juicer, the tag is the best label for the first channel of the first audio stream, "EMPTY"
without such a stream, and a sample that has the tags keeps them. Where Data-Juicer drops a sample
with a video that cannot be read, the sample is kept here, with null in that video's place; and a
null in place of the tags, which a parquet file has for samples without any, counts as no tags.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datasets import Dataset, Features, Json, List, Value

from ...cells import CELL_NAME, is_list_cell, parse_cell
from ...errors import ColumnError, SettingsError
from ...scores import EMPTY
from ...settings import DEFAULT_MODEL, TAG_COLUMN
from ...tagger import Tagger, build_tagger
from ..contract import META, Failure, Note, Operator, Outcome, check_options
from ..recipe import Recipe, flag_of, name_of

NAME = "video_tagging_from_audio_mapper"
OPTIONS = frozenset(
    {"hf_ast", "trust_remote_code", "tag_field_name", "video_key", "skip_op_error", "accelerator"}
)
ACCELERATORS = {
    None: None,
    "cuda": None,
    "cpu": "cpu",
}  # to devices; None is a CUDA device where there is one

BATCH_SAMPLES = 64
VIDEOS = "videos"  # columns of the tables that the tagger sees
ERRORS = "video_audio_error"
NULL = Value("null")
REASONS = "__hf_audio_tagger_errors__"  # a column that is gone before the samples are exported


def build(options: Mapping[str, Any], recipe: Recipe, note: Note) -> Operator:
    """The operator with a recipe's options."""
    check_options(NAME, options, OPTIONS, note)
    said = {name: value for name, value in options.items() if value is not None}
    accelerator = said.get("accelerator")
    if accelerator not in ACCELERATORS:
        raise SettingsError(f"{NAME}: accelerator={accelerator!r} cannot be; it is cpu or cuda.")
    tagger = build_tagger(
        name_of(said, "hf_ast", DEFAULT_MODEL),
        trust_remote_code=flag_of(said, "trust_remote_code", False),
        column=VIDEOS,
        channels="first",
        device=ACCELERATORS[accelerator],
        batched=True,
        on_error="record" if flag_of(said, "skip_op_error", recipe.skip_errors) else "raise",
    )
    video_key = name_of(said, "video_key", recipe.video_key)
    return TagVideos(tagger, video_key, name_of(said, "tag_field_name", TAG_COLUMN))


@dataclass(frozen=True)
class TagVideos:
    """The samples with their tags added."""

    tagger: Tagger
    video_key: str
    field: str

    def __call__(self, samples: Dataset, processes: int) -> Outcome:
        tagged = samples.map(
            self.tag_batch,
            batched=True,
            batch_size=BATCH_SAMPLES,
            num_proc=processes if processes > 1 else None,
            features=self.features(samples.features),
            load_from_cache_file=False,  # a video may have changed since, and a failure may be mended
            desc=NAME,
        )
        counts, failures = self.account(tagged)
        return Outcome(tagged.remove_columns(REASONS), counts, failures)

    def features(self, features: Features) -> Features:
        """The schema afterwards. Structs that differ from sample to sample stay JSON."""
        meta = features.get(META, NULL)
        meta = {} if meta == NULL else meta
        if not isinstance(meta, (dict, Json)):
            raise ColumnError(f"{META} is of type {meta}; it is a struct, as Data-Juicer writes it.")
        if isinstance(meta, dict):
            meta = {**meta, self.field: List(Value("string"))}
        return Features({**features, META: meta, REASONS: List(Value("string"))})

    def tag_batch(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """What `map` calls: the batch's meta with tags, and the errors of what was heard now."""
        count = len(next(iter(batch.values())))
        cells = batch[self.video_key] if self.video_key in batch else [None] * count
        metas = [meta or {} for meta in batch[META]] if META in batch else [{}] * count
        known = [complete(meta.get(self.field)) for meta in metas]
        heard = self.tagger({VIDEOS: list(cells), TAG_COLUMN: known, ERRORS: [None] * count})
        return {
            META: [{**meta, self.field: tags} for meta, tags in zip(metas, heard[TAG_COLUMN], strict=True)],
            REASONS: list(heard[ERRORS]),  # null for samples that were left alone
        }

    def account(self, tagged: Dataset) -> tuple[dict[str, int], tuple[Failure, ...]]:
        """Count the samples, and list the videos that could not be read."""
        counts = Counter({"tagged": 0, "already tagged": 0, EMPTY: 0, "failed": 0})
        failures: list[Failure] = []
        columns = [name for name in (self.video_key, META, REASONS) if name in tagged.column_names]
        for place, sample in enumerate(tagged.select_columns(columns)):
            reasons = sample[REASONS]
            if reasons is None:
                counts["already tagged"] += 1
                continue
            failed = [number for number, reason in enumerate(reasons) if reason is not None]
            names = names_in(sample[self.video_key]) if failed else []
            failures += [Failure(place, names[number], reasons[number]) for number in failed]
            counts["failed" if failed else "tagged"] += 1
            counts[EMPTY] += EMPTY in sample[META][self.field]
        return dict(counts), tuple(failures)


def names_in(cell: Any) -> list[str]:
    """What the videos of a cell are called, also where it holds none."""
    try:
        return [media.name for media in parse_cell(cell)]
    except ColumnError:
        return [CELL_NAME]


def complete(tags: Any) -> Sequence[Any] | None:
    """Tags that are there for every video; None where a run before this one failed on one of them."""
    return tags if is_list_cell(tags) and None not in tags else None
