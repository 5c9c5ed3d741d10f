"""Keys and tags without the media: files are named by what tells them apart."""

import pytest
from datasets import Dataset, Features, List, Value, Video

from hf_audio_tagger.hub.media_columns import select_tags
from hf_audio_tagger.media_paths import find_shared_folder, shorten_paths


def test_names_of_files_lose_the_folder_that_all_splits_share() -> None:
    features = Features({"video": Video(), "video_audio_tags": List(Value("string"))})
    made = {
        split: Dataset.from_dict(
            {"video": [f"/home/me/{split}/1.mp4", None], "video_audio_tags": [["Dog"], []]}, features=features
        )
        for split in ("train", "test")
    }
    named = select_tags(made, "video", None, ["video_audio_tags"])
    assert {split: list(dataset["video"]) for split, dataset in named.items()} == {
        "train": ["train/1.mp4", None],
        "test": ["test/1.mp4", None],
    }
    assert named["train"].column_names == ["video", "video_audio_tags"]


@pytest.mark.parametrize(
    ("paths", "folder"),
    [
        (["1.mp4"], ""),
        (["/a/1.mp4"], "/a/"),
        (["/a/bc/1.mp4", "/a/bd/1.mp4"], "/a/"),
        (["hf://datasets/u/d/x/1.mp4", "hf://datasets/u/d/x/2.mp4"], "hf://datasets/u/d/x/"),
        (["/a/1.mp4", "b.mp4"], ""),
        (["/a/1", "/a/1"], "/a/"),
    ],
)
def test_shared_folder(paths: list[str], folder: str) -> None:
    assert find_shared_folder(paths) == folder


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/me/clips/a b/1.mp4: it is empty (0 bytes).", "a b/1.mp4: it is empty (0 bytes)."),
        ("cannot open '/etc/other/x.conf'", "cannot open '…/x.conf'"),
        ("a.mp4: reading file:///home/you/b.mp4 stopped", "a.mp4: reading …/b.mp4 stopped"),
        (r"C:\Users\me\b.mp4: no", "…/b.mp4: no"),
        ("zip://a.mp4::/home/you/b.zip: I/O error and/or 1/2", "zip://a.mp4::…/b.zip: I/O error and/or 1/2"),
        (
            "https://a.org/b.mp4?sig=x%2F&k=1: 403 (https://u:p@h.org/)",
            "https://a.org/b.mp4: 403 (https://h.org/)",
        ),
    ],
)
def test_texts_name_no_folder_of_this_machine(text: str, shown: str) -> None:
    assert shorten_paths(text, "/home/me/clips/") == shown
