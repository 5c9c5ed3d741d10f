"""Reading over HTTP: what a server may answer, where it may lead, and what went wrong in plain words.

A server is a stranger. It may redirect into the network of the machine that reads (its own services, a
cloud's metadata at 169.254.169.254), answer a request for a part with a body without an end, or pack a
body so that it unpacks to gigabytes in memory. Imported only where a URL is read.
"""

import asyncio
import errno
import ipaddress
import socket
import ssl
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp.abc import ResolveResult

from ..errors import MediaError
from .container import one_line
from .failures import causes_of

SILENT_SECONDS = 60.0  # to connect, and between two pieces of an answer
READING_SECONDS = 300.0  # a clip's opening, reads and retries together, whatever its decoding takes
GRACE_SECONDS = 5.0  # a request ends so much later than its clip, whose error says more

PUBLIC_IPV6 = ipaddress.ip_network("2000::/3")
# IPv6 addresses that stand for an IPv4 address: its last 32 bits.
IPV4_IN_IPV6 = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "::/96", "::ffff:0:0/96")))
PASSING_STATUSES = (408, 425, 429, 500, 502, 503, 504)


class RefusedError(MediaError):
    """What is not taken from a server. The message is the reason, without the clip's name."""


class NoRangesError(RefusedError):
    """A server that answers a request for a part with something else."""


@dataclass
class Hops:
    """One request's way over its redirects."""

    was_public: bool = False
    is_proxied: bool = False

    def check(self, address: str) -> None:
        """Refuse to go on from a public address to one that is not; what the user names may be anywhere."""
        if self.was_public and not is_public(address):
            raise RefusedError(
                f"the server redirects to {address}, an address that is not public; "
                "name that URL itself if it is meant"
            )


@dataclass
class Sent:
    """What servers have sent for one clip, counted while it arrives."""

    bodies: list[Any] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        return sum(body.total_bytes for body in self.bodies)


HOPS: ContextVar[Hops | None] = ContextVar("HOPS", default=None)
SENT: ContextVar[Sent | None] = ContextVar("SENT", default=None)  # of the clip that the requests are for


def is_public(address: str) -> bool:
    """True where anybody may reach the address: not loopback, link-local, private, multicast or reserved."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv4Address):
        return ip.is_global and not ip.is_multicast and not ip.is_reserved
    inner = inner_ipv4(ip)
    if inner is not None:
        return is_public(str(inner))
    return ip in PUBLIC_IPV6 and ip.is_global


def inner_ipv4(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address leads to: mapped, NAT64, 6to4 or Teredo."""
    if any(ip in network for network in IPV4_IN_IPV6):
        return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.sixtofour or (ip.teredo[1] if ip.teredo else None)


def is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


class CheckedResolver(aiohttp.ThreadedResolver):
    """Names that a redirect leads to are judged by what they resolve to, before anything is sent there."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        results = await super().resolve(host, port, family)
        hops = HOPS.get()
        if hops and not hops.is_proxied:
            for result in results:
                hops.check(result["host"])
        return results


class CheckedConnector(aiohttp.TCPConnector):
    """Judges every hop: a bare address before it is connected to, and the peer that was reached in the end.

    The peer counts since a name may resolve otherwise a moment later, and a kept connection resolves nothing.
    A proxy is the user's own: what it connects to is seen only where the URL holds a bare address.
    """

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
        hops = HOPS.get() or Hops()
        hops.is_proxied = req.proxy is not None
        host = req.url.host or ""
        if is_ip_address(host):
            hops.check(host)
            if hops.is_proxied:
                hops.was_public = is_public(host)
        connection = await super().connect(req, traces, timeout)
        peer = connection.transport and connection.transport.get_extra_info("peername")
        if peer and not hops.is_proxied:
            try:
                hops.check(peer[0])
            except RefusedError:
                connection.close()
                raise
            hops.was_public = is_public(peer[0])
        return connection


async def begin_request(_session: Any, _context: Any, _params: Any) -> None:
    HOPS.set(Hops())  # once a request; its redirects are the same request


async def check_answer(_session: Any, _context: Any, params: aiohttp.TraceRequestEndParams) -> None:
    """Refuse what a reader would have to hold in memory whole, and count what comes."""
    answer = params.response
    if sent := SENT.get():
        sent.bodies.append(answer.content)
    try:
        refuse_answer(answer, params.headers.get("Range"))
    except RefusedError:
        answer.close()
        raise


def refuse_answer(answer: aiohttp.ClientResponse, asked: str | None) -> None:
    """A part may be as long as was asked for, and nothing may be packed."""
    if answer.status >= 400 or answer.method == "HEAD":
        return
    packing = answer.headers.get("Content-Encoding", "identity")
    if packing not in ("identity", ""):
        raise RefusedError(f"the server sends it packed ({packing}), though asked for it as it is")
    if asked is None:
        return
    first, last = map(int, asked.removeprefix("bytes=").split("-"))
    length = answer.content_length
    is_part = answer.status == 206 or first == 0
    if not is_part or length is None or length > last - first + 1:
        raise NoRangesError("the server sends more than the part that was asked for")


async def open_session(**options: Any) -> aiohttp.ClientSession:
    """What fsspec's HTTP file system sends its requests with."""
    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(begin_request)
    trace.on_request_end.append(check_answer)
    return aiohttp.ClientSession(
        connector=CheckedConnector(resolver=CheckedResolver()),
        trace_configs=[trace],
        headers={"Accept-Encoding": "identity"},  # parts of a packed body are of no use
        auto_decompress=False,
        **options,
    )


