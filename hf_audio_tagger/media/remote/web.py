"""Reading over HTTP: limits on responses and redirects, and readable error messages.

Servers are not trusted. A server may redirect to the local network (internal services, cloud metadata at
169.254.169.254), answer a range request with an endless body, or send a compressed body that unpacks to
gigabytes in memory.
"""

import ipaddress
import re
import socket
import ssl
import time
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from ...errors import MediaError, iterate_causes
from ...text import hide_secrets
from ..failures import describe_error

SILENT_SECONDS = 60.0  # to connect, and between two pieces of a response
# A clip's opening, reads and retries together, without its decoding: twice the timeout, and for what arrives
# as long as a slow line takes, up to the most.
STALLED_SECONDS = 2 * SILENT_SECONDS
SLOW_BYTES_PER_SECOND = 20_000
READING_SECONDS = 300.0
GRACE_SECONDS = 5.0  # a request times out this much later than its clip, whose error is more specific

PUBLIC_IPV6 = ipaddress.ip_network("2000::/3")
# IPv6 addresses that stand for an IPv4 address: its last 32 bits.
IPV4_IN_IPV6 = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "::/96", "::ffff:0:0/96")))

BROKEN_CONNECTION = (ConnectionResetError, aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError)
TRANSIENT_STATUSES = (408, 425, 429)
LASTING_STATUSES = (501, 505)  # of those from 500 on, which a retry may mend
KINDS: dict[Any, str] = {  # by error type; the first match is used
    aiohttp.TooManyRedirects: "the server redirects too many times (in a circle?); check the URL",
    aiohttp.RedirectClientError: "the server redirects to what is not an http or https URL ({details})",
    aiohttp.InvalidURL: "the URL is not valid ({details})",
    ssl.SSLError: "no secure connection could be made (TLS: {details}); check the server's certificate",
    socket.gaierror: "the name of its host cannot be resolved (DNS); check the URL and the network",
    ConnectionRefusedError: "the connection was refused; check the host and port, and that the server runs",
    TimeoutError: "the server did not answer for {seconds:g} s (timed out); try again later",
    BROKEN_CONNECTION: "the server closed the connection too early ({details}); try again later",
    PermissionError: "access is denied ({details}); check the token or credentials",
}
STATUSES = {
    401: "the server requires a login (HTTP 401); pass a token, or check that it is valid",
    403: "access is forbidden (HTTP 403): it is private, gated or blocked; check the token's rights",
    404: "it was not found (HTTP 404); check the URL",
    410: "it was not found (HTTP 410); check the URL",
    429: "the server received too many requests (HTTP 429); try again later, with fewer processes",
}


class RefusedError(MediaError):
    """A refused response. The message is the reason, without the clip's name."""


class NoRangesError(RefusedError):
    """A server that does not support range requests."""


class AnswerError(Exception):
    """A status from 400 on; the host, where a redirect led to another; the pause that it asks for."""

    def __init__(self, status: int, host: str | None, retry_after_seconds: float | None) -> None:
        super().__init__(status, host, retry_after_seconds)
        self.status, self.host, self.retry_after_seconds = status, host, retry_after_seconds


@dataclass
class RequestState:
    """One request and its redirects so far."""

    was_public: bool = False
    is_proxied: bool = False

    def check(self, address: str) -> None:
        """Refuse a redirect from a public to a non-public address. The original URL may be either."""
        if self.was_public and not is_public(address):
            what = "which is not a public address; pass that URL itself if it is meant"
            raise RefusedError(f"the server redirects to {address}, {what}")


REQUEST: ContextVar[RequestState | None] = ContextVar("REQUEST", default=None)
BODIES: ContextVar[list[Any] | None] = ContextVar("BODIES", default=None)  # of the current clip


def is_public(address: str) -> bool:
    """True for an address of the internet: not loopback, link-local, private, multicast or reserved."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.sixtofour or (ip.teredo[1] if ip.teredo else None)  # the embedded IPv4 address
        if any(ip in network for network in IPV4_IN_IPV6):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if inner is None:
            return ip in PUBLIC_IPV6 and ip.is_global
        ip = inner
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


class CheckedResolver(aiohttp.ThreadedResolver):
    """Checks the resolved addresses of a redirect's host before a request is sent."""

    async def resolve(self, host: str, *args: Any, **kwargs: Any) -> list[Any]:
        results = await super().resolve(host, *args, **kwargs)
        request = REQUEST.get()
        if request and not request.is_proxied:
            for result in results:
                request.check(result["host"])
        return results


