"""`build_tagger` and `Tagger`: rows in, columns out."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

import numpy as np
import pyarrow as pa

from . import memo, models
from .activity import expect_clips
from .cells import Media, is_list_cell, parse_cell, parse_cells, parse_single
from .checks import find_near
from .columns import Column, all_columns, error_column
from .compat.datasets_calls import Fingerprinted
from .compat.other_libraries import called_by_pool
from .errors import ModelError, SettingsError, transportable
from .media.decoders import check_decoder
from .models import ModelSpec
from .models.registry import (
    check_has_labels,
    check_spec,
    explain_missing_labels,
    find_family,
    resolve_family,
)
from .process import check_rank, core_share, pick_device
from .scores import EMPTY, ClipResult, ScoreSum
from .settings import (
    ABOUT,
    DEFAULT_MODEL,
    Settings,
    changed_settings,
    get_setting,
    identify_settings,
    name_fields,
    takes_settings,
)
from .thresholds import pick_thresholds, read_thresholds

if TYPE_CHECKING:
    from datasets import Features

    from .chunks import PipelineOptions
    from .models.family import AudioModel
    from .rows import Rows

# Increased when the same settings give different columns, which invalidates cached maps.
ALGORITHMS_VERSION = 1

MOST_DECODE_THREADS = 16

_unusable: "dict[Tagger, Exception]" = {}  # the last tagger of a fingerprint, and why it cannot be used here

CALLED_BY_USERS = ("classify", "embed_texts", "features", "labels", "tag")


@dataclass(frozen=True)
class Tagger(Fingerprinted, Settings):
    """A callable for `map`, made by `build_tagger`. Holds settings only; each process loads the model once.

    >>> tagger = build_tagger("demo")
    >>> ds = ds.map(tagger, batched=True, batch_size=64)  # doctest: +SKIP
    >>> tagger.tag("clip.mp4")  # doctest: +SKIP
    'Siren'
    """

    if TYPE_CHECKING:  # `Settings` accepts any path here and keeps it as text
        model: str = DEFAULT_MODEL
        weights: str | None = field(default=None, kw_only=True)
        threshold: float | str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_spec(self.spec)
        self._check_hop()
        if self._needs_labels:
            check_has_labels(self.spec)

    @property
    def _needs_labels(self) -> bool:
        """Whether a column besides the embeddings is of use: a model without labels has no other."""
        return not self.embeddings or self.top_k is not None or self.segments

    def _check_hop(self) -> None:
        windows = self.windows or find_family(self.model).default_windows
        if self.hop_seconds is not None and windows == "first":
            which = (
                "windows='first'"
                if self.windows
                else f"the default windows of {self.model!r}, the first alone"
            )
            raise SettingsError(
                f'hop_seconds= is the step from window to window and needs windows="all"; with {which}, it '
                "would have no effect."
            )

    def __repr__(self) -> str:
        """The settings that differ from their defaults, without secrets.

        >>> build_tagger("demo", top_k=3, token="hf_secret")
        Tagger(model='demo', top_k=3)
        """
        shown = (f"{name}={value!r}" for name, value in changed_settings(self).items())
        return f"{type(self).__name__}({', '.join(shown)})"

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """Refuse to go to a map's workers if `check_machine` has failed: each of them would fail likewise."""
        if self in _unusable and called_by_pool():
            raise _unusable[self]
        return super().__reduce_ex__(protocol)

    def hash_key(self) -> tuple[Hashable, ...]:
        """What a map's fingerprint depends on: only what can change its output.

        `map` asks for it before it starts workers, and ignores errors; they are kept for `__reduce_ex__`.
        """
        _unusable.clear()
        try:
            self.check_machine()
            # What a subclass adds may change an output, too.
            own = () if type(self) is Tagger else (type(self), vars(self))
            return *own, *self.identity()
        except Exception as error:
            _unusable[self] = error
            raise

    def __dir__(self) -> list[str]:
        """What is called by users, for completion."""
        return [*CALLED_BY_USERS]

    def check_machine(self) -> None:
        """Raise an error if this machine lacks what the settings name: a device, a library, a model's files.

        Maps and runs do so before they start workers.

        >>> build_tagger("demo", device="cpu", decoder="pyav").check_machine()
        """
        check_decoder(self.decoder)
        models.check_machine(self.spec, self.device)
        self.identity()

    def __call__(self, rows: Any, rank: int | None = None) -> Any:
        """Tag a row or a batch, as `map` passes them; returns the new columns."""
        from .rows import read_rows  # imports `datasets`, which takes longer than YAMNet does for a clip

        try:
            check_rank(rank)
            return self._tag_rows(read_rows(rows, self.column, self.batched), rank)
        except Exception as error:
            raise transportable(error) from error.__cause__

    @overload
    def tag(self, video: list[Any] | tuple[Any, ...] | None) -> list[str | None]: ...

    @overload
    def tag(self, video: Any) -> str | None: ...

    def tag(self, video: Any) -> str | list[str | None] | None:
        """The tag of one video, or of each of a list: a path, URL, bytes, samples, a decoder object.

        >>> build_tagger("demo").tag(["a.mp4", "b.mp4"])  # doctest: +SKIP
        ['Siren', 'EMPTY']
        """
        tags = [result.tag for result in self.classify(video)]
        return tags if is_list_cell(video) or not tags else tags[0]

    def classify(self, video: Any) -> list[ClipResult]:
        """The result of one video, or of each of a list: tag, and top, segments, embedding if requested.

        >>> build_tagger("demo", top_k=2).classify("a.mp4")[0].top  # doctest: +SKIP
        (('Siren', 0.98), ('Chirp tone', 0.04))
        """
        return self._classify(parse_cell(video), None)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """The embeddings of texts as they are, float32 (texts, size) of length 1, of a model that has them.

        Their products with the embeddings of sounds (`embeddings=True`, divided by their length) are cosines.

        >>> build_tagger("laion/clap-htsat-unfused", embeddings=True).embed_texts(
        ...     ["a dog barks near water"]
        ... ).shape  # doctest: +SKIP
        (1, 512)
        """
        return models.embed_texts(self.spec, self.device, texts)

    def classify_each(self, videos: Iterable[Any]) -> Iterator[ClipResult]:
        """The results of any number of videos, in order, each as soon as it is ready.

        The next videos are taken and decoded while the model works. Each is read, whatever was read before.

        >>> for result in build_tagger("demo").classify_each(["a.mp4", "b.mp4"]):  # doctest: +SKIP
        ...     print(result.tag)
        Siren
        EMPTY
        """
        return self._classify_stream(map(parse_single, videos), None, prompt=True)

    @property  # type: ignore[misc]  # the setting is the field `label_texts`
    def labels(self) -> tuple[str, ...]:
        """The class names by index: the model's own, or those of `labels=`. Reads no weights."""
        return resolve_family(self.spec).read_labels(self.spec)

    @property
    def spec(self) -> ModelSpec:
        """The settings that select the model to load."""
        return ModelSpec(**{one.name: get_setting(self, one.name) for one in fields(ModelSpec)})

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that are added, in order."""
        is_requested = {
            "tags": True,
            "top": self.top_k is not None,
            "segments": self.segments,
            "embedding": self.embeddings,
            "error": self.on_error == "record",
        }
        return tuple(column for column in all_columns(self.tag_column) if is_requested[column.kind])

    def features(self, features: "Features") -> "Features":
        """The schema of a dataset after the map.

        >>> from datasets import Features, Value
        >>> list(build_tagger("demo").features(Features({"video": Value("string")})))
        ['video', 'video_audio_tags']
        """
        from datasets import Features

        added = pa.schema([(column.name, column.type) for column in self.columns])
        return Features({**features, **Features.from_arrow_schema(added)})

    def identity(self, *, tags_only: bool = False) -> tuple[Hashable, ...]:
        """Everything that can change the content of a column, or only that of the tags.

        A map's fingerprint is computed from this. Settings at their defaults are left out, so that a new
        setting does not invalidate caches and runs.
        """
        kinds = ("tags",) if tags_only else ("tags", "columns")
        settings = identify_settings(self, kinds, [one.name for one in fields(ModelSpec)])
        return (
            "hf_audio_tagger",
            ALGORITHMS_VERSION,
            models.identify_model(self.spec, self.device),
            settings,
        )

    def find_kept_rows(self, table: pa.Table) -> list[bool]:
        """Which rows of a table keep their existing tags."""
        from .rows import Rows

        return self._find_done(self._find_existing(Rows(table, True, [])), len(table))

    def _tag_rows(self, rows: "Rows", rank: int | None) -> Any:
        """The columns of all rows; rows that are already tagged keep their values."""
        existing = self._find_existing(rows)
        columns = [column for column in all_columns(self.tag_column) if column.name in existing]
        done = self._find_done(existing, len(rows.cells))
        media = parse_cells([None if kept else cell for kept, cell in zip(done, rows.cells, strict=True)])
        results = iter(self._classify([one for row_media in media for one in row_media], rank))
        row_results = [[next(results) for _ in row_media] for row_media in media]
        values = {}
        for column in columns:
            old = existing[column.name] or [None] * len(done)
            values[column.name] = [
                old[row] if done[row] else [column.entry(result) for result in its_results]
                for row, its_results in enumerate(row_results)
            ]
        return rows.build_output(values, {column.name: column.type for column in columns})

    def _find_existing(self, rows: "Rows") -> dict[str, list[Any] | None]:
        """The values that rows have in each column of the output.

        Columns that are not requested are included if they describe replaced tags: the error of a
        row that now succeeds and, with `redo`, all columns of the former tags.
        """
        existing = {column.name: rows.get_column(column.name) for column in self.columns}
        others = all_columns(self.tag_column) if self.redo else [error_column(self.tag_column)]
        for column in others:
            if column.name not in existing and (values := rows.get_column(column.name)) is not None:
                existing[column.name] = values
        return existing

    def _find_done(self, existing: dict[str, list[Any] | None], count: int) -> list[bool]:
        """Which rows have a value in every requested column, and no error in the column of errors."""
        present = {name: column for name, column in existing.items() if column is not None}
        if self.redo or len(present) < len(existing):
            return [False] * count
        errors = present.pop(error_column(self.tag_column).name, None) or [None] * count
        return [
            all(column[row] is not None for column in present.values())
            and all(error is None for error in errors[row] or ())
            for row in range(count)
        ]

    def _classify(self, media: Sequence[Media], rank: int | None) -> list[ClipResult]:
        """One result per clip, in order. Cached clips are not read, those of the same content read once."""
        if not media:
            return []
        classify = partial(self._classify_new, rank=rank)
        return memo.share_results(media, self.identity(), classify, expect_clips)

    def _classify_new(self, media: list[Media], rank: int | None) -> list[ClipResult]:
        return list(self._classify_stream(media, rank))

    def _classify_stream(
        self, media: Iterable[Media], rank: int | None, prompt: bool = False
    ) -> Iterator[ClipResult]:
        """Run the pipeline over clips and pool the scores of each clip's windows into a result.

        `prompt`: on a CPU, wait for no more windows than are computed at a time.
        """
        from .chunks import ClipEnd
        from .pipeline import run_pipeline

        model = models.get_model(self.spec, self.device, rank)
        if self.embeddings and model.embedding_size is None:
            raise ModelError(f"The model {self.model!r} has no classifier to take embeddings before.")
        if not model.labels and self._needs_labels:
            raise ModelError(explain_missing_labels(self.spec))
        options = self.pipeline_options(model)
        if prompt and pick_device(self.device, rank) == "cpu":
            options = replace(options, batch_size=min(options.batch_size, core_share()))
        threshold = self._read_threshold(model.labels)
        scores = ScoreSum(model.labels, model.multi_label, self.segments)
        with closing(run_pipeline(media, model, options)) as events:
            for event in events:
                if not isinstance(event, ClipEnd):
                    embeddings = event.output.embeddings if self.embeddings else None
                    scores.add(event.spans, event.output.logits, embeddings)
                    continue
                if event.error is not None and self.on_error == "raise":
                    raise event.error
                if event.error is not None:
                    yield ClipResult(None, error=str(event.error))
                elif event.has_sound:
                    yield scores.result(self.top_k, threshold)
                else:
                    top, segments = None if self.top_k is None else (), () if self.segments else None
                    yield ClipResult(EMPTY, top, segments)
                scores = ScoreSum(model.labels, model.multi_label, self.segments)

    def _read_threshold(self, labels: Sequence[str]) -> "float | np.ndarray | None":
        """The least score in the column of top labels: one for all, or of a file one for each label."""
        if not isinstance(self.threshold, str):
            return self.threshold
        return pick_thresholds(read_thresholds(self.threshold), labels, self.threshold)

    def pipeline_options(self, model: "AudioModel") -> "PipelineOptions":
        """The options of a pipeline with a loaded model: the settings, or the model's own defaults."""
        from .chunks import PipelineOptions

        hop = None if self.hop_seconds is None else max(1, round(self.hop_seconds * model.rate_hz))
        return PipelineOptions(
            windows=self.windows or model.default_windows,
            hop_samples=hop or model.hop_samples,
            channels=self.channels,
            decoder=self.decoder,
            batch_size=self.batch_size,
            decode_threads=min(MOST_DECODE_THREADS, core_share()),
            token=self.token,
        )


@takes_settings(Settings)
def build_tagger(*model: Any, **settings: Any) -> Tagger:
    """A callable for `datasets.map` that adds what each video sounds like.

    >>> tagger = build_tagger("demo")
    >>> ds = ds.map(tagger, batched=True, batch_size=64)  # doctest: +SKIP
    >>> ds["video_audio_tags"][0]  # doctest: +SKIP
    ['Siren']

    One process with `batched=True` uses all cores of a CPU, or one GPU. `num_proc=N` pays with several GPUs,
    and where decoding or downloading is the larger part.
    """
    for name in settings:
        if name not in ABOUT:
            near = find_near(name, ABOUT)
            suggestion = f" Did you mean {near!r}?" if near else ""
            raise TypeError(f"build_tagger has no argument {name!r}.{suggestion}")
    return Tagger(*model, **name_fields(settings))
