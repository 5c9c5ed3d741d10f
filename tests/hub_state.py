"""What a Hub keeps, and what each of its calls does to that. Knows nothing of sockets: see hub_server.py."""

import base64
import hashlib
import re
import threading
from dataclasses import dataclass, field
from typing import Any

import yaml

Json = dict[str, Any]
LARGE = (".parquet", ".arrow", ".mp4")  # what a new repository's .gitattributes sends to LFS
EPOCH = "2026-01-01T00:00:00.000Z"


class RefusalError(Exception):
    """An answer that is no success, as the Hub words it."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


@dataclass(frozen=True)
class File:
    content: bytes
    is_lfs: bool

    @property
    def oid(self) -> str:
        """The content's sha256 in LFS, git's blob id otherwise: what the client compares with its own."""
        if self.is_lfs:
            return hashlib.sha256(self.content).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()


@dataclass(frozen=True)
class Commit:
    oid: str
    title: str
    files: dict[str, File]


@dataclass
class Repo:
    id: str
    private: bool
    branches: dict[str, list[Commit]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)  # LFS objects, committed or not

    def commit(self, branch: str, title: str, files: dict[str, File]) -> Commit:
        history = self.branches.setdefault(branch, [])
        seed = f"{self.id} {branch} {len(history)} {title}" + "".join(
            f"{path}{file.oid}" for path, file in sorted(files.items())
        )
        history.append(Commit(hashlib.sha1(seed.encode()).hexdigest(), title, files))
        return history[-1]

    def at(self, revision: str) -> Commit:
        if revision in self.branches:
            return self.branches[revision][-1]
        for history in self.branches.values():
            for commit in history:
                if commit.oid == revision:
                    return commit
        raise RefusalError(404, f"Invalid rev id: {revision}", "RevisionNotFound")


@dataclass
class Fault:
    """From the `after`-th matching request on, every matching one is answered with `status`."""

    pattern: str
    after: int
    status: int
    message: str = "Storage is full"

    def strikes(self, request: str) -> bool:
        if not re.search(self.pattern, request):
            return False
        self.after -= 1
        return self.after < 0


class Hub:
    """The state, and what each call does to it. Knows nothing of sockets."""

    def __init__(self, users: dict[str, str]) -> None:
        self.users = users  # token: user's name
        self.repos: dict[str, Repo] = {}
        self.requests: list[str] = []  # "PUT /lfs/..."
        self.received = 0  # LFS objects
        self.raw_requests: list[bytes] = []  # every request as it came, without its Authorization header
        self.fault: Fault | None = None
        self.lock = threading.RLock()
        self.url = ""

    @property
    def stored(self) -> list[bytes]:
        """Every byte that was kept: files of all commits, LFS objects, titles of commits."""
        repos = self.repos.values()
        commits = [commit for repo in repos for history in repo.branches.values() for commit in history]
        files = [file.content for commit in commits for file in commit.files.values()]
        titles = [commit.title.encode() for commit in commits]
        return files + titles + [blob for repo in repos for blob in repo.blobs.values()]

    def counts(self) -> Json:
        commits = {
            f"{repo.id}@{branch}": [commit.title for commit in history]
            for repo in self.repos.values()
            for branch, history in repo.branches.items()
        }
        return {"received": self.received, "commits": commits}

    def repo(self, repo_id: str, user: str | None) -> Repo:
        found = self.repos.get(repo_id)
        if found is None or (found.private and user != repo_id.split("/")[0]):
            status = 404 if user else 401
            raise RefusalError(
                status, "Repository not found" if user else "Invalid username or password.", "RepoNotFound"
            )
        return found

    def writable(self, repo_id: str, user: str | None) -> Repo:
        repo = self.repo(repo_id, user)
        self.must_write(repo_id.split("/")[0], user)
        return repo

    def must_write(self, namespace: str, user: str | None) -> None:
        if user is None:
            raise RefusalError(401, "Invalid username or password.")
        if user != namespace:
            raise RefusalError(403, f"You don't have the rights to write under the namespace {namespace}")

    def create(self, body: Json, user: str | None) -> Json:
        if body.get("type") != "dataset":
            raise RefusalError(501, "only datasets are kept here")
        namespace = body.get("organization") or user or ""
        self.must_write(namespace, user)
        repo_id = f"{namespace}/{body['name']}"
        if repo_id in self.repos:
            raise RefusalError(409, "You already created this dataset repo")
        is_private = body.get("visibility") == "private" or bool(body.get("private"))  # new and old clients
        repo = self.repos[repo_id] = Repo(repo_id, is_private)
        repo.commit("main", "initial commit", {".gitattributes": File(b"*.parquet filter=lfs\n", False)})
        return {"url": f"{self.url}/datasets/{repo_id}", "name": repo_id, "id": repo_id}

    def info(self, repo: Repo, revision: str) -> Json:
        commit = repo.at(revision)
        siblings = [{"rfilename": path} for path in commit.files]
        return {
            "id": repo.id,
            "author": repo.id.split("/")[0],
            "sha": commit.oid,
            "private": repo.private,
            "gated": False,
            "disabled": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "lastModified": EPOCH,
            "createdAt": EPOCH,
            "siblings": siblings,
        }

    def refs(self, repo: Repo) -> Json:
        branches = [
            {"name": name, "ref": f"refs/heads/{name}", "targetCommit": history[-1].oid}
            for name, history in repo.branches.items()
        ]
        return {"branches": branches, "tags": [], "converts": []}

    def branch(self, repo: Repo, name: str, body: Json) -> Json:
        if name in repo.branches:
            raise RefusalError(409, "Reference already exists")
        start = repo.at(body.get("startingPoint") or "main")
        repo.branches[name] = [start]
        return {}

    def preupload(self, repo: Repo, revision: str, body: Json) -> Json:
        there = repo.at(revision).files
        files = [
            {
                "path": (path := wanted["path"]),
                "uploadMode": "lfs" if path.endswith(LARGE) else "regular",
                "shouldIgnore": False,
                "oid": there[path].oid if path in there else None,
            }
            for wanted in body["files"]
        ]
        return {"files": files}

    def lfs_batch(self, repo: Repo, body: Json) -> Json:
        """Where to send each object, and nothing for those that are here already."""
        objects = []
        for wanted in body["objects"]:
            answer = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in repo.blobs:
                href = f"{self.url}/lfs/{repo.id}/{wanted['oid']}?signature=of-this-url"
                answer["actions"] = {"upload": {"href": href, "header": {}}}
            objects.append(answer)
        return {"transfer": "basic", "objects": objects}

    def put(self, repo_id: str, oid: str, content: bytes) -> None:
        if hashlib.sha256(content).hexdigest() != oid:
            raise RefusalError(400, "The content does not have this sha256")
        self.repos[repo_id].blobs[oid] = content
        self.received += 1

    def commit(self, repo: Repo, revision: str, lines: list[Json]) -> Json:
        header, *operations = lines
        head = repo.at(revision)
        if header["value"].get("parentCommit", head.oid) != head.oid:
            raise RefusalError(412, "A commit has happened since. Please refresh and try again.")
        files = dict(head.files)
        for operation in operations:
            kind, value = operation["key"], operation["value"]
            if kind == "file":
                files[value["path"]] = File(base64.b64decode(value["content"]), False)
            elif kind == "lfsFile":
                if value["oid"] not in repo.blobs:
                    raise RefusalError(400, f"The LFS object {value['oid']} was never uploaded")
                files[value["path"]] = File(repo.blobs[value["oid"]], True)
            elif kind == "deletedFile":
                if files.pop(value["path"], None) is None:
                    raise RefusalError(404, "A file with this name doesn't exist", "EntryNotFound")
            else:
                raise RefusalError(501, f"{kind} is not known here")
        commit = repo.commit(revision, header["value"]["summary"], files)
        url = f"{self.url}/datasets/{repo.id}/commit/{commit.oid}"
        return {"success": True, "commitOid": commit.oid, "commitUrl": url, "hookOutput": ""}

    def tree(self, repo: Repo, revision: str, folder: str, recursive: bool) -> list[Json]:
        inside = f"{folder}/" if folder else ""
        entries: dict[str, Json] = {}
        for path, file in repo.at(revision).files.items():
            if not path.startswith(inside):
                continue
            parts = path[len(inside) :].split("/")
            for depth in range(1, len(parts) if recursive else min(2, len(parts))):
                parent = inside + "/".join(parts[:depth])
                entries[parent] = {
                    "type": "directory",
                    "oid": hashlib.sha1(parent.encode()).hexdigest(),
                    "path": parent,
                    "size": 0,
                }
            if recursive or len(parts) == 1:
                entries[path] = self.entry(path, file)
        if folder and not entries:
            raise RefusalError(404, f"{folder} does not exist on {revision}", "EntryNotFound")
        return list(entries.values())

    def paths_info(self, repo: Repo, revision: str, paths: list[str]) -> list[Json]:
        files = repo.at(revision).files
        found = []
        for path in paths:
            if path in files:
                found.append(self.entry(path, files[path]))
            elif any(name.startswith(f"{path}/") for name in files):
                found.append({"type": "directory", "oid": "0" * 40, "path": path, "size": 0})
        return found

    def entry(self, path: str, file: File) -> Json:
        size = len(file.content)
        entry: Json = {"type": "file", "oid": file.oid, "size": size, "path": path}
        if file.is_lfs:
            entry["lfs"] = {"oid": file.oid, "size": size, "pointerSize": 130}
        return entry

    def resolve(self, repo: Repo, revision: str, path: str) -> tuple[str, File]:
        commit = repo.at(revision)
        if path not in commit.files:
            raise RefusalError(404, "Entry not found", "EntryNotFound")
        return commit.oid, commit.files[path]

    def validate_yaml(self, body: Json) -> Json:
        header = re.match(r"---\r?\n(.*?)\r?\n---", body["content"], re.DOTALL)
        if header is not None and not isinstance(yaml.safe_load(header[1]) or {}, dict):
            raise RefusalError(400, "The metadata is no mapping")
        return {"errors": [], "warnings": []}
