"""What of this machine can run the tagger, and a remedy for what cannot.

Everything here looks and tells; nothing is printed, downloaded or changed. Sections are lazy: each
finding is handed out as soon as it is known, for the imports alone take seconds.
"""

import os
import platform
import re
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from packaging.specifiers import SpecifierSet

from .._version import __version__
from ..compat.torch_internals import has_amx, has_avx512_bf16
from . import model_files
from .libraries import brief, import_trouble, install, installed_version, requirements

# "error": tagging cannot work. "warning": something is broken that one can do without.
# "note": something is not there, and need not be.
State = Literal["ok", "note", "warning", "error"]

LIBRARIES = (
    "torch",
    "torchaudio",
    "transformers",
    "datasets",
    "numpy",
)  # all needed; decoders have a section
DECODERS = {"pyav": "av", "torchcodec": "torchcodec", "decord": "decord"}  # and what each is imported as

TONE_HZ, TONE_SECONDS, CLIP_RATE_HZ = 440.0, 0.5, 44_100  # what every decoder has to hear
TONE_WITHIN_HZ = 10.0  # AAC pads the clip, so its spectrum is a little wider
HUB_SECONDS = 3.0

FIRST_THINGS_FIRST = "See to the errors above first."


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, and what to do about it if it is not well."""

    subject: str
    state: State
    detail: str
    remedy: str | None = None


def examine(model: str | None = None, revision: str | None = None) -> Iterator[tuple[str, Iterator[Finding]]]:
    """Every section with its findings, each looked for when it is taken. No model: the default one.

    >>> for title, findings in examine("demo"):  # doctest: +SKIP
    ...     print(title, [finding.state for finding in findings])
    """
    yield "Versions", versions()
    yield "Decoders", decoders()
    yield "Devices", devices()
    yield "Models", models(model, revision)


# Versions


def versions() -> Iterator[Finding]:
    """Python, this package, and each library: there, new enough, and loading."""
    yield python_version()
    yield Finding("hf-audio-tagger", "ok", __version__)
    for name in LIBRARIES:
        yield library(name)


def python_version() -> Finding:
    found = platform.python_version()
    try:
        needed = SpecifierSet(metadata.metadata("hf-audio-tagger")["Requires-Python"] or "")
    except metadata.PackageNotFoundError:
        needed = SpecifierSet()
    if found in needed:
        return Finding("Python", "ok", found)
    return Finding("Python", "warning", f"{found}, not {needed}", "Make the environment with such a Python.")


def library(name: str) -> Finding:
    """A library that is needed: its version, or why it does not serve."""
    version = installed_version(name)
    if version is None:
        return Finding(name, "error", "is not installed", install(name))
    needed = requirements().get(name)
    if needed and not needed.specifier.contains(version, prereleases=True):
        return Finding(name, "error", f"{version}, but {needed.specifier} is needed", install(name))
    if trouble := import_trouble(name):
        beside = f" beside torch {installed_version('torch')}" if name == "torchaudio" else ""
        return Finding(name, "error", f"{version} does not load{beside}: {trouble}", install(name))
    return Finding(name, "ok", version)


# Decoders


def decoders() -> Iterator[Finding]:
    """Each decoder decodes a clip that is made here. Only PyAV is needed; "auto" falls back to it."""
    trouble = import_trouble("av")
    if trouble:
        version = installed_version("av") or "PyAV is not installed"
        yield Finding("pyav", "error", f"{version}: {trouble}", install("av"))
        return
    try:
        clip = tone_clip()
    except Exception as error:
        yield Finding("pyav", "error", f"cannot write a clip: {brief(error)}", install("av"))
        return
    for name in DECODERS:
        yield decoder(name, clip)


def decoder(name: str, clip: bytes) -> Finding:
    """What a decoder is, if it hears the clip's tone; else why it does not."""
    lesser: State = "error" if name == "pyav" else "warning"
    version = installed_version(DECODERS[name])
    if version is None:
        what_it_is_for = {
            "torchcodec": "is not installed; it is the fastest where FFmpeg is on the system",
            "decord": "is not installed; nothing needs it",
        }
        return Finding(name, "note", what_it_is_for.get(name, "is not installed"), install(DECODERS[name]))
    if name == "torchcodec" and (message := torchcodec_trouble()):
        return Finding(name, lesser, *torchcodec_advice(version, message))
    if trouble := import_trouble(DECODERS[name]) or why_deaf(name, clip):
        return Finding(name, lesser, f"{version}: {trouble}", install(DECODERS[name]))
    return Finding(name, "ok", f"{version}, decodes with {ffmpeg_of(name)}")


def tone_clip() -> bytes:
    """A short mp4 with one tone."""
    import io

    import numpy as np

    from ..demo.videos import write_video

    file = io.BytesIO()
    times = np.arange(int(TONE_SECONDS * CLIP_RATE_HZ)) / CLIP_RATE_HZ
    write_video(file, 0.5 * np.sin(2 * np.pi * TONE_HZ * times), CLIP_RATE_HZ)
    return file.getvalue()


