"""How fast a model is here with each engine and dtype, and which of them to choose for this machine.

The defaults are the same on every machine, since tags must not depend on it. A choice for this machine is
made on request, from its hardware and libraries alone, so that the same command makes the same choice again.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, TypedDict

from . import memo, models
from .checks import check_counts
from .choices import Dtype, Engine
from .models.registry import resolve_family
from .models.spec import has_native_bfloat16
from .process import core_share, pick_device
from .settings import DEFAULT_MODEL
from .tagger import Tagger, build_tagger
from .text import one_line

TIMED_WINDOWS = 3
WARM_UP_SECONDS = 1.0  # of sound in each clip before the timing
SEED = 0


@dataclass(frozen=True)
class Timing:
    """How long a tagger took for some clips, without the time to load its model."""

    engine: str
    dtype: str
    loading_seconds: float = 0.0  # until the first result
    seconds: float = 0.0  # for all clips
    sound_seconds: float = 0.0  # of a window, where windows were timed
    tags: tuple[str | None, ...] = ()
    error: str | None = None  # why it does not run here

    @property
    def seconds_per_clip(self) -> float:
        return self.seconds / max(1, len(self.tags))

    @property
    def options(self) -> str:
        """As options of the shell.

        >>> Timing("openvino", "bfloat16").options
        '--engine openvino --dtype bfloat16'
        """
        return f"--engine {self.engine} --dtype {self.dtype}"


class SpeedSettings(TypedDict):
    """The settings of `build_tagger` that speed depends on."""

    engine: Engine
    dtype: Dtype


def fastest_settings(model: str = DEFAULT_MODEL, **settings: Any) -> SpeedSettings:
    """The engine and dtype that are the fastest for a model on this machine, for `build_tagger`.

    They depend on the hardware and on the libraries that are installed, and so do the last digits of scores;
    `hf-audio-tagger doctor` measures them. A few tags may differ from those of the defaults.

    Args:
        model: as in `build_tagger`.
        settings: others of `build_tagger`; revision, token and device matter here.

    >>> tagger = build_tagger("demo", **fastest_settings("demo"))
    """
    settings = {"embeddings": True, **settings}  # a model that needs labels is built without them, too
    tagger = build_tagger(model, **{**settings, "engine": "torch", "dtype": "float32"})
    fastest = list_choices(tagger)[-1]
    return {"engine": fastest.engine, "dtype": fastest.dtype}


def list_choices(tagger: Tagger) -> list[Tagger]:
    """The tagger with each engine and dtype that this machine has, from the slowest to the fastest.

    The order is as measured on CPUs with bfloat16 units: half as many bits gain more than the engine.
    """
    import torch

    family, device = resolve_family(tagger.spec), torch.device(pick_device(tagger.device))
    dtypes: list[Dtype] = ["float32"]
    if has_native_bfloat16(device):
        dtypes.append("bfloat16")
    engines: list[Engine] = ["torch"]
    if device.type == "cpu" and find_spec("openvino") is not None:
        engines.append("openvino")
    supported = family.list_engines(tagger.spec)
    return [
        replace(tagger, engine=engine, dtype=dtype)
        for dtype in dtypes
        for engine in engines
        if dtype in family.dtypes and engine in supported
    ]


def time_choices(tagger: Tagger, clips: Sequence[Any]) -> Iterator[Timing]:
    """Time a tagger over some clips, then the other engines and dtypes that this machine has."""
    asked = tagger.spec.resolve_dtype(tagger.device)
    yield time_clips(tagger, clips)
    for choice in list_choices(tagger):
        if (choice.engine, choice.dtype) != (tagger.engine, asked):
            yield time_clips(choice, clips)


def time_clips(tagger: Tagger, clips: Sequence[Any]) -> Timing:
    """Time a tagger over clips, each anything that a cell may hold. Clips that cannot be read count, too."""
    tagger = replace(tagger, on_error="record")
    timing = Timing(tagger.engine, tagger.spec.resolve_dtype(tagger.device))
    try:
        with memo.disabled():
            started = time.perf_counter()
            # As many as share the cores, and one more: engines compile themselves for either case.
            tagger.classify(make_noises(core_share() + 1, WARM_UP_SECONDS))
            loaded = time.perf_counter()
            results = tagger.classify(list(clips))
            ended = time.perf_counter()
    except Exception as error:  # whatever a library raises: the other choices are timed nevertheless
        return replace(timing, error=one_line(error, 200))
    tags = tuple(result.tag for result in results)
    return replace(timing, loading_seconds=loaded - started, seconds=ended - loaded, tags=tags)


def time_windows(tagger: Tagger, count: int = TIMED_WINDOWS) -> Iterator[Timing]:
    """Time some windows of noise with each engine and dtype that this machine has.

    >>> [timing.seconds_per_clip for timing in time_windows(build_tagger("demo"))]  # doctest: +SKIP
    [0.021, 0.017]
    """
    check_counts(count=count)
    model = models.get_model(tagger.spec, tagger.device)
    seconds = model.window_samples / model.rate_hz
    noises = make_noises(count, seconds)
    for choice in list_choices(replace(tagger, windows="first", hop_seconds=None)):
        yield replace(time_clips(choice, noises), sound_seconds=seconds)


def make_noises(count: int, seconds: float, rate_hz: int = 16_000) -> list[dict[str, Any]]:
    """Cells of noise, each another one: windows that are equal may be computed once."""
    import numpy as np

    shape = (count, max(1, round(seconds * rate_hz)))
    noises = np.random.default_rng(SEED).normal(0, 0.1, shape).astype(np.float32)
    return [{"array": noise, "sampling_rate": rate_hz} for noise in noises]
