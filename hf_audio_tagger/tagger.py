"""`build_tagger` and `Tagger`: rows in, columns out."""

import os
from collections.abc import Hashable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from datasets import Features
from datasets.features.features import generate_from_arrow_type
from datasets.utils._dill import pklregister

from . import memo
from .cells import Media, is_list_cell, media_of_cell, media_of_cells
from .columns import (
    Column,
    all_columns,
    embedding_column,
    error_column,
    segments_column,
    tag_column,
    top_column,
)
from .errors import ModelError, transportable
from .models import ModelSpec, identify_model
from .process import check_rank, core_share
from .rows import Rows, read_rows
from .scores import EMPTY, ClipResult, ScoreSum
from .settings import check_settings

if TYPE_CHECKING:
    from .models.model import AudioModel
    from .pipeline import ClipEnd, Plan

DEFAULT_MODEL = "MIT/ast-finetuned-audioset-10-10-0.4593"
TAG_COLUMN = "video_audio_tags"

# Raised by one when the same settings would no longer give the same columns: cached maps are then redone.
ALGORITHMS_VERSION = 1

# These reach the workers but cannot change what a column holds, so they are no part of a fingerprint.
WITHOUT_EFFECT = frozenset({"token", "batched", "batch_size", "device"})

MOST_DECODE_THREADS = 16


