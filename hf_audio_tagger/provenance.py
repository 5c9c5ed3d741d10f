"""Which tagger made a column of tags, as metadata stored with the rows.

| rows | where it is written |
|---|---|
| a shard, or a .parquet joined from shards | the Parquet file's own metadata |
| a `Dataset` of a run | `ds.info.description`, which `map`, `select`, `save_to_disk` keep |
| a dataset on the Hub | the metadata of its card, by config and split |

A bare `map` writes none of these, so the origin of its tags is unknown. Two taggers are the same if all that
can change a tag is the same; other columns, and the columns' names, are ignored.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, IterableDataset

from ._version import __version__
from .audioset.labels import check_dataset
from .checks import check_types
from .errors import ColumnError, SettingsError, TaggerError
from .models import identify_model
from .models.registry import find_family
from .models.weights import is_here
from .settings import ABOUT, public_settings
from .tagger import Tagger, build_tagger

KEY = "hf_audio_tagger_provenance"
DESCRIPTION_LINE = re.compile(rf"^{KEY}: (.*)\n?", re.MULTILINE)


@dataclass(frozen=True)
class TaggerRecord:
    """The description of a tagger in metadata."""

    model: str
    settings: Mapping[str, Any]  # for display
    digest: str  # of all that can change a tag
    package_version: str
    model_digest: str | None = None  # of the model alone, which can change an embedding

    def __post_init__(self) -> None:
        texts = (self.model, self.digest, self.package_version)
        if not isinstance(self.settings, Mapping) or not all(isinstance(text, str) for text in texts):
            raise TypeError("not a record of a tagger")


# The taggers of each column of tags; None: some of its tags are of unknown origin.
Provenance = Mapping[str, Sequence[TaggerRecord | None]]


def record_tagger(tagger: Tagger) -> TaggerRecord:
    """The metadata of a tagger, without tokens and local folders."""
    shown = public_settings(tagger)
    del shown["redo"]
    digest = digest_text(repr(tagger.identity(tags_only=True)))
    return TaggerRecord(shown.pop("model"), shown, digest, __version__, digest_model(tagger))


def digest_model(tagger: Tagger) -> str:
    """The digest of a tagger's model and its weights, whatever the labels that it compares with sound."""
    bare = replace(tagger.spec, labels=None, template=None, labels_hold=None)
    return digest_text(repr(identify_model(replace(bare, dtype="float32", engine="torch"))))