class CheckedConnector(aiohttp.TCPConnector):
    """Checks every hop: an IP address before connecting, and the peer after connecting.

    The peer is checked because a name may resolve differently later, and a reused connection resolves none.
    Behind the user's own proxy, the address is known only if the URL contains an IP address.
    """

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
        request = REQUEST.get() or RequestState()
        request.is_proxied = req.proxy is not None
        with suppress(ValueError):  # a host name, checked when it is resolved
            request.check(req.url.host)
            if request.is_proxied:
                request.was_public = is_public(req.url.host)
        connection = await super().connect(req, traces, timeout)
        peer = connection.transport and connection.transport.get_extra_info("peername")
        if peer and not request.is_proxied:
            try:
                request.check(peer[0])
            except RefusedError:
                connection.close()
                raise
            request.was_public = is_public(peer[0])
        return connection


async def begin_request(_session: Any, context: Any, _params: Any) -> None:
    """Once per request, including its redirects. The context is True for the target of a public one."""
    REQUEST.set(RequestState(was_public=context.trace_request_ctx is True))


async def check_response(_session: Any, _context: Any, params: aiohttp.TraceRequestEndParams) -> None:
    """Refuse bodies that fsspec would load whole: compressed ones, and ones larger than requested."""
    response, error = params.response, None
    if (bodies := BODIES.get()) is not None:
        bodies.append(response.content)
    if response.status >= 400 or response.method == "HEAD":
        return
    encoding = response.headers.get("Content-Encoding") or "identity"
    if encoding != "identity":
        error = RefusedError(f"the server sends it compressed ({encoding}), which was not requested")
    elif requested := params.headers.get("Range"):
        first, last = map(int, requested.removeprefix("bytes=").split("-"))
        length = response.content_length
        is_range = response.status == 206 or first == 0
        if not is_range or length is None or length > last - first + 1:
            error = NoRangesError("the server sends more than the range that was requested")
    if error is not None:
        response.close()
        raise error


async def open_session(**options: Any) -> aiohttp.ClientSession:
    """The session of fsspec's HTTP file system."""
    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(begin_request)
    trace.on_request_end.append(check_response)
    return aiohttp.ClientSession(
        connector=CheckedConnector(resolver=CheckedResolver()),
        trace_configs=[trace],
        headers={"Accept-Encoding": "identity"},  # byte ranges of a compressed body are useless
        auto_decompress=False,
        **options,
    )


def http_options() -> dict[str, Any]:
    """fsspec's options: a timeout for every wait, and checks of every hop."""
    timeout = aiohttp.ClientTimeout(
        total=READING_SECONDS + GRACE_SECONDS, connect=SILENT_SECONDS, sock_read=SILENT_SECONDS
    )
    options = {"client_kwargs": {"trust_env": True, "timeout": timeout}, "get_client": open_session}
    return {"http": options, "https": options}


def find_status(error: BaseException) -> int | None:
    """The HTTP status of an error of aiohttp, huggingface_hub or requests."""
    status = getattr(error, "status", None) or getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def is_transient(error: BaseException) -> bool:
    """True if a retry may succeed."""
    statuses = [find_status(cause) or 0 for cause in iterate_causes(error)]
    return any(isinstance(cause, BROKEN_CONNECTION) for cause in iterate_causes(error)) or any(
        status in TRANSIENT_STATUSES or (status >= 500 and status not in LASTING_STATUSES)
        for status in statuses
    )


def read_retry_after(value: str | None) -> float | None:
    """The seconds that a `Retry-After` header asks to wait: a number of them, or a date.

    >>> read_retry_after("120")
    120.0
    """
    if value is None:
        return None
    if re.fullmatch(r"\d{1,9}", value.strip()):
        return float(value)
    with suppress(ValueError, OverflowError):
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    return None


def find_retry_after(error: BaseException) -> float:
    """The seconds that the server asked to wait before a retry; 0 where it did not ask."""
    found = (getattr(cause, "retry_after_seconds", None) for cause in iterate_causes(error))
    return max((seconds for seconds in found if seconds is not None), default=0.0)


def explain_error(error: BaseException) -> str:
    """What went wrong and what to do, from the first known error in the chain of causes."""
    for cause in iterate_causes(error):
        if text := explain_cause(cause):
            return hide_secrets(text)
    while isinstance(error, FileNotFoundError):
        if error.__cause__ is None:
            return "it was not found; check the address"
        error = error.__cause__
    return hide_secrets(describe_error(error).rstrip("."))


def explain_cause(error: BaseException) -> str | None:
    """Explain one error without its causes; None if it is unknown."""
    if isinstance(error, MediaError):
        return str(error).rstrip(".")
    for kind, text in KINDS.items():
        if isinstance(error, kind):
            return text.format(details=describe_error(error), seconds=SILENT_SECONDS)
    status = find_status(error)
    if status is None:
        return None
    text = STATUSES.get(status, f"the server answers with HTTP {status}")
    if status >= 500:
        text = f"the server failed (HTTP {status}); try again later"
    asked = getattr(error, "retry_after_seconds", None)
    host = getattr(error, "host", None)
    pause = f", and asks to wait {asked:.0f} s" if asked else ""
    return text + (f"; {host}, to which the URL leads, says so" if host else "") + pause
