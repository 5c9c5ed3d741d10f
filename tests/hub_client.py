"""What test_hub.py runs in a process of its own, as huggingface_hub reads HF_ENDPOINT when it is imported:
pushes and loads against the Hub on loopback. Prints nothing; what was seen goes to a JSON file.

    HF_ENDPOINT=http://127.0.0.1:port python tests/hub_client.py clips/ seen.json token
"""

import hashlib
import json
import os
import sys
import traceback
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
from datasets import Dataset, DatasetDict, List, Value, Video, load_dataset
from huggingface_hub import HfApi, constants

from hf_audio_tagger import build_tagger
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.demo.videos import write_video
from hf_audio_tagger.hub import push
from hf_audio_tagger.runs import load_result, tag_dataset
from hf_audio_tagger.sources import open_source

Seen = dict[str, Any]

CARD_BY_HAND = """---
license: cc-by-4.0
language:
- en
tags:
- birds
task_categories:
- video-classification
owner_note:
  reviewed: true
---

# Clips

Written by hand: keep *every* word,  and  spaces.
"""
AFTERWORD = "\n## Citation\n\nAlso by hand, below the section.\n"


class Session:
    """The tagged clips, and the calls that every scenario makes."""

    def __init__(self, folder: Path, token: str) -> None:
        self.folder, self.token = folder, token
        self.api = HfApi(token=token)
        self.tagger = build_tagger("demo", top_k=2, on_error="record", token=token)
        self.paths = [folder / name for name in ("siren.mp4", "music.mp4", "silent.mp4", "broken.mp4")]
        write_video(self.paths[0], synthesize("Siren", 3.0, 16_000, 1), 16_000)
        write_video(self.paths[1], synthesize("Music", 3.0, 16_000, 2), 16_000)
        write_video(self.paths[2], None, 16_000)
        self.paths[3].write_bytes(b"this is no video" * 100)
        untagged = Dataset.from_dict({"video": [str(path) for path in self.paths]})
        self.clips = untagged.cast_column("video", Video()).map(self.tagger)

    def push(self, ds: Dataset | DatasetDict, name: str, **options: Any) -> str:
        return push(ds, name, **{"tagger": self.tagger, "token": self.token, **options})

    def load(self, repo: str, **options: Any) -> Any:
        return load_dataset(repo, token=self.token, **options)

    def card(self, name: str, revision: str | None = None) -> str:
        path = self.api.hf_hub_download(name, "README.md", repo_type="dataset", revision=revision)
        return Path(path).read_text()

    def write_card(self, name: str, text: str) -> None:
        self.api.upload_file(
            path_or_fileobj=text.encode(), path_in_repo="README.md", repo_id=name, repo_type="dataset"
        )

    def counts(self) -> Seen:
        return self.ask("counts")

    def ask(self, call: str, body: Any = None) -> Seen:
        request = urllib.request.Request(
            f"{constants.ENDPOINT}/test/{call}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read())

    def failure(self, act: Callable[[], Any]) -> Seen:
        """How something fails, with its traceback on stderr as a user would see it."""
        try:
            act()
        except Exception as error:
            traceback.print_exc()
            return {"type": type(error).__name__, "message": str(error), "repr": repr(error)}
        return {"type": None, "message": "", "repr": ""}


def stored_rows(dataset: Dataset) -> list[Seen]:
    """Rows as Arrow has them, bytes as their sha256."""
    return json.loads(
        json.dumps(dataset.data.to_pylist(), default=lambda data: hashlib.sha256(data).hexdigest())
    )


def texts(rows: int) -> Dataset:
    """Rows with an id and a tag, and no media."""
    return Dataset.from_dict(
        {"id": [f"clip-{row:03}" for row in range(rows)], "video_audio_tags": [["Dog"]] * rows}
    )


def embedded(session: Session) -> Seen:
    """Into a repository that has a card; loaded back; its code run; repeated; with other settings."""
    name = "maker/clips"
    session.api.create_repo(name, repo_type="dataset")
    session.write_card(name, CARD_BY_HAND)
    before = session.counts()
    url = session.push(session.clips, name)
    seen: Seen = {"url": url, "commits": commits_since(session, before, name)}
    loaded = session.load(name, split="train")
    seen["rows"], seen["features"] = stored_rows(loaded), str(loaded.features)
    seen["sent"] = stored_rows(session.clips)
    seen["files"] = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in session.paths}
    seen["card"] = session.card(name)
    seen["recomputed"] = run_card_code(seen["card"])
    before = session.counts()
    session.push(session.clips, name)
    seen["commits_of_repeated"] = commits_since(session, before, name)
    session.write_card(name, session.card(name) + AFTERWORD)
    before = session.counts()
    session.push(session.clips, name, tagger=replace(session.tagger, top_k=7))
    seen["commits_of_other_settings"] = commits_since(session, before, name)
    seen["card_of_other_settings"] = session.card(name)
    return seen


