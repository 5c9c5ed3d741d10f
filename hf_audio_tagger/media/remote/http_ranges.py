"""A file on a web server, fetched by ranges through the checked session of fsspec's HTTP file system."""

import re
from collections.abc import Coroutine
from typing import Any

from yarl import URL

from ...errors import MediaError
from .seekable import Reading
from .web import REQUEST, AnswerError, NoRangesError, read_retry_after

CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")
EXPIRED_STATUSES = (401, 403, 404, 410)  # of a redirect's target, whose signature has an end


class HttpRanges:
    """The ranges of one URL.

    A redirect (the Hub's, to where it stores its files) is followed once, later requests go to its target,
    and begin anew where that has expired. `headers` go to the URL's own host alone: aiohttp drops the token
    in redirects to other hosts, and the target gets none from here.
    """

    def __init__(self, system: Any, url: str, headers: dict[str, str], reading: Reading) -> None:
        self.system, self.reading = system, reading
        self.url: URL = system.encode_url(url)
        self.headers = headers
        self.target: URL | None = None  # of the redirect
        self.is_target_public = False
        self.size: int | None = None

    def fetch(self, start: int, stop: int) -> bytes:
        return self.reading.retry(lambda: self.wait(self.request_range(start, stop)))

    def open_stream(self) -> "HttpStream":
        """The whole file, front to back."""
        return self.reading.retry(lambda: HttpStream(self, self.wait(self.request(self.url, self.headers))))

    def wait(self, request: "Coroutine[Any, Any, Any]") -> Any:
        return self.reading.wait(request, self.system.loop)

    async def request_range(self, start: int, stop: int) -> bytes:
        part = {"Range": f"bytes={start}-{stop - 1}"}
        url, headers = (self.url, self.headers) if self.target is None else (self.target, {})
        try:
            response = await self.request(url, part | headers)
        except AnswerError as error:
            if self.target is None or error.status not in EXPIRED_STATUSES:
                raise
            self.target = None
            response = await self.request(self.url, part | self.headers)
        async with response:
            self.remember_target(response)
            found = CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
            if response.status == 416:
                self.note_size(int(found[2]) if found and found[2] != "*" else start)
                return b""
            if found and found[1] and int(found[1]) != start:
                raise NoRangesError("the server sends another range than the one that was requested")
            if found and found[2] != "*":
                self.note_size(int(found[2]))
            elif response.status == 200:  # the whole file, no longer than what was requested
                self.note_size(response.content_length)
            data: bytes = await response.read()
            return data

    async def request(self, url: URL, headers: dict[str, str]) -> Any:
        """The response; an error for every status from 400 on but 416, which is behind the file's end."""
        session = await self.system.set_session()
        options = {**self.system.kwargs, "headers": {**self.system.kwargs.get("headers", {}), **headers}}
        response = await session.get(url, **options, trace_request_ctx=self.is_target_public)
        if response.status >= 400 and response.status != 416:
            response.close()
            raise AnswerError(
                response.status,
                response.url.host if response.url.host != self.url.host else None,
                read_retry_after(response.headers.get("Retry-After")),
            )
        return response

    def remember_target(self, response: Any) -> None:
        if response.history and self.target is None:
            self.target = response.url
            request = REQUEST.get()
            self.is_target_public = request is not None and request.was_public

    def note_size(self, size: int | None) -> None:
        if self.size is None:
            self.size = size
        elif size != self.size:
            raise MediaError(f"the file changed while it was read, from {self.size:,} to {size:,} bytes")


class HttpStream:
    """A response's body, which cannot seek."""

    def __init__(self, ranges: HttpRanges, response: Any) -> None:
        self.ranges, self.response = ranges, response
        self.size: int | None = response.content_length

    def read(self, size: int) -> bytes:
        data: bytes = self.ranges.wait(self.response.content.read(size))
        return data

    def close(self) -> None:
        self.ranges.system.loop.call_soon_threadsafe(self.response.close)
