"""Push a tagged dataset to the Hub, with a card that says how it was tagged.

    push(ds, "me/clips-tagged", tagger=tagger)
    push(ds, "me/clips-tags", tagger=tagger, only_tags=True)  # keys and tags beside a large dataset

Two commits, whatever the number of shards: the data, then the card. A push that broke off goes on when
it is repeated, as the Hub says which files it has and these are not sent again; one that changes
nothing makes no commit.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets.config
from datasets import Dataset, DatasetDict
from huggingface_hub import CommitInfo, CommitOperationAdd, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, HTTPError, OfflineModeIsEnabled

from .._version import __version__
from ..columns import all_columns
from ..errors import SettingsError, TaggerError, iterate_causes
from ..provenance import Maker, check_same, joined, known, maker_of, makers_of, tagger_of
from ..results.card import Pushed, count_tags, describe
from ..tagger import TAG_COLUMN, Tagger
from .media_columns import Splits, keys_and_tags, kind_of_media, with_typed_paths

CARD = "README.md"
CARD_MESSAGE = "Describe the audio tags"

# `push_to_hub` makes a commit for every 50 files. One for all keeps a half-pushed dataset from being seen;
# 1,000 files is what huggingface_hub's own upload of folders goes up to in a commit.
MOST_FILES_IN_A_COMMIT = 1_000


class HubError(TaggerError, RuntimeError):
    """The Hub refused, or could not be reached. Its message says what to do and holds no token."""


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
) -> str:
    """Push a tagged dataset and describe its tags in the dataset card; returns the dataset's URL.

    The card keeps what it says. One section is added, or replaced, with the model, the settings, counts,
    the most frequent tags and the code that makes them again.

    Args:
        ds: a Dataset, which becomes one split, or a DatasetDict, which replaces all splits of its config.
        repo_id: "user/name" of the dataset; it is created where there is none.
        tagger: what tagged it; without one the card tells counts and no settings.
        private: for a dataset that is created now.
        revision: the branch to push to; it is created where there is none.
        token: default: the one of `hf auth login` or HF_TOKEN.
        config_name: the dataset's config (subset).
        split: the name of a Dataset's split. Default: its own, else "train".
        only_tags: push keys and tags, and none of the media.
        key_columns: with only_tags, the columns that tell rows apart. Default: all that hold no media, or
            the names of the files where nothing else is left.
        embed_media: whether the files that cells point to go into the Parquet files. Default: those of
            `Video()` and `Audio()` columns do, as with `push_to_hub`, and text stays text. True: those
            that a text column of paths names too. False: none; the cells keep their paths.
        commit_message: of the commit with the data.
        max_shard_size, num_shards, num_proc: as in `push_to_hub`.

    >>> push(ds, "me/clips-tagged", tagger=tagger, private=True)  # doctest: +SKIP
    'https://huggingface.co/datasets/me/clips-tagged'
    """
    check_arguments(ds, repo_id, split, only_tags, key_columns, embed_media)
    token = checked_token(token)
    splits = splits_of(ds, split)
    column = tagger.tag_column if tagger is not None else TAG_COLUMN
    makers = joined([makers_of(one) for one in splits.values()]).get(column, ())
    tagger, makers = true_makers(column, makers, tagger)
    counts = {name: count_tags(one, column) for name, one in splits.items()}
    added = tuple(name for name in added_names(column) if name in next(iter(splits.values())).column_names)
    heard = tagger.column if tagger is not None else None
    if only_tags:
        splits = keys_and_tags(splits, heard, key_columns, added)
    elif embed_media:
        splits = {name: with_typed_paths(one, heard) for name, one in splits.items()}
    first = next(iter(splits.values()))
    how = {
        "repo_id": repo_id,
        "config_name": config_name,
        "private": private,
        "token": token,
        "revision": revision,
        "commit_message": commit_message,
        "max_shard_size": max_shard_size,
        "embed_external_files": embed_media is not False,
        "num_proc": num_proc,
    }
    with clear_errors(repo_id, token):
        commit = push_data(splits, isinstance(ds, DatasetDict), num_shards, how)
        pushed = Pushed(
            repo_id=commit.repo_url.repo_id,
            config_name=config_name,
            split=None if isinstance(ds, DatasetDict) else next(iter(splits)),
            revision=revision,
            tagger=tagger,
            tag_column=column,
            added_columns=added,
            counts=counts,
            media="left out" if only_tags else kind_of_media(first, heard, embed_media is not False),
            makers=makers,
        )
        push_card(pushed, commit, token)
    return commit.repo_url.url if revision is None else f"{commit.repo_url.url}/tree/{revision}"


def push_data(
    splits: Splits, is_dict: bool, num_shards: int | Mapping[str, int] | None, how: dict[str, Any]
) -> CommitInfo:
    """One commit with the data, and the metadata that `push_to_hub` writes into the card."""
    with one_commit():
        if is_dict:
            shards = dict.fromkeys(splits, num_shards) if isinstance(num_shards, int) else num_shards
            return DatasetDict(splits).push_to_hub(num_shards=shards, **how)
        ((name, dataset),) = splits.items()
        return dataset.push_to_hub(split=name, num_shards=num_shards, **how)


def push_card(pushed: Pushed, data: CommitInfo, token: str | bool | None) -> None:
    """One commit with the card, on top of the data and of nothing that came in between."""
    api = HfApi(datasets.config.HF_ENDPOINT, token, "hf-audio-tagger", __version__)
    path = api.hf_hub_download(pushed.repo_id, CARD, repo_type="dataset", revision=data.oid)
    there = Path(path).read_bytes().decode("utf-8-sig")
    api.create_commit(
        pushed.repo_id,
        [CommitOperationAdd(CARD, describe(there, pushed).encode())],
        repo_type="dataset",
        commit_message=CARD_MESSAGE,
        revision=pushed.revision,
        parent_commit=data.oid,
    )


def check_arguments(
    ds: Any,
    repo_id: str,
    split: str | None,
    only_tags: bool,
    key_columns: Sequence[str] | None,
    embed_media: bool | None,
) -> None:
    """Refuse what cannot work before anything is read or sent."""
    if not isinstance(ds, (Dataset, DatasetDict)):
        raise SettingsError(
            f"push takes a Dataset or a DatasetDict, not {type(ds).__name__}. A stream becomes one with "
            "Dataset.from_generator(lambda: (yield from stream), features=stream.features)."
        )
    if not re.fullmatch(r"([\w.-]+/)?[\w.-]+", repo_id):
        raise SettingsError(f"repo_id={repo_id!r} is no dataset's name; it is like 'user/name'.")
    if isinstance(ds, DatasetDict) and not ds:
        raise SettingsError("The DatasetDict has no splits.")
    if isinstance(ds, DatasetDict) and split is not None:
        raise SettingsError(f"split={split!r}: a DatasetDict names its splits itself; push ds[{split!r}].")
    if key_columns is not None and (isinstance(key_columns, str) or not only_tags):
        raise SettingsError("key_columns= is a list of names, and goes with only_tags=True.")
    if only_tags and embed_media:
        raise SettingsError("only_tags=True pushes no media, so that embed_media=True cannot be.")


def checked_token(token: str | bool | None) -> str | bool | None:
    """The token as a header takes it; what it refuses, it would print."""
    if not isinstance(token, str):
        return token
    if not re.fullmatch(r"[!-~]+", token.strip()):
        raise SettingsError("token= is no token: it is empty, or holds spaces or letters that no token has.")
    return token.strip()


def splits_of(ds: Dataset | DatasetDict, split: str | None) -> Splits:
    """The splits by name. A Dataset is one: named here, by itself, or "train"."""
    if isinstance(ds, DatasetDict):
        return dict(ds)
    return {split or (str(ds.split) if ds.split is not None else "train"): ds}


def added_names(tag_name: str) -> list[str]:
    """Every column that a tagger may have added."""
    return [column.name for column in all_columns(tag_name)]


def true_makers(
    column: str, there: Sequence[Maker | None], tagger: Tagger | None
) -> tuple[Tagger | None, Sequence[Maker | None]]:
    """Who made the tags that are pushed: what the dataset says of itself holds, and must fit what is said.

    A tagger that does all rows again has made all tags, whatever the dataset says of those before.
    """
    named = known(there)
    if tagger is None:
        return (tagger_of(named[0]) if len(named) == 1 else None), there
    maker = maker_of(tagger)
    if tagger.redo or not named:
        return tagger, (maker,)
    try:
        check_same(column, named, maker)
    except SettingsError as error:
        raise SettingsError(
            f"push(..., tagger=...) names a tagger that the dataset does not: {error} Leave tagger= out, and "
            "the card names the one that the dataset does."
        ) from None
    return tagger, there


@contextmanager
def one_commit() -> Iterator[None]:
    """Let `push_to_hub` put all shards into one commit."""
    usual = datasets.config.UPLOADS_MAX_NUMBER_PER_COMMIT
    datasets.config.UPLOADS_MAX_NUMBER_PER_COMMIT = MOST_FILES_IN_A_COMMIT
    try:
        yield
    finally:
        datasets.config.UPLOADS_MAX_NUMBER_PER_COMMIT = usual


@contextmanager
def clear_errors(repo_id: str, token: str | bool | None) -> Iterator[None]:
    """Errors of the Hub and the network in words that say what to do, and without the token."""
    try:
        yield
    except TaggerError:
        raise
    except Exception as error:
        secret = token if isinstance(token, str) else get_token()
        chain = list(iterate_causes(error))
        leaks = secret is not None and any(secret in f"{one} {one!r}" for one in chain)
        words = advice(chain, repo_id)
        if words is None and not leaks:
            raise
        told = words or f"{type(error).__name__}: {error}"
        if leaks and secret is not None:
            told = told.replace(secret, "<token>")
        raise HubError(told) from None if leaks else error


def advice(chain: Sequence[BaseException], repo_id: str) -> str | None:
    """What to do about an error of the Hub, the network or a file to embed; None for any other."""
    again = "The same push again goes on where this one ended: what was sent is not sent again."
    endpoint = datasets.config.HF_ENDPOINT
    missing = next((one for one in chain if isinstance(one, FileNotFoundError) and one.filename), None)
    if missing is not None:
        return (
            f"{missing.filename!r} is not there, so that it cannot be embedded. Push without such rows, "
            "ds.filter(lambda errors: not any(errors), input_columns='video_audio_error'), or without files: "
            "embed_media=False, or only_tags=True."
        )
    answered = next((one for one in chain if isinstance(one, HfHubHTTPError)), None)
    if answered is not None:
        status = answered.response.status_code
        if status == 401:
            return (
                f"{endpoint} does not know you (401), so that {repo_id!r} cannot be pushed. Log in with "
                "`hf auth login`, or set HF_TOKEN, or pass token=, a token with write access from "
                "https://huggingface.co/settings/tokens."
            )
        if status == 403:
            return (
                f"Your token may not write to {repo_id!r} (403). Push to your own name or to an organization "
                "whose member you are, with a token that has write access: "
                "https://huggingface.co/settings/tokens."
            )
        said = (answered.server_message or str(answered).strip().splitlines()[0]).rstrip(".")
        return f"{endpoint} ended the push of {repo_id!r} with status {status}: {said}. {again}"
    if any(isinstance(one, OfflineModeIsEnabled) for one in chain):
        return "HF_HUB_OFFLINE is set, so that nothing can be pushed. Unset it and push again."
    if any(isinstance(one, HTTPError) for one in chain):
        return f"{endpoint} cannot be reached ({chain[0]}). Check the network. {again}"
    return None
