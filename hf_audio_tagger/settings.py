"""What a tagger's settings may be. Wrong ones are told when the tagger is built."""

import os
import re
from numbers import Real
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .cells import is_url
from .errors import SettingsError
from .models.registry import check_spec
from .models.spec import DTYPES, ENGINES
from .models.weights import URL_SCHEMES, without_secrets

if TYPE_CHECKING:
    from .tagger import Tagger

CHOICES = {
    "channels": ("mean", "first"),
    "decoder": ("auto", "torchcodec", "pyav", "decord"),
    "dtype": DTYPES,
    "engine": ENGINES,
    "on_error": ("raise", "record"),
}
WINDOWS = ("first", "all")
DEVICE = r"cpu|mps|(cuda|xpu)(:\d+)?"


def check_settings(tagger: "Tagger") -> None:
    """Raise a SettingsError that names the setting, its value and what it may be."""
    for name, choices in CHOICES.items():
        if getattr(tagger, name) not in choices:
            raise wrong(name, getattr(tagger, name), "one of " + ", ".join(map(repr, choices)))
    for name in ("model", "tag_column"):
        require(isinstance(getattr(tagger, name), str) and getattr(tagger, name), name, tagger, "a name")
    for name in ("trust_remote_code", "segments", "embeddings", "redo"):
        require(isinstance(getattr(tagger, name), bool), name, tagger, "True or False")
    require(tagger.batched in (None, True, False), "batched", tagger, "None, True or False")
    require(is_count(tagger.batch_size), "batch_size", tagger, "a whole number from 1 on")
    require(
        tagger.top_k is None or is_count(tagger.top_k), "top_k", tagger, "None or a whole number from 1 on"
    )
    windows_fit = tagger.windows is None or tagger.windows in WINDOWS or is_count(tagger.windows)
    require(windows_fit, "windows", tagger, 'None, "first", "all" or how many to spread over the clip')
    hop_fits = tagger.hop_seconds is None or (is_number(tagger.hop_seconds) and tagger.hop_seconds > 0)
    require(hop_fits, "hop_seconds", tagger, "None or a number above 0")
    require(tagger.threshold is None or is_number(tagger.threshold), "threshold", tagger, "None or a score")
    device_fits = tagger.device is None or re.fullmatch(DEVICE, str(tagger.device))
    require(device_fits, "device", tagger, 'None or such as "cpu", "cuda", "cuda:1", "mps"')
    check_combinations(tagger)


def check_combinations(tagger: "Tagger") -> None:
    """Settings that are fine alone and make no sense together."""
    if tagger.threshold is not None and tagger.top_k is None:
        raise SettingsError("threshold= trims the column that top_k= adds; pass top_k too, as in top_k=10.")
    if tagger.hop_seconds is not None and tagger.windows in ("first",):
        raise SettingsError('hop_seconds= is the step from window to window; it needs windows="all".')
    check_spec(tagger.spec)
    if tagger.weights is not None:
        check_weights(tagger.weights)


def check_weights(weights: str) -> None:
    """Refuse a path without a file, and a URL that cannot be downloaded; its secrets are not told."""
    if not is_url(weights):
        if not os.path.isfile(os.path.expanduser(weights)):
            raise SettingsError(f"weights={weights!r}: there is no such file.")
        return
    url = urlsplit(weights)
    if url.scheme not in URL_SCHEMES or "@" in url.netloc:
        raise SettingsError(
            f"weights={without_secrets(weights)!r}: they come from a path, or an http, https or file URL "
            "without a user's name and password."
        )


def require(fits: Any, name: str, tagger: "Tagger", what: str) -> None:
    if not fits:
        raise wrong(name, getattr(tagger, name), what)


def wrong(name: str, value: Any, what: str) -> SettingsError:
    return SettingsError(f"{name}={value!r} cannot be; it is {what}.")


def is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