def digest_text(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def rebuild_tagger(record: TaggerRecord) -> Tagger | None:
    """The tagger that a record describes; None if its files are unknown, or not on this machine.

    Metadata may be untrusted: URLs in them are not fetched.
    """
    try:
        tagger = build_tagger(record.model, **record.settings)
        release = find_family(tagger.model).release
        if release and not is_here(tagger.weights, release):
            return None
        return tagger if record_tagger(tagger).digest == record.digest else None
    except (TaggerError, TypeError, ValueError, OSError):
        return None


def known_records(records: Iterable[TaggerRecord | None]) -> list[TaggerRecord]:
    return [record for record in records if record is not None]


def deduplicate(records: Iterable[TaggerRecord | None]) -> tuple[TaggerRecord | None, ...]:
    return tuple({record and record.digest: record for record in records}.values())


def merge_provenance(parts: Sequence[Provenance]) -> Provenance:
    """The provenance of concatenated rows. The origin of a column that a part lacks is unknown."""
    names = sorted({name for part in parts for name in part})
    return {name: deduplicate(one for part in parts for one in part.get(name, (None,))) for name in names}


def update_provenance(before: Provenance, columns: Collection[str], tagger: Tagger) -> Provenance:
    """The provenance of rows after they are tagged, from their provenance and columns before.

    Raises an error if the tagger would keep tags of another tagger under its own name.
    """
    name, record = tagger.tag_column, record_tagger(tagger)
    existing = before.get(name, (None,)) if name in columns and not tagger.redo else ()
    check_same_tagger(name, existing, record)
    keeps_rows = all(column.name in columns for column in tagger.columns)
    return {**before, name: deduplicate([*existing, record] if keeps_rows else [record])}


def record_model(ds: Dataset, tagger: Tagger) -> Dataset:
    """The dataset with the tagger that made its columns in its metadata, for the result of a bare map.

    `find` and `nearest` read there which model made the embeddings, and refuse those of another. Later maps,
    `select`, `concatenate_datasets`, `save_to_disk` and `push` keep it. Runs (`tag_dataset`) write it
    themselves. Columns that another tagger is known to have made are refused.

    >>> ds = record_model(ds.map(tagger, batched=True), tagger)  # doctest: +SKIP
    """
    check_dataset(ds)
    name = tagger.tag_column
    if missing := [column.name for column in tagger.columns if column.name not in ds.column_names]:
        raise ColumnError(
            f"The tagger adds {missing[0]!r}, which the dataset does not have: map with it first."
        )
    before, record = read_provenance(ds), record_tagger(tagger)
    if not tagger.redo:
        check_same_tagger(name, before.get(name, ()), record)
    return add_provenance(ds, {**before, name: (record,)})


def check_same_tagger(name: str, existing: Iterable[TaggerRecord | None], record: TaggerRecord) -> None:
    for other in known_records(existing):
        if other.digest != record.digest:
            raise SettingsError(
                f"The tags in {name!r} were made by another tagger: {describe_differences(other, record)}. "
                "To tag all rows anew, pass redo=True; to have both, name another column with tag_column=."
            )


def describe_differences(before: TaggerRecord, now: TaggerRecord) -> str:
    """The differences between two taggers' settings that can change a tag."""
    old, new = ({"model": one.model, **one.settings} for one in (before, now))
    changes = [
        f"{name} was {old.get(name)!r:.200}, is now {new[name]!r:.200}"
        for name in new
        if ABOUT[name].changes == "tags" and old.get(name) != new[name]
    ]
    return "; ".join(changes) or "the model's files or this package's algorithms have changed"


def to_plain(provenance: Provenance) -> dict[str, Any]:
    """For JSON and YAML."""
    return {name: [one and asdict(one) for one in records] for name, records in provenance.items()}


def from_plain(values: Any) -> Provenance:
    """The inverse of `to_plain`; empty for any other values."""
    try:
        return {
            str(name): tuple(None if one is None else check_types(TaggerRecord(**one)) for one in records)
            for name, records in values.items()
        }
    except (AttributeError, TypeError):
        return {}


def to_json(provenance: Provenance) -> str:
    return json.dumps(to_plain(provenance), ensure_ascii=False)


def from_json(text: str | bytes) -> Provenance:
    try:
        return from_plain(json.loads(text))
    except ValueError:
        return {}


def add_schema_provenance(schema: pa.Schema, provenance: Provenance) -> pa.Schema:
    """The schema with the provenance in its metadata."""
    return schema.with_metadata({**(schema.metadata or {}), KEY.encode(): to_json(provenance).encode()})


def read_file_provenance(paths: Sequence[str | Path]) -> Provenance:
    """The merged provenance from the metadata of Parquet files."""
    return read_schema_provenance(map(pq.read_schema, paths))


def read_schema_provenance(schemas: Iterable[pa.Schema]) -> Provenance:
    """The merged provenance from the schemas of Parquet files."""
    metadata = [schema.metadata or {} for schema in schemas]
    return merge_provenance([from_json(one.get(KEY.encode(), b"")) for one in metadata])


def read_provenance(ds: Dataset | IterableDataset) -> Provenance:
    """The provenance of a dataset's columns of tags, from its description."""
    parts = [from_json(text) for text in DESCRIPTION_LINE.findall(ds.info.description or "")]
    names = sorted({name for part in parts for name in part} & set(ds.features or {}))
    return {name: deduplicate(one for part in parts for one in part.get(name, ())) for name in names}


def add_provenance(ds: Dataset, provenance: Provenance) -> Dataset:
    """The dataset with the provenance in its description, which keeps its other lines."""
    ds = ds.select_columns(ds.column_names)  # a copy: the given dataset's description stays as it is
    line = f"{KEY}: {to_json(provenance)}\n" if provenance else ""
    ds.info.description = line + DESCRIPTION_LINE.sub("", ds.info.description or "")
    return ds


def read_hub_provenance(repo_id: str, config: str | None, split: str, token: str | bool | None) -> Provenance:
    """The provenance of one split, from the dataset's card."""
    from huggingface_hub import DatasetCard, hf_hub_download

    try:
        path = hf_hub_download(repo_id, "README.md", repo_type="dataset", token=token)
        configs = DatasetCard(Path(path).read_text("utf-8-sig")).data.get(KEY) or {}
        return from_plain(configs[config or "default"][split])
    except Exception:  # no card, or no provenance in it: the rows can still be read
        return {}
