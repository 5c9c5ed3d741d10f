"""A Hub on loopback: the calls that `push_to_hub` and `load_dataset` make, over real HTTP, kept in memory.

    with serve({"hf_writes": "user"}) as hub:
        ...  # HF_ENDPOINT=hub.url HF_HUB_DISABLE_XET=1 python -c "..."

What it cannot do it refuses with 501, so that a client which needs more is noticed. Two calls of its
own let a client in another process prepare a fault, `POST /test/break`, and count, `POST /test/counts`.
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from hub_state import Fault, File, Hub, RefusalError


class Handler(BaseHTTPRequestHandler):
    """One request to one call of the Hub, and its answer back."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one packet: head and body apart cost 40 ms each time, a delayed ACK
    disable_nagle_algorithm = True
    hub: Hub

    def log_message(self, *_: Any) -> None: ...

    def answer_any(self) -> None:
        url = urlsplit(self.path)
        path, query = url.path, parse_qs(url.query)
        self.body = self.read_body()
        with self.hub.lock:
            try:
                if not path.startswith("/test/"):
                    self.remember(path)
                found = self.route(path, query)
            except RefusalError as refusal:
                self.send_refusal(refusal)
                return
        if isinstance(found, tuple):
            self.send_file(*found)
        else:
            self.send_json(found)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer_any  # noqa: N815

    def remember(self, path: str) -> None:
        request = f"{self.command} {unquote(path)}"
        headers = [
            line
            for line in self.headers.as_string().splitlines()
            if not line.lower().startswith("authorization:")
        ]
        self.hub.raw_requests.append("\n".join([self.requestline, *headers, ""]).encode() + self.body)
        self.hub.requests.append(request)
        fault = self.hub.fault
        if fault is not None and fault.strikes(request):
            raise RefusalError(fault.status, fault.message)

    def user(self) -> str | None:
        header = self.headers.get("Authorization")
        if header is None:
            return None
        user = self.hub.users.get(header.removeprefix("Bearer "))
        if user is None:
            raise RefusalError(401, "Invalid credentials in Authorization header")
        return user

    def route(self, path: str, query: dict[str, list[str]]) -> Any:
        hub, method = self.hub, self.command
        if found := re.fullmatch(r"/lfs/([^/]+/[^/]+)/([0-9a-f]{64})", path):
            return hub.put(found[1], found[2], self.body)  # signed URLs know no token
        if path == "/test/break":
            hub.fault = Fault(**self.json()) if self.body != b"null" else None
            return {}
        if path == "/test/counts":
            return hub.counts()
        user = self.user()
        if path == "/api/whoami-v2":
            if user is None:
                raise RefusalError(401, "Invalid username or password.")
            return {"type": "user", "name": user, "orgs": [], "auth": {"type": "access_token"}}
        if path == "/api/repos/create":
            return hub.create(self.json(), user)
        if path == "/api/validate-yaml":
            return hub.validate_yaml(self.json())
        if found := re.fullmatch(r"/datasets/([^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
            return hub.lfs_batch(hub.writable(found[1], user), self.json())
        if found := re.fullmatch(r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return hub.resolve(hub.repo(found[1], user), unquote(found[2]), unquote(found[3]))
        if found := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)(?:/([a-z-]+)(?:/([^/]+)(?:/(.+))?)?)?", path):
            repo_id, call, revision, rest = (unquote(part) if part else "" for part in found.groups())
            return self.route_repo(method, repo_id, call, revision or "main", rest, query, user)
        if re.fullmatch(r"/api/datasets/[^/]+", path):
            raise RefusalError(404 if user else 401, "Repository not found", "RepoNotFound")
        raise RefusalError(501, f"{method} {path} is not spoken here")

    def route_repo(
        self,
        method: str,
        repo_id: str,
        call: str,
        revision: str,
        rest: str,
        query: dict[str, list[str]],
        user: str | None,
    ) -> Any:
        hub = self.hub
        if (method, call) in {("GET", ""), ("GET", "revision")}:
            return hub.info(hub.repo(repo_id, user), revision)
        if (method, call) == ("GET", "refs"):
            return hub.refs(hub.repo(repo_id, user))
        if (method, call) == ("GET", "tree"):
            return hub.tree(
                hub.repo(repo_id, user), revision, rest, query.get("recursive", [""])[0].lower() == "true"
            )
        if (method, call) == ("POST", "paths-info"):
            return hub.paths_info(hub.repo(repo_id, user), revision, self.paths())
        if (method, call) == ("POST", "branch"):
            return hub.branch(hub.writable(repo_id, user), revision, self.json())
        if (method, call) == ("POST", "preupload"):
            return hub.preupload(hub.writable(repo_id, user), revision, self.json())
        if (method, call) == ("POST", "commit"):
            return hub.commit(
                hub.writable(repo_id, user), revision, [json.loads(line) for line in self.body.splitlines()]
            )
        raise RefusalError(501, f"{method} {call} is not spoken here")

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def json(self) -> Any:
        return json.loads(self.body or b"{}")

    def paths(self) -> list[str]:
        if "json" in (self.headers.get("Content-Type") or ""):
            return list(self.json()["paths"])
        return parse_qs(self.body.decode()).get("paths", [])

    def send_json(
        self, value: Any, status: int = HTTPStatus.OK, headers: dict[str, str] | None = None
    ) -> None:
        self.send_body(
            json.dumps(value).encode(), status, {"Content-Type": "application/json", **(headers or {})}
        )

    def send_refusal(self, refusal: RefusalError) -> None:
        headers = {"X-Error-Message": refusal.message}
        if refusal.code is not None:
            headers["X-Error-Code"] = refusal.code
        self.send_json({"error": refusal.message}, refusal.status, headers)

    def send_file(self, commit_oid: str, file: File) -> None:
        """A file of a repository, or the part of it that a reader of parquet asks for."""
        headers = {"ETag": f'"{file.oid}"', "X-Repo-Commit": commit_oid, "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if asked is None:
            self.send_body(file.content, HTTPStatus.OK, headers)
            return
        size = len(file.content)
        start, end = int(asked[1]), min(int(asked[2] or size - 1), size - 1)
        headers["Content-Range"] = f"bytes {start}-{end}/{size}"
        self.send_body(file.content[start : end + 1], HTTPStatus.PARTIAL_CONTENT, headers)

    def send_body(self, body: bytes, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def serve(users: dict[str, str]) -> Iterator[Hub]:
    """A Hub that listens on a free port of loopback for as long as the block lasts."""
    hub = Hub(users)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("HubHandler", (Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
