"""Files of this machine."""

import os
import stat
from pathlib import Path

from ..errors import MediaError


def check_regular_file(path: str, name: str) -> str:
    """The absolute path of a regular, non-empty file. Reading a pipe or a device might never end."""
    try:
        info = os.stat(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise MediaError(f"{name}: {reason or error}.") from error
    if stat.S_ISDIR(info.st_mode):
        raise MediaError(f"{name}: it is a directory, not a file.")
    if not stat.S_ISREG(info.st_mode):
        raise MediaError(f"{name}: it is not a regular file.")
    if info.st_size == 0:
        raise MediaError(f"{name}: it is empty (0 bytes).")
    return str(Path(path).absolute())
