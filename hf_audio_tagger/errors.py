"""The package's errors: a class for each kind that a caller may want to handle.

Every class takes its message alone. A worker's exception reaches the parent as a pickle, and one whose
``__init__`` takes other arguments cannot be unpickled: the parent would wait for ever.
"""

import pickle
from collections.abc import Iterator

MOST_CAUSES = 16  # followed for one error


class TaggerError(Exception):
    """The base class of this package's errors."""


class SettingsError(TaggerError, ValueError):
    """An invalid setting. Raised when the tagger is built, before any row is processed."""


class ColumnError(TaggerError, KeyError):
    """The rows lack the requested column, or a cell holds no video or sound."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show the message's repr


class ModelError(TaggerError, RuntimeError):
    """A model that cannot be loaded, or cannot be used as requested."""


class MediaError(TaggerError, RuntimeError):
    """A video or sound that cannot be read. Its message names the file and the reason."""


class ProcessError(TaggerError, RuntimeError):
    """An unsupported combination of processes and devices, such as CUDA before a fork."""


class RunError(TaggerError, RuntimeError):
    """A run that could not continue. Its message has the reason and how to resume; finished rows are kept."""


class ResourceError(RunError):
    """Open files, memory or disk space ran out. This is not caused by a clip, so the run ends."""


def transportable(error: Exception) -> Exception:
    """The error itself if a parent process can unpickle it, else a `TaggerError` with its message."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return TaggerError(f"{type(error).__name__}: {error}")
    return error


def iterate_causes(error: BaseException) -> Iterator[BaseException]:
    """The error, then its chain of causes."""
    cause: BaseException | None = error
    for _ in range(MOST_CAUSES):
        if cause is None:
            return
        yield cause
        hidden = getattr(cause, "os_error", None)  # where aiohttp keeps the system's error
        cause = cause.__cause__ or hidden or (None if cause.__suppress_context__ else cause.__context__)
