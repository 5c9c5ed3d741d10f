"""The machine that was measured on, in words."""

import os
import platform
from importlib import metadata
from pathlib import Path

LIBRARIES = ("torch", "torchaudio", "transformers", "datasets", "av", "torchcodec", "openvino", "numpy")
BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")  # the last is Arm's


def describe(gpu: str | None) -> dict[str, str]:
    """What a reader needs to compare: processor, cores, memory, GPU and versions."""
    cores = f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores"
    name = ", ".join(part for part in (cores, processor(), gpu) if part)
    return {
        "name": name,
        "bfloat16 instructions": ", ".join(sorted(flags() & set(BFLOAT16_FLAGS))) or "none",
        "memory": f"{memory_gib():.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": ", ".join(f"{library} {version(library)}" for library in LIBRARIES),
    }


def processor() -> str:
    for line in read_lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def flags() -> set[str]:
    """What the processor says it can."""
    for line in read_lines("/proc/cpuinfo"):
        if line.startswith(("flags", "Features")):
            return set(line.partition(":")[2].split())
    return set()


def has_bfloat16() -> bool:
    return bool(flags() & set(BFLOAT16_FLAGS))


def memory_gib() -> float:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):
        return 0.0


def version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "not installed"


def load() -> str:
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def read_lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