def why_deaf(name: str, clip: bytes) -> str | None:
    """Why a decoder does not hear the tone of `tone_clip`; None where it does."""
    try:
        import numpy as np

        from ..cells import BytesMedia
        from ..media.audio import open_sound

        with open_sound(BytesMedia(clip), decoder=name) as sound:
            if sound is None:
                return "finds no sound in a clip that has some"
            samples, rate_hz = np.concatenate(list(sound.blocks())), sound.rate_hz
    except Exception as error:
        return f"does not decode ({brief(error)})"
    heard_hz = float(np.argmax(np.abs(np.fft.rfft(samples)))) * rate_hz / len(samples)
    if rate_hz != CLIP_RATE_HZ or abs(heard_hz - TONE_HZ) > TONE_WITHIN_HZ:
        return f"hears {heard_hz:.0f} Hz sampled at {rate_hz} Hz, not {TONE_HZ:.0f} at {CLIP_RATE_HZ}"
    return None


def torchcodec_trouble() -> str | None:
    """torchcodec's own words on why it finds no FFmpeg; None where it has one."""
    try:
        import torchcodec
        from torchcodec.decoders import AudioDecoder

        if getattr(torchcodec, "ffmpeg_major_version", "untold") is None:
            AudioDecoder(b"?")  # it imports without FFmpeg, and tells at the first clip
    except Exception as error:
        return str(error)
    return None


def torchcodec_advice(version: str, message: str) -> tuple[str, str]:
    """Detail and remedy from torchcodec's long message: one traceback for each FFmpeg it tried.

    That an FFmpeg is not there is expected of all versions but one; any other reason is the real one.
    """
    reasons = re.findall(r"^(?:OSError|ImportError): (.+)$", message, re.MULTILINE)
    wrappers = ("Could not load this library", "No spec found")
    absent = re.compile(r"lib(av|sw)\w+[.-].*(cannot open shared object|not loaded|could not be found)", re.I)
    real = [one for one in reasons if not one.startswith(wrappers) and not absent.search(one)]
    if real:
        return f"{version} does not load: {real[0][:200]}", (
            f"Install the torchcodec that was made for torch {installed_version('torch')} (the table at "
            'https://github.com/pytorch/torchcodec), or leave it: decoder="auto" takes PyAV.'
        )
    if not reasons:
        return f"{version} does not load: {' '.join(message.split())[:200]}", install("torchcodec")
    tried = re.findall(r"^FFmpeg version (\d+):", message, re.MULTILINE)
    which = f" of a version it knows ({min(tried, key=int)} to {max(tried, key=int)})" if tried else ""
    return f"{version} finds no FFmpeg{which} on this system", (
        "apt-get install ffmpeg, brew install ffmpeg or conda install ffmpeg; or leave it: "
        'decoder="auto" takes PyAV, which brings its own.'
    )


def ffmpeg_of(name: str) -> str:
    """The FFmpeg behind a decoder that works, as far as it tells."""
    if name == "pyav":
        import av

        return f"its own FFmpeg {av.ffmpeg_version_info}"
    if name == "torchcodec":
        import torchcodec

        return f"the system's FFmpeg {getattr(torchcodec, 'ffmpeg_major_version', '(version untold)')}"
    return "an FFmpeg of its own, a whole file at a time"


# Devices


def devices() -> Iterator[Finding]:
    """Where models can run, and what is native there."""
    try:
        import torch  # noqa: F401
    except Exception as error:
        yield Finding("devices", "error", f"unknown without torch ({brief(error)})", install("torch"))
        return
    yield processor()
    yield from cuda_devices()


def processor() -> Finding:
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = torch.get_num_threads()
    parts = [f"{cores} core{'s' * (cores > 1)}", f"torch computes on {threads} thread{'s' * (threads > 1)}"]
    if asked := os.environ.get("OMP_NUM_THREADS"):
        parts.append(f"OMP_NUM_THREADS={asked}")
    native = [
        name
        for name, is_there in (
            ("amx", has_amx()),
            ("avx512_bf16", has_avx512_bf16()),
        )
        if is_there
    ]
    parts.append(f"native bfloat16 ({', '.join(native)})" if native else "no native bfloat16")
    return Finding("cpu", "ok", ", ".join(parts))


def cuda_devices() -> Iterator[Finding]:
    """Each CUDA device, after it has computed something; or why there is none."""
    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for index in range(count):
        yield cuda_device(index)
    if count:
        return
    if not has_nvidia_driver():
        yield Finding("cuda", "note", "no device; models run on the CPU")
    elif torch.version.cuda is None:
        yield Finding(
            "cuda",
            "warning",
            f"there is an NVIDIA driver, but torch {torch.__version__} is a build for CPUs",
            "Install a CUDA build of torch and torchaudio: https://pytorch.org/get-started/locally/",
        )
    else:
        reason = f" ({brief(caught[0].message)})" if caught and isinstance(caught[0].message, Warning) else ""
        yield Finding(
            "cuda",
            "warning",
            f"there is an NVIDIA driver, but torch {torch.__version__} sees no device{reason}",
            f"Update the driver to one for CUDA {torch.version.cuda}, and look at CUDA_VISIBLE_DEVICES.",
        )


