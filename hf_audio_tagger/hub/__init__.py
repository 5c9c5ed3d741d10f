"""Push a tagged dataset to the Hub, with a card that describes how it was tagged.

    push(ds, "me/clips-tagged", tagger=tagger)
    push(ds, "me/clips-tags", tagger=tagger, only_tags=True)  # keys and tags alone, of a large dataset

Two commits, whatever the number of shards: the data, then the card. A push that was interrupted resumes when
it is repeated, since the Hub says which files it has; one that changes nothing makes no commit.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import datasets.config
from datasets import Dataset, DatasetDict
from huggingface_hub import CommitInfo, CommitOperationAdd, HfApi

from .._version import __version__
from ..checks import invalid
from ..columns import all_columns, error_column
from ..errors import SettingsError
from ..provenance import (
    TaggerRecord,
    check_same_tagger,
    known_records,
    merge_provenance,
    read_provenance,
    rebuild_tagger,
    record_tagger,
)
from ..results.card import CardReport, PushedDataset, update_card
from ..results.facts import count_tags
from ..settings import TAG_COLUMN
from ..tagger import Tagger
from .errors import HubError as HubError
from .errors import explain_errors
from .media_columns import (
    Splits,
    cast_paths,
    find_media_column,
    holds_media,
    select_tags,
    shorten_errors,
)
from .reports import check_options, list_operations, write_pages

CARD_NAME, CARD_MESSAGE = "README.md", "Describe the audio tags"

# `push_to_hub` makes a commit for every 50 files. With a single commit, nobody can load an incomplete
# dataset. huggingface_hub's own upload of folders also puts up to 1,000 files into a commit.
MOST_FILES_IN_A_COMMIT = 1_000


def push(
    ds: Dataset | DatasetDict,
    repo_id: str,
    *,
    tagger: Tagger | None = None,
    private: bool | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
    config_name: str = "default",
    split: str | None = None,
    only_tags: bool = False,
    key_columns: Sequence[str] | None = None,
    embed_media: bool | None = None,
    commit_message: str | None = None,
    max_shard_size: int | str | None = None,
    num_shards: int | Mapping[str, int] | None = None,
    num_proc: int | None = None,
    report: bool | Mapping[str, Any] = False,
) -> str:
    """Push a tagged dataset and describe its tags in the dataset card; returns the dataset's URL.

    One section of the card is added or replaced, with the model, the settings, counts, the most frequent tags
    and the code that makes them; the rest of the card stays. Recorded errors name files below the folder that
    all of them share, without the folders of this machine above it.

    Args:
        ds: a Dataset, which becomes one split, or a DatasetDict, which replaces all splits of its config.
        repo_id: "user/name" of the dataset, created if needed.
        tagger: the tagger that made the tags. Default: the one recorded in the dataset; without a record, the
            card has counts but no settings.
        private: whether a newly created dataset is private.
        revision: the branch to push to, created if needed.
        token: default: the one of `hf auth login` or HF_TOKEN.
        config_name: the dataset's config (subset).
        split: the name of a Dataset's split. Default: `ds.split`, else "train".
        only_tags: push keys and tags without media.
        key_columns: with only_tags, the columns that identify rows. Default: all without media, or, if there
            are none, the names of the media files.
        embed_media: whether to copy media files into the Parquet files. Default: those of `Video()` and
            `Audio()` columns, as in `push_to_hub`. True: also those of a text column. False: none; the
            cells keep their paths.
        commit_message: of the commit with the data.
        max_shard_size, num_shards, num_proc: as in `push_to_hub`.
        report: also push a page to look at, as `report` writes it, with a link in the card. It has clips, as
            small previews of at most 100, only where media are embedded. A mapping: arguments of `report`.

    >>> push(ds, "me/clips-tagged", tagger=tagger, private=True)  # doctest: +SKIP
    'https://huggingface.co/datasets/me/clips-tagged'
    """
    check_arguments(ds, repo_id, split, only_tags, key_columns, embed_media)
    page_options = check_options(report)
    if isinstance(token, str):  # checked here, because the error for an invalid header would show it
        token = token.strip()
        if not re.fullmatch(r"[!-~]+", token):
            raise SettingsError("token= must be printable ASCII without spaces, and not empty.")
    is_dict = isinstance(ds, DatasetDict)
    splits = dict(ds) if is_dict else {split or str(ds.split or "train"): ds}
    tag_column = tagger.tag_column if tagger is not None else TAG_COLUMN
    recorded = merge_provenance([read_provenance(one) for one in splits.values()])
    records, tag_columns = recorded.get(tag_column, ()), list(dict.fromkeys([tag_column, *recorded]))
    tagger, records = check_records(tag_column, records, tagger)
    facts = {name: count_tags(one, tag_column) for name, one in splits.items()}
    first = next(iter(splits.values()))
    added = tuple(column.name for column in all_columns(tag_column) if column.name in first.column_names)
    media_column = find_media_column(first, tagger)
    splits = shorten_errors(splits, media_column, [error_column(name).name for name in tag_columns])
    if only_tags:
        splits = select_tags(splits, media_column, key_columns, added)
    elif embed_media:
        splits = {name: cast_paths(one, media_column) for name, one in splits.items()}
    if only_tags or media_column is None:
        media = "left out"
    elif embed_media is not False and holds_media(next(iter(splits.values())).features[media_column]):
        media = "embedded"
    else:
        media = "by path"
    with explain_errors(repo_id, token), TemporaryDirectory(prefix="hf_audio_tagger_") as folder:
        pages: list[CardReport] = []
        page_files: dict[str, Path] = {}
        if page_options is not None:
            pages, page_files = write_pages(
                splits, config_name, tag_column, tagger, media, repo_id, page_options, Path(folder)
            )
        commit = push_data(
            splits,
            is_dict,
            num_shards,
            repo_id=repo_id,
            config_name=config_name,
            private=private,
            token=token,
            revision=revision,
            commit_message=commit_message,
            max_shard_size=max_shard_size,
            embed_external_files=embed_media is not False,
            num_proc=num_proc,
        )
        pushed = PushedDataset(
            repo_id=commit.repo_url.repo_id,
            config_name=config_name,
            split=None if is_dict else next(iter(splits)),
            revision=revision,
            tagger=tagger,
            tag_column=tag_column,
            added_columns=added,
            facts=facts,
            media=media,
            records=records,
            reports=pages,
            url=commit.repo_url.url,
        )
        push_card(pushed, commit, token, page_files)
    return commit.repo_url.url if revision is None else f"{commit.repo_url.url}/tree/{revision}"


def push_data(
    splits: Splits, is_dict: bool, num_shards: int | Mapping[str, int] | None, **options: Any
) -> CommitInfo:
    """One commit with the data, and the metadata that `push_to_hub` writes into the card."""
    default = datasets.config.UPLOADS_MAX_NUMBER_PER_COMMIT
    datasets.config.UPLOADS_MAX_NUMBER_PER_COMMIT = MOST_FILES_IN_A_COMMIT
    try:
        if is_dict:
            shards = dict.fromkeys(splits, num_shards) if isinstance(num_shards, int) else num_shards
            return DatasetDict(splits).push_to_hub(num_shards=shards, **options)
        ((name, dataset),) = splits.items()
        return dataset.push_to_hub(split=name, num_shards=num_shards, **options)
    finally:
        datasets.config.UPLOADS_MAX_NUMBER_PER_COMMIT = default


def push_card(
    pushed: PushedDataset, data: CommitInfo, token: str | bool | None, page_files: Mapping[str, Path]
) -> None:
    """One commit with the card and the pages that it links, directly on top of the data's commit; the Hub
    refuses it otherwise."""
    api = HfApi(datasets.config.HF_ENDPOINT, token, "hf-audio-tagger", __version__)
    path = api.hf_hub_download(pushed.repo_id, CARD_NAME, repo_type="dataset", revision=data.oid)
    card = update_card(Path(path).read_bytes().decode("utf-8-sig"), pushed)
    api.create_commit(
        pushed.repo_id,
        [
            CommitOperationAdd(CARD_NAME, card.encode()),
            *list_operations(api, pushed.repo_id, data.oid, pushed.reports, page_files),
        ],
        repo_type="dataset",
        commit_message=CARD_MESSAGE,
        revision=pushed.revision,
        parent_commit=data.oid,
    )


def check_arguments(
    ds: Any, repo_id: str, split: str | None, only_tags: bool, keys: Sequence[str] | None, embed: bool | None
) -> None:
    """Check the arguments before anything is read or sent."""
    if not isinstance(ds, (Dataset, DatasetDict)):
        raise SettingsError(
            f"ds must be a Dataset or a DatasetDict; got {type(ds).__name__}. Convert a stream with "
            "Dataset.from_generator(lambda: (yield from stream), features=stream.features)."
        )
    if not re.fullmatch(r"([\w.-]+/)?[\w.-]+", repo_id):
        raise invalid("repo_id", repo_id, "a dataset's name, like 'user/name'")
    if isinstance(ds, DatasetDict) and not ds:
        raise SettingsError("The DatasetDict has no splits.")
    if isinstance(ds, DatasetDict) and split is not None:
        raise SettingsError(f"split={split!r} is for a Dataset; of a DatasetDict, push ds[{split!r}].")
    if keys is not None and (isinstance(keys, str) or not only_tags):
        raise SettingsError("key_columns must be a list of names, and needs only_tags=True.")
    if only_tags and embed:
        raise SettingsError("only_tags=True pushes no media: leave out embed_media=True.")


def check_records(
    tag_column: str, recorded: Sequence[TaggerRecord | None], tagger: Tagger | None
) -> tuple[Tagger | None, Sequence[TaggerRecord | None]]:
    """The tagger that the card describes, and the records for its metadata.

    A given tagger must be the one recorded in the dataset, unless it replaced all tags (`redo`).
    """
    named = known_records(recorded)
    if tagger is None:
        return (rebuild_tagger(named[0]) if len(named) == 1 else None), recorded
    record = record_tagger(tagger)
    if tagger.redo or not named:
        return tagger, (record,)
    try:
        check_same_tagger(tag_column, named, record)
    except SettingsError as error:
        raise SettingsError(
            f"push(..., tagger=...) names a tagger that the dataset does not: {error} Leave out tagger=, and "
            "the card uses the one that the dataset names."
        ) from None
    return tagger, recorded
