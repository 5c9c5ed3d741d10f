"""The files of a model on the Hub: which are needed, which are cached, whether they can be had, fetching."""

import json
import re
from collections.abc import Collection
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from ..errors import ModelError
from .libraries import brief

CONFIGS = ("config.json", "preprocessor_config.json", "processor_config.json")
# The weights as save_pretrained names them, whole or in shards; the first kind that a repository has.
WEIGHTS = (
    re.compile(r"model(-\d+-of-\d+)?\.safetensors(\.index\.json)?"),
    re.compile(r"pytorch_model(-\d+-of-\d+)?\.bin(\.index\.json)?"),
)
API_TIMEOUT_SECONDS = 20.0

OFFLINE = "HF_HUB_OFFLINE=1 forbids the network"
NO_ID = "it is neither a folder here nor an id such as name/model"


def hub_host() -> str:
    """The Hub's host, as HF_ENDPOINT may change it. Without the user and password that a URL can hold."""
    from huggingface_hub import constants

    return urlsplit(constants.ENDPOINT).netloc.rpartition("@")[2]


def hub_cache() -> Path:
    """Where huggingface_hub keeps its models (HF_HUB_CACHE, HF_HOME)."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def cached_snapshot(model: str, revision: str | None = None) -> Path | None:
    """The folder in the cache that has a model's config, whatever else it has or lacks."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(model, "config.json", revision=revision)
    return Path(config).parent if isinstance(config, str) else None


def folder_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())


def needed(names: Collection[str]) -> tuple[str, ...]:
    """Of a repository's files those that loading reads: not its other formats, pictures or logs.

    >>> needed(["README.md", "config.json", "model.safetensors", "pytorch_model.bin", "logs/1"])
    ('config.json', 'model.safetensors')
    """
    weights = next((found for kind in WEIGHTS if (found := [n for n in names if kind.fullmatch(n)])), [])
    code = [name for name in names if name.endswith(".py") and "/" not in name]  # of trust_remote_code
    return tuple(sorted({*(name for name in CONFIGS if name in names), *weights, *code}))


def lacking(names: Collection[str]) -> list[str]:
    """What an audio classification model needs and is not among these files.

    >>> lacking(["config.json", "pytorch_model.bin"])
    ['preprocessor_config.json']
    """
    parts = {
        "config.json": "config.json" in names,
        "preprocessor_config.json": any(name in names for name in CONFIGS[1:]),
        "model.safetensors": any(kind.fullmatch(name) for kind in WEIGHTS for name in names),
    }
    return [part for part, is_there in parts.items() if not is_there]


def lacking_in(folder: Path) -> list[str]:
    """The same of a folder, with each shard that an index of weights names."""
    names = {file.name for file in folder.iterdir() if file.is_file()}
    shards: set[str] = set()
    for index in folder.glob("*.index.json"):
        shards.update(json.loads(index.read_text()).get("weight_map", {}).values())
    return lacking(names) + sorted(shards - names)


def why_unreachable(model: str, revision: str | None = None, seconds: float = 3.0) -> str | None:
    """Why the Hub does not hand a model out; None where it does. One HEAD, `seconds` at most.

    The deadline holds for the whole question: no timeout of HTTP covers the look-up of a host's name.
    """
    reasons: list[str | None] = []

    def ask() -> None:
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        try:
            get_hf_file_metadata(hf_hub_url(model, "config.json", revision=revision), timeout=seconds)
        except Exception as error:
            reasons.append(reason_of(error))
        else:
            reasons.append(None)

    asking = Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    return reasons[0] if reasons else f"{hub_host()} does not answer within {seconds:g} s"


def reason_of(error: Exception) -> str:
    """What the Hub or the network says, in a few words."""
    from huggingface_hub import errors

    known = {
        errors.GatedRepoError: f"{hub_host()} gives it only to those who agreed to its terms",
        errors.RepositoryNotFoundError: f"{hub_host()} has no such model, or it is private",
        errors.RevisionNotFoundError: f"{hub_host()} has no such revision of it",
        errors.EntryNotFoundError: "it has no config.json, so it is no model of transformers",
        errors.OfflineModeIsEnabled: OFFLINE,
        errors.HFValidationError: NO_ID,
    }
    for kind, reason in known.items():
        if isinstance(error, kind):
            return reason
    return f"{hub_host()} cannot be reached ({brief(error)})"


def remedy_of(reason: str) -> str:
    """What to do where a model cannot be fetched."""
    if reason == OFFLINE:
        return "Unset HF_HUB_OFFLINE, or fetch it on another machine."
    if reason == NO_ID:
        return "Check the spelling."
    return "Check the id and the network; for a private or gated model run `hf auth login` or set HF_TOKEN."


def fetch(model: str, revision: str | None = None) -> Path:
    """Put what loading a model reads into the cache, with bars of progress; its folder there.

    >>> fetch("MIT/ast-finetuned-audioset-10-10-0.4593")  # doctest: +SKIP
    PosixPath('/home/me/.cache/huggingface/hub/models--MIT--ast-finetuned-audioset.../snapshots/f826b8...')
    """
    from huggingface_hub import HfApi, snapshot_download

    asked = f"The model {model!r}" + (f" (revision {revision!r})" if revision else "")
    try:
        info = HfApi().model_info(model, revision=revision, timeout=API_TIMEOUT_SECONDS)
        names = [sibling.rfilename for sibling in info.siblings or []]
        if missing := lacking(names):
            raise ModelError(
                f"{asked} cannot be fetched: it has no {' and no '.join(missing)}, so transformers "
                "cannot load it. Name an audio classification model that transformers loads."
            )
        return Path(snapshot_download(model, revision=revision, allow_patterns=list(needed(names))))
    except ModelError:
        raise
    except Exception as error:
        reason = reason_of(error)
        raise ModelError(f"{asked} cannot be fetched: {reason}. {remedy_of(reason)}") from error
