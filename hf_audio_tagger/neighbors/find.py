"""`find`: the rows of a dataset that sound like words, or like a clip."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset, Features, Value
from datasets.utils import tqdm

from ..audioset.labels import check_dataset
from ..checks import check_counts, invalid
from ..columns import Column
from ..errors import ColumnError, SettingsError
from ..process import prepare_torch
from ..results.tagged_rows import open_rows
from ..settings import TAG_COLUMN
from ..tagger import Tagger
from .models import pick_model
from .scan import scan
from .vectors import ColumnVectors, normalize

EMBEDDING_COLUMN = Column("embedding", TAG_COLUMN).name
SCORE, ROW = "found_score", "found_row"  # the columns that are added
Texts = str | Sequence[str]


def find(
    ds: Dataset | str | os.PathLike[str],
    text: Texts | None = None,
    k: int = 20,
    *,
    without: Texts | None = None,
    like: Any = None,
    model: Tagger | str | None = None,
    column: str = EMBEDDING_COLUMN,
) -> Dataset:
    """The k rows that sound most like a text, or like a clip, best first.

    They are rows of `ds` with two more columns: `found_score`, and `found_row`, their place in `ds`. The
    score is the cosine of the row's embedding and the text's, of several texts and clips the mean. The search
    is exact; equal scores are in the order of the rows. A row with several videos has the best of their
    scores. Rows without an embedding (EMPTY, failed) are never found.

    Args:
        ds: a dataset; or a name that is opened with its metadata: what a run wrote, Parquet files, a saved
            dataset, a dataset of the Hub. `load_dataset` and `Dataset.from_parquet` leave the metadata out.
        text: what is looked for, in words, as they are; or several texts. Needs a model that has a text side.
        without: texts of what must not be there: the cosine with the nearest of them is subtracted, where it
            is above 0.
        like: a row of `ds` by its number, which is left out, or a clip: a path, URL, bytes, or whatever a
            cell may hold. Goes together with texts.
        model: what made the embeddings: a tagger, or its model's name. Default: what the metadata of `ds`
            say, which runs write (`tag_dataset`, `tag`), and `record_model` after a map.
        column: of the embeddings, as a tagger with `embeddings=True` adds it.

    >>> found = find(ds, "dog barking near water", k=5)  # doctest: +SKIP
    >>> found["found_score"][:]  # doctest: +SKIP
    [0.52, 0.47, 0.44, 0.4, 0.31]
    >>> find(ds, "rain", without="thunder")  # doctest: +SKIP
    >>> find(ds, like="clip.mp4")  # doctest: +SKIP
    """
    ds = open_rows(ds) if isinstance(ds, str | os.PathLike) else ds
    check_dataset(ds)
    check_counts(k=k)
    wanted, unwanted = as_texts("text", text), as_texts("without", without)
    if not wanted and like is None:
        raise SettingsError('find needs words or a clip: a text such as "rain", like=..., or both.')
    prepare_torch()
    vectors = ColumnVectors(ds, column)
    own_row = check_row(like, len(ds))
    parts = []
    if wanted or unwanted or (like is not None and own_row is None):
        tagger = pick_model(ds, column, model)
        if wanted or unwanted:
            parts.append(tagger.embed_texts([*wanted, *unwanted]))
        if like is not None and own_row is None:
            parts.insert(0, embed_clip(tagger, like))
    if own_row is not None:
        parts.insert(0, read_row(vectors, own_row))
    weigh = Weigh(sum(map(len, parts)) - len(unwanted), bool(unwanted))
    excluded = [] if own_row is None else [own_row]
    with tqdm(total=len(ds), unit=" rows", leave=False, desc="Searching") as bar:
        scores, rows = scan(np.concatenate(parts), vectors, k, weigh, excluded, bar.update)
    if not len(rows) and len(ds):
        warnings.warn(f"No row has an embedding in {column!r}.", stacklevel=2)
    return add_found(ds, scores, rows)


def as_texts(name: str, texts: Texts | None) -> list[str]:
    """Texts as a list. One text is not taken for a list of its letters."""
    given = [] if texts is None else [texts] if isinstance(texts, str) else texts
    is_list = isinstance(given, Sequence) and (texts is None or len(given) > 0)
    if not is_list or not all(isinstance(one, str) and one.strip() for one in given):
        raise invalid(name, texts, "a text or a list of texts")
    return list(given)


def check_row(like: Any, count: int) -> int | None:
    """The row that `like` names by its number, which may count from the end; None for anything else."""
    if isinstance(like, bool) or not isinstance(like, int | np.integer):
        return None
    if not -count <= like < count:
        raise invalid("like", like, f"a row of the dataset, of which there are {count:,}")
    return int(like) % count


def read_row(vectors: ColumnVectors, row: int) -> np.ndarray:
    """The embeddings of a row's videos, of length 1."""
    found = [values for _, values in vectors.read_chunks(row, row + 1)]
    if found:
        units, has_direction = normalize(np.concatenate(found))
        if has_direction.any():
            return units.numpy()[has_direction]
    raise ColumnError(f"like={row}: the row has no embedding in {vectors.column!r}.")


def embed_clip(tagger: Tagger, clip: Any) -> np.ndarray:
    """The embeddings of a clip, or of each of a list, of length 1."""
    found = [result.embedding for result in tagger.classify(clip)]
    made = [one for one in found if one is not None]
    if not made:
        raise SettingsError("like= has no sound to compare with.")
    units, has_direction = normalize(np.stack(made))
    return units.numpy()[has_direction]


@dataclass(frozen=True)
class Weigh:
    """Cosines with each text and clip to one score."""

    wanted: int  # the first of the cosines; the others are unwanted
    has_unwanted: bool

    def __call__(self, cosines: torch.Tensor) -> torch.Tensor:
        scores = cosines[:, : self.wanted].mean(1)
        if self.has_unwanted:
            scores = scores - cosines[:, self.wanted :].amax(1).clamp(min=0)
        return scores


def add_found(ds: Dataset, scores: np.ndarray, rows: np.ndarray) -> Dataset:
    """The rows that were found, with their scores and places."""
    kept = ds.select_columns([name for name in ds.column_names if name not in (SCORE, ROW)])
    table = kept.with_format("arrow")[rows]
    for name, values in {SCORE: pa.array(scores, pa.float32()), ROW: pa.array(rows, pa.int64())}.items():
        table = table.append_column(name, values)
    info = kept.info.copy()
    info.features = Features({**kept.features, SCORE: Value("float32"), ROW: Value("int64")})
    return Dataset(table, info=info, split=ds.split)
