"""Errors of clients and servers in plain words, with what to do; and which of them are transient."""

import errno
import socket
import ssl

import aiohttp

from ...errors import MediaError, iterate_causes
from ..failures import describe_error
from . import web

BROKEN_CONNECTION = (ConnectionResetError, aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError)
TRANSIENT_STATUSES = (408, 425, 429, 500, 502, 503, 504)
REFUSED = "the connection was refused; check the host and port, and that the server runs"
KINDS = {  # of errors; the first that fits counts
    (aiohttp.TooManyRedirects,): "the server redirects too many times (in a circle?); check the URL",
    (aiohttp.RedirectClientError,): "the server redirects to what is not an http or https URL ({details})",
    (aiohttp.InvalidURL,): "the URL is not valid ({details})",
    (ssl.SSLError, ssl.CertificateError, aiohttp.ClientSSLError): (
        "no secure connection could be made (TLS: {details}); check the server's certificate"
    ),
    (socket.gaierror, aiohttp.ClientConnectorDNSError): (
        "the name of its host cannot be resolved (DNS); check the URL and the network"
    ),
    (ConnectionRefusedError,): REFUSED,
    (TimeoutError,): "the server did not answer for {seconds:g} s (timed out); try again later",
    BROKEN_CONNECTION: "the server closed the connection too early ({details}); try again later",
    (PermissionError,): "access is denied ({details}); check the token or credentials",
}
STATUSES = {
    401: "the server requires a login (HTTP 401); pass a token, or check that it is valid",
    403: "access is forbidden (HTTP 403): it is private, gated or blocked; check the token's rights",
    404: "it was not found (HTTP 404); check the URL",
    410: "it was not found (HTTP 410); check the URL",
    429: "the server received too many requests (HTTP 429); try again later, with fewer processes",
}


def find_status(error: BaseException) -> int | None:
    """The HTTP status of an error of aiohttp, huggingface_hub or requests."""
    status = getattr(error, "status", None) or getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def is_transient(error: BaseException) -> bool:
    """True for what may succeed a moment later."""
    return any(
        isinstance(cause, BROKEN_CONNECTION) or find_status(cause) in TRANSIENT_STATUSES
        for cause in iterate_causes(error)
    )


def explain_error(error: BaseException) -> str:
    """What went wrong, and what to do: by the first of the error's causes that is known."""
    for cause in iterate_causes(error):
        if text := explain_cause(cause):
            return text
    while isinstance(error, FileNotFoundError):
        if error.__cause__ is None:
            return "it was not found; check the address"
        error = error.__cause__
    return describe_error(error).rstrip(".")


def explain_cause(error: BaseException) -> str | None:
    """One error by itself; None where it explains nothing."""
    if isinstance(error, MediaError):
        return str(error).rstrip(".")
    for kinds, text in KINDS.items():
        if isinstance(error, kinds):
            return text.format(details=describe_error(error), seconds=web.SILENT_SECONDS)
    if getattr(error, "errno", None) == errno.ECONNREFUSED:
        return REFUSED
    status = find_status(error)
    if status is None:
        return None
    if status >= 500:
        return f"the server failed (HTTP {status}); try again later"
    return STATUSES.get(status, f"the server answers with HTTP {status}")