def run_card_code(card: str) -> list[Any]:
    """The tags that the card's code makes."""
    python = card.split("```python\n")[1].split("```")[0]
    scope: Seen = {}
    exec(compile(python, "card", "exec"), scope)
    return list(scope["ds"]["video_audio_tags"])


def commits_since(session: Session, before: Seen, name: str, branch: str = "main") -> list[str]:
    key = f"{name}@{branch}"
    return session.counts()["commits"][key][len(before["commits"].get(key, [])) :]


def only_tags(session: Session) -> Seen:
    """Media and keys in several shapes."""
    session.push(session.clips, "maker/names", only_tags=True)
    with_id = session.clips.add_column("id", list(range(4)))
    session.push(with_id, "maker/ids", only_tags=True)
    session.push(with_id, "maker/chosen", only_tags=True, key_columns=["video"])
    lists = Dataset.from_dict(
        {
            "videos": [["/clips/a/1.mp4", "/clips/b/1.mp4"], [], None],
            "thumbnail": [b"\x00" * 8] * 3,
            "video_audio_tags": [["Dog", "Cat"], [], []],
        },
        features=datasets.Features(
            {
                "videos": List(Video()),
                "thumbnail": Value("binary"),
                "video_audio_tags": List(Value("string")),
            }
        ),
    )
    session.push(lists, "maker/lists", only_tags=True)
    names = ("names", "ids", "chosen", "lists")
    loaded = {name: session.load(f"maker/{name}", split="train") for name in names}
    return {name: dataset.to_list() for name, dataset in loaded.items()} | {
        "card": session.card("maker/names")
    }


def text_paths(session: Session) -> Seen:
    """A column of paths as text, and a `Video()` column whose files stay where they are."""
    text = session.clips.cast_column("video", Video(decode=False)).map(
        lambda row: {"path": row["video"]["path"]}, remove_columns="video"
    )
    text = text.rename_column("path", "video")
    session.push(text, "maker/text")
    session.push(text, "maker/embedded-text", embed_media=True)
    session.push(session.clips, "maker/by-path", embed_media=False)
    paths = [str(path) for path in session.paths]
    lists = Dataset.from_dict(
        {"videos": [paths[:2], paths[2:]], "video_audio_tags": [["Siren", "Music"], []]}
    )
    session.push(lists, "maker/embedded-lists", embed_media=True)
    sounds = Dataset.from_dict({"audio": paths[:1], "video_audio_tags": [["Siren"]]})
    session.push(sounds, "maker/embedded-sounds", embed_media=True)
    whole = {
        name: session.load(f"maker/{name}", split="train") for name in ("embedded-lists", "embedded-sounds")
    }
    return {
        name: {"rows": stored_rows(dataset), "features": str(dataset.features)}
        for name, dataset in whole.items()
    } | {
        name: {
            "rows": stored_rows(loaded),
            "features": str(loaded.features),
            "card": session.card(f"maker/{name}"),
        }
        for name in ("text", "embedded-text", "by-path")
        if (loaded := session.load(f"maker/{name}", split="train"))
    }


def splits(session: Session) -> Seen:
    """A DatasetDict, and one as another config beside it."""
    both = DatasetDict({"train": session.clips.select([0, 1]), "test": session.clips.select([2, 3])})
    session.push(both, "maker/splits")
    before = session.counts()
    session.push(DatasetDict({"validation": texts(5)}), "maker/splits", config_name="text", num_shards=2)
    loaded = session.load("maker/splits", name="default")
    return {
        "rows": {split: stored_rows(dataset) for split, dataset in loaded.items()},
        "text_rows": session.load("maker/splits", name="text", split="validation").to_list(),
        "card": session.card("maker/splits"),
        "commits": commits_since(session, before, "maker/splits"),
    }


def shards(session: Session) -> Seen:
    """More shards than `push_to_hub` puts into one commit."""
    before = session.counts()
    session.push(texts(60), "maker/shards", num_shards=60)
    loaded = session.load("maker/shards", split="train")
    usual = datasets.config.UPLOADS_MAX_NUMBER_PER_COMMIT
    return {
        "commits": commits_since(session, before, "maker/shards"),
        "ids": list(loaded["id"]),
        "usual": usual,
    }


def interrupted(session: Session) -> Seen:
    """Ended in the middle of the files, then before the data's commit, then before the card's."""
    name, ds = "maker/broken", texts(6)
    seen: Seen = {"steps": []}
    faults = [
        {"pattern": "^PUT /lfs", "after": 3, "status": 507},
        {"pattern": "^POST .*/commit/", "after": 0, "status": 507},
        {"pattern": "^POST .*/commit/", "after": 1, "status": 507},
        None,
    ]
    for fault in faults:
        before = session.counts()
        session.ask("break", fault)
        failed = session.failure(lambda: session.push(ds, name, num_shards=6))
        session.ask("break", None)
        puts = session.counts()["received"] - before["received"]
        seen["steps"].append(
            {"failed": failed, "puts": puts, "commits": commits_since(session, before, name)}
        )
    seen["rows"] = session.load(name, split="train").to_list()
    return seen


