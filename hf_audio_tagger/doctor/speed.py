"""Times the model with each engine and dtype that this machine has, and says which settings to pass."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ..errors import TaggerError
from .libraries import Finding, find_version, shorten
from .models import Examined

if TYPE_CHECKING:
    from ..speed import Timing

EXTRA = 'pip install "hf-audio-tagger[openvino]"'


def check_speed(
    model: str | None, revision: str | None, examine_model: Callable[[], Examined]
) -> Iterator[Finding]:
    """One finding for each engine and dtype, and one with the fastest. Nothing is downloaded for this."""
    try:
        import torch

        from ..models import ModelSpec
        from ..models.registry import resolve_family
        from ..process import pick_device
        from ..settings import DEFAULT_MODEL
        from ..speed import time_windows
        from ..tagger import build_tagger
    except Exception as error:  # the libraries do not load
        yield Finding("speed", "note", f"not measured: {shorten(error)}")
        return
    spec = ModelSpec(model or DEFAULT_MODEL, revision)
    takes_labels = resolve_family(spec, download=False).takes_labels  # their number costs nothing
    tagger = build_tagger(spec.model, revision=revision, embeddings=takes_labels)
    found, is_local = examine_model()
    if not is_local:
        yield Finding("speed", "note", f"not measured: {found.detail}", found.remedy)
        return
    fastest: Timing | None = None
    try:
        for timing in time_windows(tagger):
            name = f"{timing.engine} {timing.dtype}"
            if timing.error is not None:
                yield Finding(name, "warning", f"fails: {timing.error}", "Use another engine or dtype.")
                continue
            yield Finding(name, "ok", describe_timing(timing))
            if fastest is None or timing.seconds < fastest.seconds:
                fastest = timing
    except TaggerError as error:
        yield Finding("speed", "warning", f"not measured: {shorten(error)}")
    if fastest is not None:
        line = f'{fastest.options}, or build_tagger(engine="{fastest.engine}", dtype="{fastest.dtype}")'
        yield Finding("fastest here", "ok", line)
    if find_version("openvino") is None and torch.device(pick_device(None)).type == "cpu":
        detail = "is not installed; AST took 0.8 of the time of torch with it in float32, 0.7 in bfloat16"
        yield Finding("openvino", "note", detail, EXTRA)


def describe_timing(timing: "Timing") -> str:
    loading = f"{timing.loading_seconds:.0f} s to load"
    return f"{timing.seconds_per_clip:.3g} s a window of {timing.sound_seconds:.3g} s, {loading}"
