"""The files of a checkpoint of transformers: in a folder, in the Hub's cache, or on the Hub."""

import json
import re
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from ..text import one_line
from .family import ModelFiles

EXTRACTOR_CONFIGS = ("preprocessor_config.json", "processor_config.json")
# The weights as save_pretrained names them, whole or in shards.
WEIGHTS = re.compile(r"(model(-\d+-of-\d+)?\.safetensors|pytorch_model(-\d+-of-\d+)?\.bin)(\.index\.json)?")
HUB_SECONDS = 3.0  # for the Hub to answer


def examine_checkpoint(model: str, revision: str | None) -> ModelFiles:
    """Whether a folder or the cache has all that loading reads, or the Hub has the model."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        if missing := list_missing(folder):
            return ModelFiles(False, f"{model} lacks {', '.join(missing)}", "Write it with save_pretrained.")
        return ModelFiles(True, f"{model}: a local folder with all that is needed")
    try:
        snapshot = find_snapshot(model, revision)
    except Exception as error:  # no id of the Hub
        return ModelFiles(False, f"{model}: {explain_error(error)}", "Check the spelling.")
    missing = list_missing(snapshot) if snapshot else []
    if snapshot and not missing:
        size = sum(file.stat().st_size for file in snapshot.iterdir() if file.is_file()) / 1e6
        return ModelFiles(True, f"{model}: in the cache, {size:.0f} MB ({snapshot.parents[1]})")
    cached = f"{model}: " + (f"in the cache without {', '.join(missing)}" if missing else "not in the cache")
    reason = explain_unreachable(model, revision, HUB_SECONDS)
    if reason is None:
        return ModelFiles(True, f"{cached}; {hub_host()} has it, the first use downloads it")
    from huggingface_hub.constants import HF_HUB_CACHE

    command = f"hf download {model}" + (f" --revision {revision}" if revision else "")
    return ModelFiles(
        False,
        f"{cached}, and {reason}",
        f"Where there is a network run `{command}` and copy its folder in the cache to {HF_HUB_CACHE} here; "
        "or name another model or a local folder.",
    )


def hub_host() -> str:
    """The Hub's host, which HF_ENDPOINT may change. Without the user and password that a URL can hold."""
    from huggingface_hub import constants

    return urlsplit(constants.ENDPOINT).netloc.rpartition("@")[2]


def find_snapshot(model: str, revision: str | None = None) -> Path | None:
    """The folder in the cache that has a model's config, whatever else it has or lacks."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(model, "config.json", revision=revision)
    return Path(config).parent if isinstance(config, str) else None


def list_missing(folder: Path) -> list[str]:
    """What an audio classification model needs and the folder lacks, with shards that an index names."""
    names = {file.name for file in folder.iterdir() if file.is_file()}
    shards: set[str] = set()
    for index in folder.glob("*.index.json"):
        shards.update(json.loads(index.read_text()).get("weight_map", {}).values())
    parts = {
        "config.json": "config.json" in names,
        "preprocessor_config.json": any(name in names for name in EXTRACTOR_CONFIGS),
        "model.safetensors": any(map(WEIGHTS.fullmatch, names)),
    }
    return [part for part, is_present in parts.items() if not is_present] + sorted(shards - names)


def explain_unreachable(model: str, revision: str | None, seconds: float) -> str | None:
    """Why the Hub does not give a model; None where it does. One HEAD request.

    The deadline covers the whole request: no timeout of HTTP covers the look-up of a host's name.
    """
    reasons: list[str | None] = []

    def request() -> None:
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        try:
            get_hf_file_metadata(hf_hub_url(model, "config.json", revision=revision), timeout=seconds)
        except Exception as error:
            reasons.append(explain_error(error))
        else:
            reasons.append(None)

    thread = Thread(target=request, daemon=True)
    thread.start()
    thread.join(seconds)
    return reasons[0] if reasons else f"{hub_host()} does not answer within {seconds:g} s"


def explain_error(error: Exception) -> str:
    """An error of huggingface_hub in a few words."""
    from huggingface_hub import errors

    reasons = {
        errors.GatedRepoError: f"{hub_host()} gives it only to those who agreed to its terms",
        errors.RepositoryNotFoundError: f"{hub_host()} has no such model, or it is private",
        errors.RevisionNotFoundError: f"{hub_host()} has no such revision of it",
        errors.EntryNotFoundError: "it has no config.json, so it is no model of transformers",
        errors.OfflineModeIsEnabled: "HF_HUB_OFFLINE=1 forbids the network",
        errors.HFValidationError: "it is neither a folder here nor an id such as name/model",
    }
    for kind, reason in reasons.items():
        if isinstance(error, kind):
            return reason
    return f"{hub_host()} cannot be reached ({one_line(error, 200).rstrip('.')})"