@dataclass(frozen=True)
class Tagger:
    """What `map` calls. Holds settings only; the model is loaded once in each process.

    Made by `build_tagger`, whose arguments these are.

    >>> tagger = build_tagger("demo")
    >>> tagger.tag("clip.mp4")  # doctest: +SKIP
    'Siren'
    """

    model: str = DEFAULT_MODEL
    revision: str | None = None
    trust_remote_code: bool = False
    token: str | bool | None = field(default=None, repr=False)
    weights: str | None = None
    column: str | None = None
    tag_column: str = TAG_COLUMN
    windows: str | int | None = None
    hop_seconds: float | None = None
    top_k: int | None = None
    threshold: float | None = None
    segments: bool = False
    embeddings: bool = False
    channels: str = "mean"
    decoder: str = "auto"
    device: str | None = None
    dtype: str = "float32"
    engine: str = "torch"
    batch_size: int = 16
    batched: bool | None = None
    on_error: str = "raise"
    redo: bool = False

    def __post_init__(self) -> None:
        check_settings(self)

    def __call__(self, rows: Any, rank: int | None = None) -> Any:
        """What `map` calls with a row or a batch; gives back the new columns."""
        try:
            check_rank(rank)
            return self._tag_rows(read_rows(rows, self.column, self.batched), rank)
        except Exception as error:
            raise transportable(error) from error.__cause__

    def tag(self, video: Any) -> Any:
        """The tag of one video, or of each of a list: a path, URL, bytes, samples, a decoder object.

        >>> build_tagger("demo").tag(["a.mp4", "b.mp4"])  # doctest: +SKIP
        ['Siren', 'EMPTY']
        """
        tags = [result.tag for result in self.classify(video)]
        return tags if is_list_cell(video) or not tags else tags[0]

    def classify(self, video: Any) -> list[ClipResult]:
        """All that was asked for, of one video or of each of a list: tag, top, segments, embedding.

        >>> build_tagger("demo", top_k=2).classify("a.mp4")[0].top  # doctest: +SKIP
        (('Siren', 0.98), ('Chirp tone', 0.04))
        """
        return self._hear(media_of_cell(video), None)

    @property
    def labels(self) -> tuple[str, ...]:
        """The model's class names by index. Reads its config, not its weights."""
        from .models import read_labels

        return read_labels(self.spec)

    @property
    def spec(self) -> ModelSpec:
        """The part of the settings that says which model to load."""
        return ModelSpec(**{setting.name: getattr(self, setting.name) for setting in fields(ModelSpec)})

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that are added, in order."""
        chosen = {
            tag_column: True,
            top_column: self.top_k is not None,
            segments_column: self.segments,
            embedding_column: self.embeddings,
            error_column: self.on_error == "record",
        }
        return tuple(column(self.tag_column) for column, is_asked in chosen.items() if is_asked)

    def features(self, features: Features) -> Features:
        """The schema of a dataset after the map.

        >>> from datasets import Features, Value
        >>> list(build_tagger("demo").features(Features({"video": Value("string")})))
        ['video', 'video_audio_tags']
        """
        added = {column.name: generate_from_arrow_type(column.type) for column in self.columns}
        return Features({**features, **added})

    def identity(self, leaving_out: frozenset[str] = frozenset()) -> tuple[Hashable, ...]:
        """What can change a column's content, and nothing else: the fingerprint is made of this.

        Args:
            leaving_out: settings that make no difference to the caller.
        """
        other = WITHOUT_EFFECT | {setting.name for setting in fields(ModelSpec)} | leaving_out
        settings = tuple(
            (setting.name, getattr(self, setting.name))
            for setting in fields(self)
            if setting.name not in other and (setting.name != "redo" or self.redo)
        )
        return ("hf_audio_tagger", ALGORITHMS_VERSION, identify_model(self.spec, self.device), settings)

    def _tag_rows(self, rows: Rows, rank: int | None) -> Any:
        """Hear the rows that are not tagged yet, and answer with the columns of all."""
        existing = self._existing(rows)
        columns = [column for column in all_columns(self.tag_column) if column.name in existing]
        done = self._done(existing, len(rows.cells))
        media = media_of_cells(
            [None if is_kept else cell for is_kept, cell in zip(done, rows.cells, strict=True)]
        )
        results = iter(self._hear([one for of_row in media for one in of_row], rank))
        by_row = [[next(results) for _ in of_row] for of_row in media]
        values = {column.name: list(existing[column.name] or [None] * len(done)) for column in columns}
        for column in columns:
            for place, row_results in enumerate(by_row):
                if not done[place]:
                    values[column.name][place] = [column.entry(result) for result in row_results]
        return rows.answer(values, {column.name: column.type for column in columns})

    def kept_rows(self, table: pa.Table) -> list[bool]:
        """Which rows of a table are tagged, and keep what they have."""
        return self._done(self._existing(Rows(table, True, [])), len(table))

    def _existing(self, rows: Rows) -> dict[str, list[Any] | None]:
        """What rows have in each column of the answer.

        One that is not asked for is among these where it would tell of tags that are replaced: the error of
        a row that now succeeds and, where all is done again, all columns of the former tags.
        """
        existing = {column.name: rows.existing(column.name) for column in self.columns}
        others = all_columns(self.tag_column) if self.redo else [error_column(self.tag_column)]
        for column in others:
            if column.name not in existing and (values := rows.existing(column.name)) is not None:
                existing[column.name] = values
        return existing

    def _done(self, existing: dict[str, list[Any] | None], count: int) -> list[bool]:
        errors = error_column(self.tag_column).name
        return [not self.redo and is_done(existing, errors, place) for place in range(count)]

    def _hear(self, media: Sequence[Media], rank: int | None) -> list[ClipResult]:
        """A result for each, in order. A clip that was heard before, or stands twice, is heard once."""
        if not media:
            return []
        identity = self.identity()
        keys = [memo.key_of(one, identity) for one in media]
        clips = [place if key is None else key for place, key in enumerate(keys)]  # without a key, its own
        known = {clip: result for clip, key in zip(clips, keys, strict=True) if (result := memo.recall(key))}
        missing: dict[Hashable, int] = {}  # each clip's first place
        for place, clip in enumerate(clips):
            if clip not in known:
                missing.setdefault(clip, place)
        new = self._hear_new([media[place] for place in missing.values()], rank)
        for (clip, place), result in zip(missing.items(), new, strict=True):
            known[clip] = result
            memo.keep(keys[place], result)
        return [known[clip] for clip in clips]

    def _hear_new(self, media: list[Media], rank: int | None) -> list[ClipResult]:
        """Run the pipeline over clips and fold what it says into a result each."""
        if not media:
            return []
        from .models import get_model
        from .pipeline import ClipEnd, run_pipeline

        model = get_model(self.spec, self.device, rank)
        if self.embeddings and model.embedding_size is None:
            raise ModelError(f"The model {self.model!r} has no classifier to take embeddings before.")
        if not model.labels and (not self.embeddings or self.top_k or self.segments):
            raise ModelError(
                f"The weights of {self.model!r} have no classifier, so they name no sounds. Ask for "
                "embeddings=True alone (the tags are then null), or pass weights with a classifier."
            )
        results: list[ClipResult] = []
        scores = ScoreSum(model.labels, model.multi_label, self.segments)
        with closing(run_pipeline(media, model, self.plan(model))) as events:
            for event in events:
                if not isinstance(event, ClipEnd):
                    scores.add(
                        event.spans, event.output.logits, event.output.embeddings if self.embeddings else None
                    )
                    continue
                if event.error is not None and self.on_error == "raise":
                    raise event.error
                results.append(self._close(event, scores))
                scores = ScoreSum(model.labels, model.multi_label, self.segments)
        return results

    def _close(self, event: "ClipEnd", scores: ScoreSum) -> ClipResult:
        """The result on a clip whose windows are all heard."""
        if event.error is not None:
            return ClipResult(None, error=str(event.error))
        if event.silent:
            return ClipResult(
                EMPTY,
                top=None if self.top_k is None else (),
                segments=() if self.segments else None,
            )
        return scores.result(self.top_k, self.threshold)

    def plan(self, model: "AudioModel") -> "Plan":
        """How this tagger listens with a loaded model: its settings, or the model's own where it has none."""
        from .pipeline import Plan

        hop_samples = model.hop_samples
        if self.hop_seconds is not None:
            hop_samples = max(1, round(self.hop_seconds * model.rate_hz))
        return Plan(
            windows=self.windows or model.default_windows,
            hop_samples=hop_samples,
            channels=self.channels,
            decoder=self.decoder,
            batch_size=self.batch_size,
            decode_threads=min(MOST_DECODE_THREADS, core_share()),
        )