def http_limits() -> dict[str, Any]:
    """fsspec's options: no answer is waited for without an end, and every hop is judged."""
    timeout = aiohttp.ClientTimeout(
        total=READING_SECONDS + GRACE_SECONDS, connect=SILENT_SECONDS, sock_read=SILENT_SECONDS
    )
    options = {"client_kwargs": {"timeout": timeout}, "get_client": open_session}
    return {"http": options, "https": options}


def status_of(error: BaseException) -> int | None:
    """The HTTP status of an error of aiohttp, huggingface_hub or requests."""
    status = getattr(error, "status", None) or getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def is_passing(error: BaseException) -> bool:
    """True for what may go well a moment later."""
    broken = (ConnectionResetError, aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError)
    return any(
        isinstance(cause, broken) or status_of(cause) in PASSING_STATUSES for cause in causes_of(error)
    )


def reason_of(error: BaseException) -> str:
    """What went wrong in plain words, and what to do; the first cause that is known tells it."""
    for cause in causes_of(error):
        if words := words_of(cause):
            return words
    while isinstance(error, FileNotFoundError):
        if error.__cause__ is None:
            return "it is not there; check the address"
        error = error.__cause__
    return one_line(error).rstrip(".")


def words_of(error: BaseException) -> str | None:
    """Plain words for one kind of error; None where it says nothing by itself."""
    if isinstance(error, MediaError):
        return str(error).rstrip(".")
    if isinstance(error, aiohttp.TooManyRedirects):
        return "the server redirects too many times (in a circle?); check the URL"
    if isinstance(error, aiohttp.RedirectClientError):
        return f"the server redirects to what is no http or https URL ({one_line(error)}), which is refused"
    if isinstance(error, aiohttp.InvalidURL):
        return f"the URL is not valid ({one_line(error)})"
    if status := status_of(error):
        return words_of_status(status)
    if isinstance(error, (ssl.SSLError, ssl.CertificateError, aiohttp.ClientSSLError)):
        return f"no secure connection could be made (TLS: {one_line(error)}); check the server's certificate"
    if isinstance(error, (socket.gaierror, aiohttp.ClientConnectorDNSError)):
        return "the name of its host cannot be resolved (DNS); check the URL and the network"
    if isinstance(error, ConnectionRefusedError) or getattr(error, "errno", None) == errno.ECONNREFUSED:
        return "the connection was refused; check the host and port, and that the server runs"
    if isinstance(error, (asyncio.TimeoutError, socket.timeout)):
        return f"the server did not answer for {SILENT_SECONDS:g} s (timed out); try again later"
    if isinstance(error, (ConnectionResetError, aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError)):
        return f"the server broke the connection off ({one_line(error)}); try again later"
    if isinstance(error, PermissionError):
        return f"access is denied ({one_line(error)}); check the token or credentials"
    return None


def words_of_status(status: int) -> str:
    if status == 401:
        return "the server wants a login (HTTP 401); give a token, or check that it is valid"
    if status == 403:
        return "the server forbids it (HTTP 403): it is private, gated or blocked; check the token's rights"
    if status in (404, 410):
        return f"it is not there (HTTP {status}); check the URL"
    if status == 429:
        return "the server was asked too often (HTTP 429); try again later, with fewer processes"
    if status >= 500:
        return f"the server failed (HTTP {status}); try again later"
    return f"the server answers with HTTP {status}"
