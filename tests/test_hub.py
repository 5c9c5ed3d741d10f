"""Pushing to the Hub: the real client, over real HTTP, to a Hub on loopback (hub_server.py).

huggingface_hub reads HF_ENDPOINT when it is imported, so all pushes and loads happen in one process
of their own (hub_client.py), once for this module. The tests look at what it saw and at what the Hub has.
"""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml
from datasets import Dataset, DatasetDict, IterableDataset
from hub_server import Hub, serve

from hf_audio_tagger.errors import ColumnError, SettingsError
from hf_audio_tagger.hub import push

TOKEN = "hf_Recognizable0Token1That2Nobody3Has"
TAGS = [["Siren"], ["Music"], ["EMPTY"], [None]]
NAMES = ["siren.mp4", "music.mp4", "silent.mp4", "broken.mp4"]

pytestmark = pytest.mark.timeout(180)


@dataclass(frozen=True)
class Session:
    """What the client saw, what the Hub was left with, and every place where a token could be."""

    seen: dict[str, Any]
    hub: Hub
    printed: str
    folder: Path

    def __getitem__(self, scenario: str) -> Any:
        found = self.seen[scenario]
        assert "failed" not in found, found["failed"]
        return found


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("hub")
    (folder / "clips").mkdir()
    seen = folder / "seen.json"
    with serve({TOKEN: "maker"}) as hub:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")} | {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(folder / "home"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_VERBOSITY": "info",
            "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        }
        client = Path(__file__).with_name("hub_client.py")
        ran = subprocess.run(
            [sys.executable, client, folder / "clips", seen, TOKEN],
            env=environment,
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr[-3000:]
        yield Session(json.loads(seen.read_text()), hub, ran.stdout + ran.stderr, folder)


def metadata(card: str) -> dict[str, Any]:
    return yaml.safe_load(card.split("---\n")[1])


def text(card: str) -> str:
    return card.split("---\n", 2)[2]


def table_rows(card: str) -> list[list[str]]:
    lines = [line for line in card.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_a_pushed_run_names_its_tagger(session: Session) -> None:
    seen = session["made_by_a_run"]
    (record,) = metadata(seen["card"])["hf_audio_tagger_provenance"]["default"]["test"]["video_audio_tags"]
    assert (record["model"], record["settings"]["channels"]) == ("demo", "mean")
    assert seen["card_without_tagger"] == seen["card"]
    assert seen["kept"] == 2
    for way in ("refused", "stream"):
        assert seen[way]["type"] == "SettingsError"
        assert "made by another tagger: channels was 'mean', is now 'first'" in seen[way]["message"]


def shorten(errors: list[str | None], folder: Path) -> list[str | None]:
    """Pushed errors name files below the folder that all clips share."""
    return [error and error.replace(f"{folder / 'clips'}{os.sep}", "") for error in errors]


def test_errors_name_no_folder_of_this_machine(session: Session) -> None:
    (error,) = session["embedded"]["rows"][3]["video_audio_error"]
    assert error.startswith("broken.mp4: it is no readable media file")
    assert str(session.folder) not in str(session["embedded"]["rows"]) + session["embedded"]["card"]


def test_what_is_loaded_back_equals_what_was_pushed(session: Session) -> None:
    seen = session["embedded"]
    assert seen["url"] == f"{session.hub.url}/datasets/maker/clips"
    for loaded, sent in zip(seen["rows"], seen["sent"], strict=True):
        name = Path(sent["video"]["path"]).name
        assert loaded["video"] == {"bytes": seen["files"][name], "path": name}
        errors = {"video_audio_error": shorten(sent["video_audio_error"], session.folder)}
        assert {**loaded, "video": None} == {**sent, "video": None, **errors}
    assert [row["video_audio_tags"] for row in seen["rows"]] == TAGS
    assert "Video(decode=True" in seen["features"]


def test_card_keeps_its_text_and_metadata(session: Session) -> None:
    card = session["embedded"]["card"]
    assert text(card).startswith("\n# Clips\n\nWritten by hand: keep *every* word,  and  spaces.\n")
    kept = metadata(card)
    assert kept["license"] == "cc-by-4.0"
    assert kept["language"] == ["en"]
    assert kept["owner_note"] == {"reviewed": True}
    assert kept["tags"][0] == "birds"
    assert kept["task_categories"] == ["video-classification", "audio-classification"]
    assert kept["size_categories"] == ["n<1K"]
    assert kept["configs"] == [
        {"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*"}]}
    ]
    assert kept["dataset_info"]["splits"][0]["num_examples"] == 4


