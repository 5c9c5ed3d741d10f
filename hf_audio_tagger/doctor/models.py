"""Checks that the packaged model works, and that the given model is on disk or can be downloaded."""

import io
from collections.abc import Callable, Iterator

from .libraries import LIBRARIES, Finding, State, install_command, shorten

ERRORS_FIRST = "Fix the errors above first."
RATE_HZ = 44_100

Examined = tuple[Finding, bool]  # and whether the model's files are on this machine


def check_models(examine_model: Callable[[], Examined]) -> Iterator[Finding]:
    yield check_demo()
    yield examine_model()[0]


def check_demo() -> Finding:
    """Tag a video with the packaged model."""
    subject, label = "packaged demo", "Siren"
    try:
        from ..demo.sounds import synthesize
        from ..demo.videos import write_video
        from ..tagger import build_tagger

        file = io.BytesIO()
        write_video(file, synthesize(label, 4.0, RATE_HZ, seed=0), RATE_HZ)
        tag = build_tagger("demo", decoder="pyav").tag(file.getvalue())
    except Exception as error:
        return Finding(subject, "error", f"fails: {shorten(error)}", ERRORS_FIRST)
    if tag != label:
        return Finding(subject, "error", f"tags a siren as {tag!r}", install_command(*LIBRARIES))
    return Finding(subject, "ok", "a siren in an mp4 is tagged 'Siren'")


def check_model(model: str | None, revision: str | None = None) -> Finding:
    return examine_model(model, revision)[0]


def examine_model(model: str | None, revision: str | None = None) -> Examined:
    """Look for the model's files; the Hub may be asked for them."""
    try:
        from ..models import ModelSpec
        from ..models.registry import find_family
        from ..tagger import DEFAULT_MODEL
    except Exception as error:  # the libraries do not load
        return Finding("model", "error", f"unknown: {shorten(error)}", ERRORS_FIRST), False
    spec = ModelSpec(model or DEFAULT_MODEL, revision)
    files = find_family(spec.model).find_files(spec)
    state: State = "ok" if files.is_ready else "error"
    return Finding("model", state, files.detail, files.remedy), files.is_local
