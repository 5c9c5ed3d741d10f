"""The memory and the disk space of this machine."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .libraries import Finding, shorten

GIB = 2**30
NEEDED_MEMORY_BYTES = 4 * GIB  # AST in OpenVINO takes 3.4 GB while it is converted
NEEDED_DISK_BYTES = 2 * GIB  # a model in the cache, and shards
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container; "max" without a limit


def check_machine() -> Iterator[Finding]:
    if (memory := find_memory_bytes()) is not None:
        detail = f"{memory / GIB:.1f} GiB"
        if memory < NEEDED_MEMORY_BYTES:
            remedy = 'Take model="yamnet", or engine="torch" with one process.'
            yield Finding("memory", "warning", f"{detail}; AST takes up to 4", remedy)
        else:
            yield Finding("memory", "ok", detail)
    for name, folder in list_folders().items():
        yield check_disk(name, folder)


def find_memory_bytes() -> int | None:
    """The memory that this process may use; None where the system does not say."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a Unix
        return None
    try:
        limit = CGROUP_LIMIT.read_text("ascii").strip()
    except OSError:
        return memory
    return min(memory, int(limit)) if limit.isdigit() else memory


def list_folders() -> dict[str, Path]:
    """The folders that are written to: of models and datasets, of temporary files, and the current one."""
    from huggingface_hub import constants

    return {
        "disk (cache)": Path(constants.HF_HOME),
        "disk (temporary)": Path(tempfile.gettempdir()),
        "disk (here)": Path.cwd(),
    }


def check_disk(name: str, folder: Path) -> Finding:
    existing = next(one for one in (folder, *folder.parents) if one.is_dir())
    try:
        free = shutil.disk_usage(existing).free
    except OSError as error:
        return Finding(name, "warning", f"{folder}: {shorten(error)}")
    detail = f"{free / GIB:.1f} GiB free in {folder}"
    if free < NEEDED_DISK_BYTES:
        return Finding(name, "warning", detail, "Free some space, or set HF_HOME or TMPDIR to another disk.")
    return Finding(name, "ok", detail)