def test_card_has_model_settings_counts_and_tags(session: Session) -> None:
    import hf_audio_tagger

    rows = table_rows(session["embedded"]["card"])
    assert ["Model", "demo"] in rows
    assert ["Package", f"hf-audio-tagger {hf_audio_tagger.__version__}"] in rows
    assert ["train", "4", "4", "2", "1", "1"] in rows
    assert ["Music", "1", "25.0%"] in rows
    assert ["Siren", "1", "25.0%"] in rows
    assert ["`top_k`", "`2`"] in rows
    assert ["`channels`", '`"mean"`'] in rows
    assert not any("token" in row[0] for row in rows)


def test_code_of_the_card_makes_the_same_tags(session: Session) -> None:
    seen = session["embedded"]
    assert seen["recomputed"] == TAGS
    added = '"video_audio_tags", "video_audio_top", "video_audio_error"'
    assert f"ds.remove_columns([{added}])" in seen["card"], "else the pushed tags would be kept, not made"


def test_a_repeated_push_makes_no_commit(session: Session) -> None:
    seen = session["embedded"]
    assert seen["commits"] == ["Upload dataset", "Describe the audio tags"]
    assert seen["commits_of_repeated"] == []


def test_push_with_other_settings_replaces_the_section_alone(session: Session) -> None:
    seen = session["embedded"]
    assert seen["commits_of_other_settings"] == ["Describe the audio tags"]
    afterword = "\n## Citation\n\nAlso by hand, below the section.\n"
    expected = seen["card"].replace("| `top_k` | `2` |", "| `top_k` | `7` |").replace("top_k=2", "top_k=7")
    expected = expected.replace("top_k: 2", "top_k: 7")  # the metadata tell it too
    assert seen["card_of_other_settings"] == expected + afterword
    assert text(expected).count("## Audio tags") == 1


def test_only_tags_leaves_the_media_out(session: Session) -> None:
    seen = session["only_tags"]
    assert [row["video"] for row in seen["names"]] == NAMES
    assert [row["video_audio_tags"] for row in seen["names"]] == TAGS
    assert [row["id"] for row in seen["ids"]] == [0, 1, 2, 3]
    assert not any("video" in row for row in seen["ids"])
    assert [row["video"] for row in seen["chosen"]] == NAMES
    assert not any("id" in row for row in seen["chosen"])
    clip = (session.folder / "clips" / "siren.mp4").read_bytes()[:64]
    for name in ("names", "ids", "chosen", "lists"):
        repo = session.hub.repos[f"maker/{name}"]
        assert repo.blobs
        assert not any(clip in blob for blob in repo.blobs.values())
    assert any(clip in blob for blob in session.hub.repos["maker/clips"].blobs.values())  # the search works


def test_only_tags_keeps_names_of_lists_apart(session: Session) -> None:
    rows = session["only_tags"]["lists"]
    assert [row["videos"] for row in rows] == [["a/1.mp4", "b/1.mp4"], [], None]
    assert not any("thumbnail" in row for row in rows)


def test_code_beside_tags_alone_loads_other_videos(session: Session) -> None:
    card = session["only_tags"]["card"]
    python = card.split("```python\n")[1].split("```")[0]
    ast.parse(python)
    assert 'load_dataset("path/to/the/videos", split="train")' in python
    assert "maker/names" not in python


def test_paths_as_text_stay_text_unless_embedding_is_asked_for(session: Session) -> None:
    seen, files = session["text_paths"], session["embedded"]["files"]
    clips = session.folder / "clips"
    assert [row["video"] for row in seen["text"]["rows"]] == [str(clips / name) for name in NAMES]
    embedded = [row["video"] for row in seen["embedded-text"]["rows"]]
    assert embedded == [{"bytes": files[name], "path": name} for name in NAMES]
    assert "'video': Video(" in seen["embedded-text"]["features"]
    lists = [[video["bytes"] for video in row["videos"]] for row in seen["embedded-lists"]["rows"]]
    assert lists == [[files["siren.mp4"], files["music.mp4"]], [files["silent.mp4"], files["broken.mp4"]]]
    assert "'videos': List(Video(" in seen["embedded-lists"]["features"]
    assert seen["embedded-sounds"]["rows"][0]["audio"] == {"bytes": files["siren.mp4"], "path": "siren.mp4"}
    assert "'audio': Audio(" in seen["embedded-sounds"]["features"]


