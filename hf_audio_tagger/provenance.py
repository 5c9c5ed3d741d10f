"""Which tagger made a column of tags, as metadata that goes with the rows.

| rows | where it stands |
|---|---|
| a shard, or a .parquet that shards were joined into | the Parquet file's own metadata |
| a `Dataset` of a run | `ds.info.description`, which `map`, `select`, `save_to_disk` keep |
| a dataset on the Hub | the metadata of its card, by config and split |

A bare `map` writes none of these: what it tagged is of unknown origin. Taggers count as the same where
nothing differs that could change a tag: columns beside the tags, and their names, do not.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, IterableDataset

from ._version import __version__
from .errors import SettingsError, TaggerError
from .models.registry import find_family
from .models.weights import is_here
from .tagger import Tagger

KEY = "hf_audio_tagger_makers"
DESCRIBED = re.compile(rf"^{KEY}: (.*)\n?", re.MULTILINE)
BESIDE_THE_TAG = frozenset(
    {"column", "tag_column", "top_k", "threshold", "segments", "embeddings", "on_error", "redo"}
)


@dataclass(frozen=True)
class Maker:
    """A tagger, as metadata name it."""

    model: str
    settings: Mapping[str, Any]  # for people to read
    digest: str  # of all that can change a tag
    package_version: str

    def is_same(self, other: "Maker") -> bool:
        return self.digest == other.digest


Makers = Mapping[str, Sequence[Maker | None]]  # by tag column; None: of some tags it is not known


def maker_of(tagger: Tagger) -> Maker:
    """What is written of a tagger. No token, and no folder of this machine."""
    from .results.card import settings

    shown = {name: value for name, value in settings(tagger) if name not in ("model", "redo")}
    decisive = repr(tagger.identity(leaving_out=BESIDE_THE_TAG))
    digest = hashlib.blake2b(decisive.encode(), digest_size=16).hexdigest()
    return Maker(dict(settings(tagger))["model"], shown, digest, __version__)


def tagger_of(maker: Maker) -> Tagger | None:
    """The tagger that metadata name; None where they do not tell its files, or these are not here.

    Metadata may be a stranger's: no URL that they name is fetched.
    """
    try:
        tagger = Tagger(maker.model, **maker.settings)
        release = find_family(tagger.model).release
        if release and tagger.weights and not is_here(tagger.weights, release):
            return None
        return tagger if maker_of(tagger).is_same(maker) else None
    except (TaggerError, TypeError, ValueError, OSError):
        return None


def known(makers: Iterable[Maker | None]) -> list[Maker]:
    return [maker for maker in makers if maker is not None]


def united(makers: Iterable[Maker | None]) -> tuple[Maker | None, ...]:
    """Each maker once."""
    by_digest = {maker.digest if maker else None: maker for maker in makers}
    return tuple(by_digest.values())


def joined(parts: Sequence[Makers]) -> Makers:
    """The makers of rows that were put together. A part that names none is of unknown origin."""
    names = {name for part in parts for name in part}
    return {
        name: united(maker for part in parts for maker in part.get(name, (None,))) for name in sorted(names)
    }


def after_tagging(there: Makers, columns: Collection[str], tagger: Tagger) -> Makers:
    """The makers of rows that a tagger goes over, given those of the rows as they come, and their columns.

    Refuses a tagger that would keep the tags of another and seem to have made them.
    """
    name, maker = tagger.tag_column, maker_of(tagger)
    came = there.get(name, (None,)) if name in columns and not tagger.redo else ()
    check_same(name, came, maker)
    keeps_any = all(column.name in columns for column in tagger.columns)
    return {**there, name: united([*came, maker] if keeps_any else [maker])}


def check_same(name: str, there: Iterable[Maker | None], maker: Maker) -> None:
    for other in known(there):
        if not other.is_same(maker):
            raise SettingsError(
                f"The tags in {name!r} were made by another tagger: {differences(other, maker)}. To hear all "
                "rows again, pass redo=True (--redo); to have both, name another column: tag_column= "
                "(--tag-column)."
            )


def differences(there: Maker, now: Maker) -> str:
    """In what two taggers differ that could change a tag."""
    before, after = ({"model": one.model, **one.settings} for one in (there, now))
    told = [
        f"{name} was {before.get(name)!r}, is now {after[name]!r}"
        for name in after
        if name not in BESIDE_THE_TAG and before.get(name) != after[name]
    ]
    return "; ".join(told) or "the model's files, or this package's version of the algorithms, are others"


# As text


def plain(makers: Makers) -> dict[str, Any]:
    """For JSON and YAML."""
    return {name: [maker and asdict(maker) for maker in some] for name, some in makers.items()}


def from_plain(values: Any) -> Makers:
    """What `plain` made; what is no such thing names no makers."""
    try:
        return {
            str(name): tuple(None if one is None else checked(Maker(**one)) for one in some)
            for name, some in values.items()
        }
    except (AttributeError, TypeError):
        return {}


def checked(maker: Maker) -> Maker:
    """The maker, where its parts are what a maker's are; a TypeError else."""
    texts = (maker.model, maker.digest, maker.package_version)
    if isinstance(maker.settings, Mapping) and all(isinstance(text, str) for text in texts):
        return maker
    raise TypeError("these are not the parts of a maker")


def from_json(text: str | bytes) -> Makers:
    try:
        return from_plain(json.loads(text))
    except ValueError:
        return {}


# Parquet files


def with_schema_makers(schema: pa.Schema, makers: Makers) -> pa.Schema:
    """A schema whose files name the makers."""
    text = json.dumps(plain(makers), ensure_ascii=False)
    return schema.with_metadata({**(schema.metadata or {}), KEY.encode(): text.encode()})


def makers_of_files(paths: Sequence[str | Path]) -> Makers:
    """The makers that Parquet files name, together."""
    return joined([from_json((pq.read_schema(path).metadata or {}).get(KEY.encode(), b"")) for path in paths])


# Datasets


def makers_of(ds: Dataset | IterableDataset) -> Makers:
    """The makers of a dataset's columns of tags, as far as it says them."""
    named = DESCRIBED.findall(ds.info.description or "")
    parts = [from_json(text) for text in named]
    names = {name for part in parts for name in part} & set(ds.features or {})
    return {
        name: united(maker for part in parts if name in part for maker in part[name])
        for name in sorted(names)
    }


def with_makers(ds: Dataset, makers: Makers) -> Dataset:
    """The dataset with its makers in its description, beside what else that says."""
    ds = ds.select_columns(ds.column_names)  # a dataset of its own: the description of the other one stays
    others = DESCRIBED.sub("", ds.info.description or "")
    line = f"{KEY}: {json.dumps(plain(makers), ensure_ascii=False)}\n" if makers else ""
    ds.info.description = line + others
    return ds


# The Hub


def makers_on_hub(repo_id: str, config: str | None, split: str, token: str | bool | None) -> Makers:
    """The makers that the card of a dataset names for one split."""
    from huggingface_hub import DatasetCard, hf_hub_download

    try:
        path = hf_hub_download(repo_id, "README.md", repo_type="dataset", token=token)
        configs = DatasetCard(Path(path).read_text("utf-8-sig")).data.get(KEY) or {}
        return from_plain(configs[config or "default"][split])
    except Exception:  # no card, or none of ours: the rows are there, and their tags of unknown origin
        return {}