def has_nvidia_driver() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def cuda_device(index: int) -> Finding:
    import torch

    from ..models.spec import has_native_bfloat16

    device = torch.device("cuda", index)
    try:
        about = torch.cuda.get_device_properties(device)
        bfloat16 = ("" if has_native_bfloat16(device) else "no ") + "native bfloat16"
        memory = f"{about.total_memory / 2**30:.0f} GiB"
        torch.ones(8, device=device).sum().item()
    except Exception as error:
        return Finding(
            str(device),
            "warning",
            f"does not compute: {brief(error)}",
            "Use another device (CUDA_VISIBLE_DEVICES), or a torch built for this one.",
        )
    capability = f"compute capability {about.major}.{about.minor}"
    return Finding(str(device), "ok", f"{about.name}, {memory}, {capability}, {bfloat16}")


# Models


def models(model: str | None, revision: str | None) -> Iterator[Finding]:
    """The packaged one tags something; the wanted one is here or can be had."""
    yield packaged_model()
    yield wanted_model(model, revision)


def packaged_model() -> Finding:
    """The whole way once, with the model that is packaged: decode, resample, hear, tag."""
    subject, label = "packaged demo", "Siren"
    try:
        import io

        from .. import build_tagger
        from ..demo.sounds import synthesize
        from ..demo.videos import write_video

        file = io.BytesIO()
        write_video(file, synthesize(label, 4.0, CLIP_RATE_HZ, seed=0), CLIP_RATE_HZ)
        tag = build_tagger("demo", decoder="pyav").tag(file.getvalue())
    except Exception as error:
        return Finding(subject, "error", f"fails: {brief(error)}", FIRST_THINGS_FIRST)
    if tag != label:
        return Finding(subject, "error", f"takes a siren for {tag!r}", install(*LIBRARIES))
    return Finding(subject, "ok", "a siren in an mp4 is tagged 'Siren'")


def wanted_model(model: str | None, revision: str | None = None) -> Finding:
    """Whether a model is at hand, or can be had from the Hub."""
    try:
        from ..models.spec import WEIGHT_FAMILIES
        from ..settings import DEFAULT_MODEL
    except Exception as error:  # the libraries do not load
        return Finding("model", "error", f"unknown: {brief(error)}", FIRST_THINGS_FIRST)
    model = model or DEFAULT_MODEL
    if model == "demo":
        return Finding("model", "ok", "demo is packaged")
    if model in WEIGHT_FAMILIES:
        return weights_file(model)
    folder = Path(model).expanduser()
    if folder.is_dir():
        missing = model_files.lacking_in(folder)
        if not missing:
            return Finding("model", "ok", f"{model}: a local folder with all that is needed")
        return Finding(
            "model", "error", f"{model} lacks {', '.join(missing)}", "Write it with save_pretrained."
        )
    return hub_model(model, revision)


def weights_file(family: str) -> Finding:
    """YAMNet and VGGish take their weights from one file."""
    try:
        from ..models import vggish, yamnet
        from ..models.weights import find_weights

        path = find_weights(None, {"yamnet": yamnet, "vggish": vggish}[family].RELEASE)
    except Exception as error:
        return Finding("model", "error", str(error))  # it says where to get them and where to put them
    return Finding("model", "ok", f"{family}: weights in {path}")


def hub_model(model: str, revision: str | None) -> Finding:
    """In the cache with all that loading reads, else whether the Hub hands it out."""
    try:
        folder = model_files.cached_snapshot(model, revision)
    except Exception as error:  # no id of the Hub
        return Finding("model", "error", f"{model}: {model_files.reason_of(error)}", "Check the spelling.")
    missing = model_files.lacking_in(folder) if folder else []
    if folder and not missing:
        size = f"{model_files.folder_bytes(folder) / 1e6:.0f} MB"
        return Finding("model", "ok", f"{model}: in the cache, {size} ({folder.parents[1]})")
    cached = f"{model}: " + (f"in the cache without {', '.join(missing)}" if missing else "not in the cache")
    reason = model_files.why_unreachable(model, revision, HUB_SECONDS)
    if reason is None:
        return Finding(
            "model", "ok", f"{cached}; {model_files.hub_host()} has it, the first use downloads it"
        )
    return Finding(
        "model",
        "error",
        f"{cached}, and {reason}",
        f"Where there is a network run `hf-audio-tagger doctor --fetch {model}` and copy what it names to "
        f"{model_files.hub_cache()} here; or name another model or a local folder.",
    )