def test_videos_by_path_are_left_out_where_asked(session: Session) -> None:
    seen = session["text_paths"]["by-path"]
    clips = session.folder / "clips"
    assert [row["video"] for row in seen["rows"]] == [
        {"bytes": None, "path": str(clips / name)} for name in NAMES
    ]
    assert "'video': Video(" in seen["features"]


def test_dataset_dict_and_a_config_beside_it(session: Session) -> None:
    seen = session["splits"]
    loaded = {split: [row["video_audio_tags"] for row in rows] for split, rows in seen["rows"].items()}
    assert loaded == {"train": TAGS[:2], "test": TAGS[2:]}
    assert [row["id"] for row in seen["text_rows"]] == [f"clip-{row:03}" for row in range(5)]
    rows = table_rows(seen["card"])
    assert ["train", "2", "2", "2", "0", "0"] in rows
    assert ["test", "2", "2", "0", "1", "1"] in rows
    assert ["all", "4", "4", "2", "1", "1"] in rows
    assert ["validation", "5", "5", "5", "0", "0"] in rows
    assert seen["card"].count("begin default") == seen["card"].count("begin text") == 1
    assert "## Audio tags of `text`" in seen["card"]
    assert seen["commits"] == ["Upload dataset", "Describe the audio tags"]


def test_two_commits_whatever_the_number_of_shards(session: Session) -> None:
    seen = session["shards"]
    assert seen["usual"] < 60, "push_to_hub alone would make one commit here"
    assert seen["commits"] == ["initial commit", "Upload dataset", "Describe the audio tags"]
    assert seen["ids"] == [f"clip-{row:03}" for row in range(60)]
    files = session.hub.repos["maker/shards"].branches["main"][-1].files
    assert sum(path.endswith(".parquet") for path in files) == 60


def test_an_interrupted_push_resumes(session: Session) -> None:
    steps = session["interrupted"]["steps"]
    assert [step["failed"]["type"] for step in steps] == ["HubError", "HubError", "HubError", None]
    for step in steps[:3]:
        assert "Storage is full" in step["failed"]["message"]
        assert "not sent again" in step["failed"]["message"]
    assert [step["puts"] for step in steps] == [3, 3, 0, 0]
    assert [step["commits"] for step in steps] == [
        ["initial commit"],
        [],
        ["Upload dataset"],
        ["Describe the audio tags"],
    ]
    assert [row["id"] for row in session["interrupted"]["rows"]] == [f"clip-{row:03}" for row in range(6)]


def test_private_repository_and_a_branch(session: Session) -> None:
    seen = session["private_branch"]
    assert seen["is_private"]
    assert seen["seen_by_strangers"] == "DatasetNotFoundError"
    assert session.hub.repos["maker/clips"].private is False
    assert (seen["main"], seen["v2"]) == (3, 5)
    assert seen["url"] == f"{session.hub.url}/datasets/maker/private/tree/v2"
    assert seen["commits"][-2:] == ["Two more clips", "Describe the audio tags"]
    assert ["train", "5", "5", "5", "0", "0"] in table_rows(seen["card"])
    assert ["train", "3", "3", "3", "0", "0"] in table_rows(seen["card_of_main"])


def test_without_a_tagger_the_card_has_counts_and_no_settings(session: Session) -> None:
    card = session["without_tagger"]["card"]
    assert ["train", "3", "3", "3", "0", "0"] in table_rows(card)
    assert "Settings" not in card
    assert "```" not in card