def private_branch(session: Session) -> Seen:
    """A private repository, and a branch beside its main one."""
    name = "maker/private"
    session.push(texts(3), name, private=True)
    url = session.push(texts(5), name, revision="v2", commit_message="Two more clips")
    before = session.counts()
    return {
        "url": url,
        "is_private": session.api.repo_info(name, repo_type="dataset").private,
        "seen_by_strangers": session.failure(lambda: load_dataset(name, token=False, split="train"))["type"],
        "main": session.load(name, split="train").num_rows,
        "v2": session.load(name, split="train", revision="v2").num_rows,
        "commits": before["commits"][f"{name}@v2"],
        "card": session.card(name, "v2"),
        "card_of_main": session.card(name),
    }


def without_tagger(session: Session) -> Seen:
    session.push(texts(3), "maker/plain", tagger=None)
    return {"card": session.card("maker/plain")}


def made_by_a_run(session: Session) -> Seen:
    """A run's result, pushed without a tagger; its rows are then a source for others."""
    clips = Dataset.from_dict({"video": [str(path) for path in session.paths[:2]]})
    first, other = session.tagger, replace(session.tagger, channels="first")
    to = {"repo_id": "maker/made", "split": "test"}
    tag_dataset(clips, session.folder / "made", first, push=to)
    seen: Seen = {"card": session.card("maker/made")}
    session.push(load_result(session.folder / "made"), "maker/made", split="test", tagger=None)
    seen["card_without_tagger"] = session.card("maker/made")
    source = open_source("maker/made", token=session.token)
    seen["kept"] = tag_dataset(source, session.folder / "same", first).kept
    seen["refused"] = session.failure(lambda: tag_dataset(source, session.folder / "other", other))
    stream = open_source("maker/made", streaming=True, token=session.token)
    seen["stream"] = session.failure(lambda: tag_dataset(stream, session.folder / "stream", other))
    return seen


def with_page(session: Session) -> Seen:
    """Pages beside the card: with the clips, in a folder, and without clips where only tags are pushed."""
    name = "maker/paged"
    seen: Seen = {"commits": []}
    ways = {
        "folder": {"report": {"single_file": False}},
        "embedded": {"report": True},
        "tags": {"report": True, "only_tags": True},
    }
    for way, options in ways.items():
        before = session.counts()
        session.push(session.clips, name, **options)
        page = session.api.hf_hub_download(name, "report/train/index.html", repo_type="dataset")
        seen[way] = {
            "commits": commits_since(session, before, name),
            "files": session.api.list_repo_files(name, repo_type="dataset"),
            "card": session.card(name),
            "page": Path(page).read_text(),
        }
    seen["rows"] = session.load(name, split="train").num_rows
    for way, options in {"refused": {"medium": "none"}, "link": {"media": "link"}}.items():
        seen[way] = session.failure(lambda o=options: session.push(session.clips, name, report=o))
    return seen


def refusals(session: Session) -> Seen:
    """Each way in which a Hub says no, and one that does not answer."""
    rows = texts(2)
    seen = {
        "not logged in": session.failure(lambda: session.push(rows, "maker/none", token=False)),
        "wrong token": session.failure(lambda: session.push(rows, "maker/none", token="hf_not_a_token")),
        "not mine": session.failure(lambda: session.push(rows, "somebody/else")),
        "odd token": session.failure(
            lambda: session.push(rows, "maker/none", token=session.token + "\nmore")
        ),
    }
    gone = rows.add_column("video", [str(session.folder / "gone.mp4")] * 2).cast_column("video", Video())
    seen["file gone"] = session.failure(lambda: session.push(gone, "maker/gone"))
    echo = {
        "pattern": "^POST .*/repos/create",
        "after": 0,
        "status": 400,
        "message": f"Bearer {session.token}?",
    }
    session.ask("break", echo)
    seen["echo"] = session.failure(lambda: session.push(rows, "maker/echo"))
    session.ask("break", None)
    os.environ["HF_TOKEN"] = session.token
    seen["environment"] = {"url": session.push(rows, "maker/environment", token=None)}
    del os.environ["HF_TOKEN"]
    seen["newline"] = {"url": session.push(rows, "maker/newline", token=session.token + "\n")}
    endpoint = datasets.config.HF_ENDPOINT
    datasets.config.HF_ENDPOINT = "http://127.0.0.1:9"
    seen["no network"] = session.failure(lambda: session.push(rows, "maker/none"))
    datasets.config.HF_ENDPOINT = endpoint
    return seen


SCENARIOS = (
    embedded,
    only_tags,
    text_paths,
    splits,
    shards,
    interrupted,
    private_branch,
    without_tagger,
    made_by_a_run,
    with_page,
    refusals,
)


def main(folder: str, destination: str, token: str) -> None:
    session = Session(Path(folder), token)
    seen: Seen = {"repr": repr(session.tagger)}
    for scenario in SCENARIOS:
        try:
            seen[scenario.__name__] = scenario(session)
        except Exception:
            seen[scenario.__name__] = {"failed": traceback.format_exc()}
    Path(destination).write_text(json.dumps(seen, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
