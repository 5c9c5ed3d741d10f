"""Files of the Hugging Face Hub as https URLs, and the token, which no other host ever gets."""

import re
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from datasets import config
from huggingface_hub import constants
from huggingface_hub.utils import build_hf_headers

from ...errors import MediaError

# Namespace and name of a repository, perhaps a revision, the file. Other hf:// URLs (buckets) go to the Hub's
# own file system.
HUB_FILE = re.compile(
    r"hf://(?P<kind>datasets/|spaces/)?(?P<repo>(?!buckets/|kernels/|models/)[^/@]+/[^/@]+)"
    r"(@(?P<revision>refs/(?:pr|convert)/[^/]+|[^/]+))?/(?P<path>.+)"
)


def find_hub_url(url: str) -> str | None:
    """The https URL of a file on the Hub; None for any other URL.

    >>> find_hub_url("hf://datasets/me/clips@v1/a b.mp4")
    'https://huggingface.co/datasets/me/clips/resolve/v1/a%20b.mp4'
    >>> find_hub_url("https://huggingface.co.example.org/datasets/me/clips/resolve/main/a.mp4")
    """
    if found := HUB_FILE.fullmatch(url):
        revision = quote(unquote(found["revision"] or constants.DEFAULT_REVISION), safe="")
        repo = f"{found['kind'] or ''}{found['repo']}"
        return f"{config.HF_ENDPOINT}/{repo}/resolve/{revision}/{quote(found['path'])}"
    return url if is_on_hub(url) else None


def is_on_hub(url: str) -> bool:
    try:
        own, hub = urlsplit(url), urlsplit(config.HF_ENDPOINT)
        return (own.scheme, own.hostname, own.port) == (hub.scheme, hub.hostname, hub.port)
    except ValueError:  # an invalid port
        return False


def hub_headers(token: str | bool | None) -> dict[str, str]:
    """The headers of a request to the Hub: the token, or without one that of HF_TOKEN or `hf auth login`."""
    if constants.HF_HUB_OFFLINE:
        raise MediaError("HF_HUB_OFFLINE is set, so nothing is fetched from the Hub")
    headers: dict[str, Any] = build_hf_headers(token=token, library_name="hf_audio_tagger")
    return {name: str(value) for name, value in headers.items()}