@pytest.mark.parametrize(
    ("case", "kind", "words"),
    [
        ("not logged in", "HubError", ("401", "hf auth login", "HF_TOKEN", "token=")),
        ("wrong token", "HubError", ("401", "hf auth login")),
        ("not mine", "HubError", ("403", "somebody/else", "write access")),
        ("odd token", "SettingsError", ("token=",)),
        ("echo", "HubError", ("400", "<token>")),
        ("file gone", "HubError", ("gone.mp4", "embed_media=False", "only_tags=True")),
        ("no network", "HubError", ("http://127.0.0.1:9", "cannot be reached", "network")),
    ],
)
def test_refusals_say_what_to_do(session: Session, case: str, kind: str, words: tuple[str, ...]) -> None:
    failed = session["refusals"][case]
    assert failed["type"] == kind
    for word in words:
        assert word in failed["message"]


def test_token_of_the_environment_and_one_with_a_newline(session: Session) -> None:
    seen = session["refusals"]
    assert seen["environment"]["url"].endswith("/datasets/maker/environment")
    assert seen["newline"]["url"].endswith("/datasets/maker/newline")


def test_token_is_nowhere(session: Session) -> None:
    """Not in what was sent, but for the header it belongs in, nor kept, printed, raised or written."""
    secret = TOKEN.encode()
    assert session.hub.raw_requests
    assert session.hub.stored
    assert not [request[:200] for request in session.hub.raw_requests if secret in request]
    assert not [content[:200] for content in session.hub.stored if secret in content]
    assert "Traceback" in session.printed, "the refusals' tracebacks were printed"
    assert TOKEN not in session.printed
    files = [path for path in session.folder.rglob("*") if path.is_file()]
    assert session.folder / "seen.json" in files  # errors, their reprs, and the tagger's
    assert not [path for path in files if secret in path.read_bytes()]


def rows(**columns: Any) -> Dataset:
    return Dataset.from_dict({"video_audio_tags": [["Dog"], ["Cat"]], **columns})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ds": IterableDataset.from_generator(lambda: iter([{"a": 1}]))}, "IterableDataset"),
        ({"ds": DatasetDict()}, "no splits"),
        ({"ds": DatasetDict({"train": rows()}), "split": "train"}, "for a Dataset"),
        ({"repo_id": "a/b/c"}, "user/name"),
        ({"key_columns": ["id"]}, "only_tags=True"),
        ({"only_tags": True, "key_columns": "id"}, "list of names"),
        ({"only_tags": True, "embed_media": True}, "no media"),
        ({"token": "two words"}, "token="),
        ({"ds": rows().remove_columns("video_audio_tags")}, "no column 'video_audio_tags'"),
        ({"ds": rows(video_audio_tags=[1, 2])}, "list of text"),
        ({"only_tags": True}, "identifies rows"),
        ({"only_tags": True, "ds": rows(video=[b"1", b"2"])}, "'video' holds no names of files"),
        ({"only_tags": True, "key_columns": ["nothing"]}, "'nothing'"),
        ({"embed_media": True}, "needs a column of media"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_sent(
    options: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", "http://127.0.0.1:9")
    arguments = {"ds": rows(), "repo_id": "maker/none", "token": "hf_none", **options}
    with pytest.raises((SettingsError, ColumnError), match=words):
        push(arguments.pop("ds"), arguments.pop("repo_id"), **arguments)


def test_the_page_comes_with_the_card(session: Session) -> None:
    seen = session["with_page"]["embedded"]
    assert seen["commits"] == ["Describe the audio tags"]  # one for both; the data had not changed
    assert [path for path in seen["files"] if path.startswith("report/")] == ["report/train/index.html"]
    link = f"{session.hub.url}/datasets/maker/paged/resolve/main/report/train/index.html"
    assert f"- [train]({link}): one file; download it and open it." in seen["card"]
    assert "data:video/" in seen["page"]
    assert session["with_page"]["rows"] == 4
    before = session["with_page"]["folder"]
    assert "report/train/data/head.js" in before["files"]
    assert '--include "report/train/*"' in before["card"]
    tags_alone = session["with_page"]["tags"]["page"]
    assert '"siren.mp4"' in tags_alone
    assert "data:video/" not in tags_alone
    for one in (seen, before, session["with_page"]["tags"]):
        assert str(session.folder) not in one["page"] + one["card"]
    assert {session["with_page"][way]["type"] for way in ("refused", "link")} == {"SettingsError"}
