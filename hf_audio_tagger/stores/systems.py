"""Opens a file system of fsspec for a URL, with limits for every wait."""

import os
import re
from functools import cache
from importlib.util import find_spec
from typing import Any

import fsspec
from fsspec.core import strip_protocol, url_to_fs

from ..errors import SettingsError
from ..text import hide_secrets
from .errors import explained

CONNECT_SECONDS = 10.0
SILENT_SECONDS = 30.0  # between two pieces of an answer
TRIES = 2  # of a request that was not answered; with other errors too many requests are told apart
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
PACKAGES = {  # of a scheme: the module it needs, and how it is installed
    "s3": ("s3fs", 'pip install "hf-audio-tagger[s3]"'),
    "s3a": ("s3fs", 'pip install "hf-audio-tagger[s3]"'),
    "gs": ("gcsfs", "pip install gcsfs"),
    "gcs": ("gcsfs", "pip install gcsfs"),
    "az": ("adlfs", "pip install adlfs"),
    "abfs": ("adlfs", "pip install adlfs"),
    "abfss": ("adlfs", "pip install adlfs"),
}


def read_scheme(url: str) -> str:
    """
    >>> read_scheme("S3://bucket/a.parquet"), read_scheme("clips/a.mp4")
    ('s3', '')
    """
    match = SCHEME.match(url)
    return match[1].lower() if match else ""


def open_system(url: str, token: str | bool | None = None) -> tuple[Any, str]:
    """The file system of a URL, one a process, and the path in it.

    Args:
        token: of the Hub, for hf:// URLs.
    """
    scheme = read_scheme(url)
    url = scheme + url[len(scheme) :]
    place = url[len(scheme) + 3 :].partition("/")[0]
    system = make_system(os.getpid(), scheme, place, token if scheme == "hf" else None)
    return system, str(strip_protocol(url))


@cache
def make_system(pid: int, scheme: str, place: str, token: str | bool | None) -> Any:
    """A file system for all threads of a process: its connections do not survive a fork."""
    shown = hide_secrets(f"{scheme}://{place}")
    module, install = PACKAGES.get(scheme, ("", ""))
    if module and find_spec(module) is None:
        raise SettingsError(f"{shown} needs {module}: {install}")
    options = make_options(scheme)
    if token is not None:
        options["token"] = token
    try:
        system, _ = url_to_fs(f"{scheme}://{place}", **options)
    except (ImportError, ValueError) as error:
        raise SettingsError(f"{shown} cannot be opened: {error}") from error
    except OSError:  # some connect at once
        with explained(shown):
            raise
    if module == "s3fs":
        system.retries = TRIES
    return system


def make_options(scheme: str) -> dict[str, Any]:
    """Time limits, where the user's configuration of fsspec has none, and lists as they are now."""
    if scheme in ("s3", "s3a"):
        options: dict[str, Any] = {"use_listings_cache": False}
        if "config_kwargs" not in fsspec.config.conf.get("s3", {}):
            waits = {"connect_timeout": CONNECT_SECONDS, "read_timeout": SILENT_SECONDS}
            options["config_kwargs"] = {**waits, "retries": {"total_max_attempts": 1}}
        return options
    if scheme in ("http", "https"):
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
        return {"client_kwargs": {"timeout": timeout}}
    return {}
