"""Which models made a column of embeddings, as far as the dataset's metadata tell."""

from dataclasses import replace

from datasets import Dataset

from ..columns import Column
from ..errors import SettingsError
from ..provenance import TaggerRecord, known_records, read_provenance, rebuild_tagger, record_tagger
from ..settings import ABOUT
from ..tagger import Tagger, build_tagger

OF_MODEL = ("revision", "weights")  # settings that select a model's weights


def check_same_model(queries: Dataset, base: Dataset, column: str) -> None:
    """Refuse embeddings of different models, where the provenance of both is known."""
    for one in find_records(queries, column):
        for other in find_records(base, column):
            if difference := describe_other_model(one, other):
                raise SettingsError(
                    f"The embeddings of the queries and of the base come from different models: "
                    f"{difference}. Embed both with the same one."
                )


def find_records(ds: Dataset, column: str) -> list[TaggerRecord]:
    """The taggers whose embeddings are in a column, as far as they are known."""
    by_tags = read_provenance(ds).items()
    return [
        one
        for name, records in by_tags
        if Column("embedding", name).name == column
        for one in known_records(records)
    ]


def pick_model(ds: Dataset, column: str, model: Tagger | str | None) -> Tagger:
    """A tagger that makes embeddings as a column has them: the one that is named, or that made them.

    A model that is known not to have made them is refused.
    """
    records = find_records(ds, column)
    if model is not None:
        tagger = build_tagger(model, embeddings=True) if isinstance(model, str) else model
        for record in records:
            if difference := describe_other_model(record, record_tagger(tagger)):
                raise SettingsError(
                    f"The embeddings in {column!r} come from another model than model=: {difference}. Leave "
                    "model= out, or embed the rows with it."
                )
        return as_embedder(tagger)
    if not records:
        raise SettingsError(
            f"Nothing says which model made {column!r}: pass model=, such as the tagger of the map. "
            "record_model(ds, tagger) keeps it with the rows, as tag_dataset and `tag` do by themselves."
        )
    for other in records[1:]:
        if difference := describe_other_model(records[0], other):
            raise SettingsError(
                f"The embeddings in {column!r} come from different models: {difference}. Their cosines mean "
                "nothing: take the rows of one of them."
            )
    rebuilt = next(filter(None, map(rebuild_tagger, records)), None)
    if rebuilt is None:
        raise SettingsError(
            f"The embeddings in {column!r} come from {records[0].model}, which is not on this machine as it "
            "was then: pass model=."
        )
    return as_embedder(rebuilt)


def as_embedder(tagger: Tagger) -> Tagger:
    """The same model and windows, for embeddings alone."""
    return replace(tagger, embeddings=True, top_k=None, threshold=None, segments=False, on_error="raise")


def describe_other_model(one: TaggerRecord, other: TaggerRecord) -> str | None:
    """How two taggers' models differ; None if they are the same as far as the records tell."""
    if one.model != other.model:
        return f"{one.model} and {other.model}"
    settings = [record.settings for record in (one, other)]
    for name in OF_MODEL:
        if settings[0].get(name) != settings[1].get(name):
            return f"{name} is {settings[0].get(name)!r} and {settings[1].get(name)!r}"
    if one.model_digest and other.model_digest:
        is_same = one.model_digest == other.model_digest
        return None if is_same else f"the files of {one.model} differ"
    of_tags = [name for name, about in ABOUT.items() if about.changes == "tags"]
    is_alike = all(settings[0].get(name) == settings[1].get(name) for name in of_tags)
    if is_alike and one.digest != other.digest:
        return f"the files of {one.model} differ, or this package's algorithms have changed"
    return None  # another window or decoder gives vectors of the same kind
