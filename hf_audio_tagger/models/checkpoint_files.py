"""The files of a transformers checkpoint: in a folder, in the Hub cache, or on the Hub."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..text import one_line
from .downloads import call_with_deadline
from .family import ModelFiles
from .weights import digest_file

# The weights as save_pretrained names them, whole or in shards.
WEIGHTS = r"(model(-\d+-of-\d+)?\.safetensors|pytorch_model(-\d+-of-\d+)?\.bin)(\.index\.json)?"
NEEDED = {
    "config.json": r"config\.json",
    "preprocessor_config.json": r"(pre)?processor_config\.json",
    "model.safetensors": WEIGHTS,
}
DIGESTED = (".json", ".safetensors", ".bin", ".py", ".pt", ".pth", ".h5")  # files that loading may read
HUB_SECONDS = 3.0  # timeout for the Hub


def digest_folder(path: str) -> str | None:
    """The digest of a local checkpoint's files; None if it is not a folder, such as a Hub id."""
    folder = Path(path)
    if not folder.is_dir():
        return None
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(folder.iterdir()):
        if file.suffix in DIGESTED and file.is_file():
            digest.update(f"{file.name}\0{digest_file(str(file))}\0".encode())
    return digest.hexdigest()


def read_model_type(model: str, revision: str | None, token: str | bool | None, download: bool) -> str | None:
    """`model_type` of a checkpoint's config; None if it cannot be had, for which loading gives the reason."""
    config: Any = Path(model).expanduser()
    try:
        if config.is_dir():
            config = config / "config.json"
        else:
            from huggingface_hub import hf_hub_download, try_to_load_from_cache

            config = try_to_load_from_cache(model, "config.json", revision=revision)
            if not isinstance(config, str) and download:
                config = hf_hub_download(model, "config.json", revision=revision, token=token)
        kind = json.loads(Path(config).read_bytes())["model_type"]
    except Exception:
        return None
    return kind if isinstance(kind, str) else None


def find_commit(model: str, revision: str | None, token: str | bool | None) -> str | None:
    """The commit that a revision of a Hub model is now; without network, the one in the cache."""
    from huggingface_hub import hf_hub_download

    name = Path(hf_hub_download(model, "config.json", revision=revision, token=token)).parent.name
    return name if is_commit(name) else None


def is_commit(revision: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{40}", revision) is not None


def examine_checkpoint(model: str, revision: str | None) -> ModelFiles:
    """Look for the files in a folder or the cache, else for the model on the Hub, with one HEAD request."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        if missing := list_missing(folder):
            return ModelFiles(False, f"{model} lacks {', '.join(missing)}", "Write it with save_pretrained.")
        return ModelFiles(True, f"{model}: a local folder with all needed files")
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url, try_to_load_from_cache

    try:
        config = try_to_load_from_cache(model, "config.json", revision=revision)
    except Exception as error:  # not a valid Hub id
        return ModelFiles(False, f"{model}: {explain_error(error)}", "Check the spelling.")
    cached = f"{model}: not in the cache"
    if isinstance(config, str):
        snapshot = Path(config).parent
        missing = list_missing(snapshot)
        if not missing:
            size = sum(file.stat().st_size for file in snapshot.iterdir() if file.is_file()) / 1e6
            return ModelFiles(True, f"{model}: in the cache, {size:.0f} MB ({snapshot.parents[1]})")
        cached = f"{model}: in the cache without {', '.join(missing)}"
    url = hf_hub_url(model, "config.json", revision=revision)
    try:
        call_with_deadline(lambda: get_hf_file_metadata(url, timeout=HUB_SECONDS), HUB_SECONDS)
    except Exception as error:
        command = f"hf download {model}" + (f" --revision {revision}" if revision else "")
        return ModelFiles(
            False,
            f"{cached}, and {explain_error(error)}",
            f"On a machine with network access run `{command}` and copy the model's cache folder to "
            f"{constants.HF_HUB_CACHE} here, or name a local folder. "
            'build_tagger("yamnet") is packaged, needs no network, and knows 521 sounds.',
        )
    return ModelFiles(True, f"{cached}; {hub_host()} has it, the first use downloads it", is_remote=True)


def hub_host() -> str:
    """The Hub's host, which HF_ENDPOINT may change, without credentials in the URL."""
    from huggingface_hub import constants

    return urlsplit(constants.ENDPOINT).netloc.rpartition("@")[2]


def list_missing(folder: Path) -> list[str]:
    """The missing files of an audio classification model, including shards listed in an index."""
    names = {file.name for file in folder.iterdir() if file.is_file()}
    missing = [
        part for part, pattern in NEEDED.items() if not any(re.fullmatch(pattern, name) for name in names)
    ]
    shards: set[str] = set()
    for index in folder.glob("*.index.json"):
        shards.update(json.loads(index.read_text()).get("weight_map", {}).values())
    return missing + sorted(shards - names)


def explain_error(error: Exception) -> str:
    """An error of huggingface_hub in a few words."""
    from huggingface_hub import errors

    reasons = {
        errors.GatedRepoError: f"{hub_host()} requires accepting its terms (a gated model)",
        errors.RepositoryNotFoundError: f"{hub_host()} has no such model, or it is private",
        errors.RevisionNotFoundError: f"{hub_host()} has no such revision of it",
        errors.EntryNotFoundError: "it has no config.json, so it is not a transformers model",
        errors.OfflineModeIsEnabled: "HF_HUB_OFFLINE=1 forbids the network",
        errors.HFValidationError: "it is neither a local folder nor an id such as name/model",
    }
    unreachable = f"{hub_host()} cannot be reached ({one_line(error, 200).rstrip('.')})"
    return next((reason for kind, reason in reasons.items() if isinstance(error, kind)), unreachable)