def is_done(existing: dict[str, list[Any] | None], errors: str, place: int) -> bool:
    """A row is tagged: every column that is asked for is there with a value, and no error is recorded."""
    if any(column is None for column in existing.values()):
        return False
    values = {name: column[place] for name, column in existing.items() if column is not None}
    recorded = values.pop(errors, None) or []
    return all(error is None for error in recorded) and all(value is not None for value in values.values())


@pklregister(Tagger)
def _save_identity(pickler: Any, tagger: Tagger) -> None:
    """How `datasets` sees a tagger when it hashes it: what can change an output. Pickle carries all."""
    pickler.save_reduce(tuple, (tagger.identity(),), obj=tagger)


def build_tagger(
    model: str | os.PathLike[str] = DEFAULT_MODEL,
    *,
    revision: str | None = None,
    trust_remote_code: bool = False,
    token: str | bool | None = None,
    weights: str | os.PathLike[str] | None = None,
    column: str | None = None,
    tag_column: str = TAG_COLUMN,
    windows: str | int | None = None,
    hop_seconds: float | None = None,
    top_k: int | None = None,
    threshold: float | None = None,
    segments: bool = False,
    embeddings: bool = False,
    channels: str = "mean",
    decoder: str = "auto",
    device: str | None = None,
    dtype: str = "float32",
    engine: str = "torch",
    batch_size: int = 16,
    batched: bool | None = None,
    on_error: str = "raise",
    redo: bool = False,
) -> Tagger:
    """A callable for `datasets.map` that adds what each video sounds like.

    Args:
        model: a Hub id or local folder of any audio classification model of transformers, "yamnet",
            "vggish", or "demo" (packaged, works offline, not for real data).
        revision: the branch, tag or commit of a Hub model.
        trust_remote_code: run code that comes with a Hub model.
        token: for private or gated models; never printed, stored or hashed.
        weights: file or URL of the weights of "yamnet" or "vggish".
        column: where the videos are; by default the first of "video", "videos", "audio" that a row has.
        tag_column: the column to add; the names of the others begin like it.
        windows: what to hear: "first" window, "all" windows, or n spread evenly. Default: the model's own.
        hop_seconds: from window to window with "all". Default: the model's own.
        top_k: add the k best labels with their scores.
        threshold: keep only labels of at least this score in the top_k column.
        segments: add which label leads from when to when.
        embeddings: add the pooled state before the classifier.
        channels: "mean" of all channels, or the "first".
        decoder: "auto", "torchcodec", "pyav" or "decord".
        device: such as "cpu" or "cuda:1". Default: a CUDA device by the worker's rank, else the CPU.
        dtype: "float32", "bfloat16", "float16", or "auto" (bfloat16 where the hardware has it).
        engine: "torch", or "openvino" for CPUs.
        batch_size: stretches of about ten seconds that the model hears at once.
        batched: whether `map` hands over batches; needed only where it cannot be told.
        on_error: "raise", or "record" the reason in a column and go on.
        redo: hear rows again that are tagged, and replace all that a tagger has said of them.

    >>> tagger = build_tagger("demo")
    >>> ds = ds.map(tagger, num_proc=4)  # doctest: +SKIP
    >>> ds["video_audio_tags"][0]  # doctest: +SKIP
    ['Siren']
    """
    settings = {
        **locals(),
        "model": os.fspath(model),
        "weights": None if weights is None else os.fspath(weights),
    }
    return Tagger(**settings)
