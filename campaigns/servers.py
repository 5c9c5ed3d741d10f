"""Servers on this machine's loopback, in a process of their own: plain ones, and such that mean harm."""

import gzip
import http.server
import multiprocessing
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from .child import kill_group, lead_group

Answer = Callable[["Handler"], None]
ENDLESS_PIECE = bytes(1 << 16)
ENDLESS_PAUSE_SECONDS = 0.002  # some 30 MB a second, so that a case fills no disk


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers a path as its route says."""

    protocol_version = "HTTP/1.1"
    routes: Mapping[str, Answer]

    def do_GET(self) -> None:
        answer = self.routes.get(self.path.partition("?")[0], status(404))
        self.close_connection = True
        with suppress(OSError):  # a client that has had enough
            answer(self)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass

    def begin(self, code: int, **headers: object) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def send(self, data: bytes) -> None:
        if self.command != "HEAD":
            self.wfile.write(data)

    @property
    def url(self) -> str:
        return f"http://{self.headers['Host']}"


@contextmanager
def serving(routes: Mapping[str, Answer]) -> Iterator[str]:
    """A server with these routes; its URL."""
    handler = type("Routed", (Handler,), {"routes": routes})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)  # listens before there is a process
    server.daemon_threads = True

    def serve() -> None:
        lead_group()
        server.serve_forever()

    process: Any = multiprocessing.get_context("fork").Process(target=serve, daemon=True)
    process.start()
    port = server.server_port
    server.socket.close()  # the child has it
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        kill_group(process.pid)
        process.join()


# What a path may answer


def whole(data: bytes) -> Answer:
    """A file as good servers send it, in ranges."""

    def answer(to: Handler) -> None:
        asked = to.headers.get("Range")
        if asked is None:
            to.begin(200, Content_Length=len(data), Accept_Ranges="bytes")
            to.send(data)
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start, end = int(first or 0), min(int(last or len(data) - 1), len(data) - 1)
        to.begin(
            206,
            Content_Length=end + 1 - start,
            Content_Range=f"bytes {start}-{end}/{len(data)}",
            Accept_Ranges="bytes",
        )
        to.send(data[start : end + 1])

    return answer


def without_ranges(data: bytes) -> Answer:
    """The whole file, whatever part was asked for."""

    def answer(to: Handler) -> None:
        to.begin(200, Content_Length=len(data))
        to.send(data)

    return answer


def status(code: int) -> Answer:
    def answer(to: Handler) -> None:
        to.begin(code, Content_Length=0)

    return answer


def redirect(target: str) -> Answer:
    """On to a URL, or to a path of this server."""

    def answer(to: Handler) -> None:
        to.begin(302, Location=to.url + target if target.startswith("/") else target, Content_Length=0)

    return answer


def trickle(data: bytes, seconds: float) -> Answer:
    """A byte, and after a while another."""

    def answer(to: Handler) -> None:
        to.begin(200, Content_Length=len(data))
        for byte in data:
            to.send(bytes([byte]))
            to.wfile.flush()
            time.sleep(seconds)

    return answer


def trickled_headers(to: Handler) -> None:
    to.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        to.wfile.write(b"X-Wait: a\r\n")
        time.sleep(0.5)


def silence(_: Handler) -> None:
    """The connection is taken, and nothing comes."""
    time.sleep(3600)


def wrong_length(data: bytes, told: int) -> Answer:
    def answer(to: Handler) -> None:
        to.begin(200, Content_Length=told, Accept_Ranges="bytes")
        to.send(data)

    return answer


def endless(to: Handler) -> None:
    to.begin(200, Content_Type="video/mp4")
    while to.command != "HEAD":
        to.send(ENDLESS_PIECE)
        time.sleep(ENDLESS_PAUSE_SECONDS)


def endless_part(to: Handler) -> None:
    """A short part was asked for; it has no end."""
    to.begin(206, Content_Range="bytes 0-99999999999/100000000000", Accept_Ranges="bytes")
    while to.command != "HEAD":
        to.send(ENDLESS_PIECE)
        time.sleep(ENDLESS_PAUSE_SECONDS)


def gzip_bomb(unpacked_bytes: int) -> Answer:
    """A small body that says it is packed, and unpacks to much."""
    member = gzip.compress(bytes(1 << 20), 9)
    packed = member * (unpacked_bytes >> 20)  # gzip's members follow one another

    def answer(to: Handler) -> None:
        to.begin(200, Content_Encoding="gzip", Content_Length=len(packed))
        to.send(packed)

    return answer


def reset(to: Handler) -> None:
    """The connection breaks off in the middle of a file."""
    to.begin(200, Content_Length=100_000)
    to.send(bytes(1_000))
    to.wfile.flush()
    to.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    to.connection.close()


def no_http(to: Handler) -> None:
    to.wfile.write(b"\x16\x03\x01\x02\x00 220 this is no HTTP \xff\xfe\r\n\r\n")


def long_headers(to: Handler) -> None:
    to.begin(200, **{f"X_{number}": "a" * 8_000 for number in range(200)})
