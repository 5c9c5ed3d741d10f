"""The README's Python examples run, on a column of `Video()`, where nothing can decode a row of it.

They run on small clips and with the packaged model; nothing is fetched or pushed.
"""

import re
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import Dataset, Video
from matplotlib.figure import Figure

import hf_audio_tagger.tagger

README = Path(__file__).parents[1] / "README.md"
build_demo = hf_audio_tagger.tagger.build_tagger


def read_example(heading: str) -> str:
    """The first Python block below a heading."""
    section = README.read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return section.split("```python\n")[1].split("```")[0]


@pytest.fixture(scope="module")
def names(clips: dict[str, Path]) -> Any:
    """What the examples define, run one after the other as a reader would."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Video, "decode_example", lambda *_, **__: pytest.fail("a row was decoded"))
        paths = [str(clips[name]) for name in ("Siren", "EMPTY", "Music")]
        ds = Dataset.from_dict({"video": paths}).cast_column("video", Video())
        patch.setattr(datasets, "load_dataset", lambda *_, **__: ds)
        patch.setattr(Dataset, "push_to_hub", lambda *_, **__: None)
        patch.setattr(
            hf_audio_tagger.tagger, "build_tagger", lambda **settings: build_demo("demo", **settings)
        )
        defined: dict[str, Any] = {}
        for heading in ("Ten lines of use", "Asking by meaning"):
            # A notebook shows what a line returns; here it is kept.
            code = re.sub(r"^(plot_\w+)\(", r"\1_shown = \1(", read_example(heading), flags=re.MULTILINE)
            exec(compile(code, heading, "exec"), defined)
        yield defined


def test_tags_and_filters(names: dict[str, Any]) -> None:
    assert names["ds"]["video_audio_tags"][:] == [["Siren"], ["EMPTY"], ["Music"]]
    assert len(names["cars"]) == 0
    assert names["quiet"]["video_audio_tags"][:] == [["Siren"], ["EMPTY"]]
    assert len(names["vehicles"]) <= 3


def test_labels_and_classes(names: dict[str, Any]) -> None:
    ds = names["ds"]
    assert ["Siren"] in [labels[:1] for [labels] in ds["video_audio_labels"]]
    assert ds["video_audio_tags_level1"][:] == [[["Sounds of things"]], [[]], [["Music"]]]
    assert ds["video_audio_tags_classes"][:] == [[["other"]], [[]], [["other"]]]


def test_pictures(names: dict[str, Any]) -> None:
    assert isinstance(names["plot_tags_shown"], Figure)
    assert len(names["plot_timeline_shown"].axes) == 3
