"""What went wrong at an object store, and what to do. Libraries of stores are known by their names alone."""

import errno
from collections.abc import Iterator
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
    "ConnectionRefusedError",
    "TimeoutError",
    "FSTimeoutError",
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
        if isinstance(error, FileNotFoundError):
            raise MissingError(errno.ENOENT, f"{name}: {describe_missing(error)}") from error
        code = errno.EACCES if isinstance(error, PermissionError) else errno.ECONNABORTED
        raise StoreError(code, f"{name}: {explain(error)}") from error


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
        name = type(cause).__name__
        text = str(cause)
        if name in NO_CREDENTIALS:
            return f"no credentials were found; {CREDENTIALS}"
        if isinstance(cause, PermissionError) or "Forbidden" in text:
            if any(word in text for word in WRONG_CREDENTIALS):
                return f"the credentials are wrong or have expired ({one_line(cause, 100)}); {CREDENTIALS}"
            return (
                "access is forbidden: these credentials may not do that there. Reading needs the rights to "
                "list and get, results also to put and delete"
            )
        if name in NO_CONNECTION:
            return (
                f"the store cannot be reached or does not answer ({hide_secrets(one_line(cause, 200))}); "
                "check the network, the region and the endpoint (AWS_ENDPOINT_URL)"
            )
    return f"the store answers with an error ({hide_secrets(one_line(error, 200))})"
