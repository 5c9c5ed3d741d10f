"""What went wrong at an object store, and what to do. Libraries of stores are known by their names alone."""

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ..errors import iterate_causes
from ..text import hide_secrets, one_line

CREDENTIALS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, as for other tools of the store"
)
NO_CREDENTIALS = (
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "ProfileNotFound",
)
WRONG_CREDENTIALS = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "access key", "signature")
NO_CONNECTION = (
    "EndpointConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ConnectionClosedError",
    "ClientConnectorError",
    "ServerDisconnectedError",
    "ConnectionError",
    "TimeoutError",
    "gaierror",
)


class StoreError(OSError):
    """A request to a store that failed; its text says what to do. Not a sign of damaged content."""


class MissingError(StoreError, FileNotFoundError):
    """There is no such object, prefix or bucket."""


class ExistsError(StoreError, FileExistsError):
    """An object that must not exist is there."""


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn errors of a store's library into a `StoreError` about a URL."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        name = hide_secrets(url)
        if isinstance(error, FileExistsError):
            raise ExistsError(errno.EEXIST, f"{name} exists") from error
        if isinstance(error, FileNotFoundError) and not is_failed_request(error):
            raise MissingError(errno.ENOENT, f"{name}: {describe_missing(error)}") from error
        code = errno.EACCES if isinstance(error, PermissionError) else errno.ECONNABORTED
        raise StoreError(code, f"{name}: {explain(error)}") from error


def is_failed_request(error: Exception) -> bool:
    """Whether a file is not missing: fsspec says so, too, of a web server that refuses or is not there."""
    causes = [cause for cause in iterate_causes(error) if cause is not error]
    return any(is_of(one, NO_CONNECTION) or read_status(one) not in (0, 404) for one in causes)


def is_of(error: BaseException, names: Iterable[str]) -> bool:
    """Whether an error's class, or one that it derives from, has one of these names."""
    return not {kind.__name__ for kind in type(error).__mro__}.isdisjoint(names)


def read_status(error: BaseException) -> int:
    """The status of a web server's answer; 0 for other errors."""
    status = getattr(error, "status", 0)
    return status if isinstance(status, int) else 0


def describe_missing(error: Exception) -> str:
    """
    >>> describe_missing(FileNotFoundError("The specified bucket does not exist"))
    'there is no such bucket; check its name, and the endpoint (AWS_ENDPOINT_URL)'
    """
    if "bucket does not exist" in str(error).lower() or "NoSuchBucket" in str(error):
        return "there is no such bucket; check its name, and the endpoint (AWS_ENDPOINT_URL)"
    return "there is no such file"


def explain(error: Exception) -> str:
    """The reason and a remedy, from the first known error in the chain of causes."""
    for cause in iterate_causes(error):
        text, status = str(cause), read_status(cause)
        if is_of(cause, NO_CREDENTIALS):
            return f"no credentials were found; {CREDENTIALS}"
        if status in (401, 403):
            return f"access is forbidden (HTTP {status}); check the address, its signature or token"
        if status >= 400:
            return f"the server answers with HTTP {status}; try again later"
        if isinstance(cause, PermissionError) or "Forbidden" in text:
            if any(word in text for word in WRONG_CREDENTIALS):
                return f"the credentials are wrong or have expired ({one_line(cause, 100)}); {CREDENTIALS}"
            return (
                "access is forbidden: these credentials may not do that there. Reading needs the rights to "
                "list and get, results also to put and delete"
            )
        if is_of(cause, NO_CONNECTION):
            return (
                f"the store cannot be reached or does not answer ({hide_secrets(one_line(cause, 200))}); "
                "check the network, the region and the endpoint (AWS_ENDPOINT_URL)"
            )
    return f"the store answers with an error ({hide_secrets(one_line(error, 200))})"
