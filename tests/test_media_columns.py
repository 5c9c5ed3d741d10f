"""Keys and tags without the media: files are named by what tells them apart."""

import pytest
from datasets import Dataset, Features, List, Value, Video

from hf_audio_tagger.hub.media_columns import find_shared_folder, select_tags


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
