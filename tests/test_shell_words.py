"""Messages on the shell speak of options, those in Python of arguments."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hf_audio_tagger import build_tagger, tag_dataset
from hf_audio_tagger.cli import app
from hf_audio_tagger.cli.wording import SETTINGS, use_options
from hf_audio_tagger.errors import TaggerError

OPTIONS = {**SETTINGS, "num_proc": "--num-proc", "overwrite": "--overwrite", "limit": "--limit"}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("top_k must be None or a whole number; got 0.", "--top-k must be a whole number; got 0."),
        ("threshold= trims the column that top_k= adds.", "--threshold trims the column that --top-k adds."),
        ('it needs windows="all".', "it needs --windows all."),
        ("engine='openvino' computes; pass device='cpu'.", "--engine openvino computes; pass --device cpu."),
        ("overwrite=True starts over, redo=True tags", "--overwrite starts over, --redo tags"),
        ("Name one with column=.", "Name one with --column."),
        ('In a file: build_tagger("yamnet", weights="y.pth")', "In a file: --model yamnet --weights y.pth"),
        ("Name it: build_tagger(column=...).", "Name it: --column."),
        ("x: top_k was 3, now 5; dtype was 'a'.", "x: --top-k was 3, now 5; --dtype was 'a'."),
        ("use decoder='pyav', which brings its own.", "use --decoder pyav, which brings its own."),
        ("started with limit=3; a smaller one", "started with --limit 3; a smaller one"),
    ],
)  # fmt: skip
def test_arguments_become_options(message: str, expected: str) -> None:
    assert use_options(message, OPTIONS) == expected


@pytest.mark.parametrize(
    "message",
    [
        "limit=3.mp4: No such file or directory.",
        "data/limit=3/a.mp4: it is no media file.",
        "https://example.org/a.mp4?limit=3&model='x' cannot be read.",
        "build_tagger(batched=True) with map(..., batched=True)",
        "embed_media=True needs a column of media.",
        "The model='x",
    ],
)
def test_names_of_files_and_other_arguments_stay(message: str) -> None:
    assert use_options(message, OPTIONS) == message


WRONG: list[tuple[list[str], Callable[[Path], Any]]] = [
    (["--threshold", "0.5"], lambda _: build_tagger("demo", threshold=0.5)),
    (["--decoder", "vlc"], lambda _: build_tagger("demo", decoder="vlc")),
    (["--windows", "some"], lambda _: build_tagger("demo", windows="some")),
    (
        ["--hop-seconds", "1", "--windows", "first"],
        lambda _: build_tagger("demo", hop_seconds=1, windows="first"),
    ),
    (["--column", "x"], lambda clips: tag_dataset(clips, clips / "out", build_tagger("demo", column="x"))),
    (["--limit", "1", "--sample", "1"], lambda clips: tag_dataset(clips, clips / "out", limit=1, sample=1)),
]


@pytest.mark.parametrize(("words", "call"), WRONG)
def test_a_wrong_setting_on_both_sides(
    clips: dict[str, Path], words: list[str], call: Callable[[Path], Any]
) -> None:
    """The shell's message has each option that was given and no argument; Python's has it as an argument."""
    folder = clips["Siren"].parent
    result = CliRunner().invoke(app, ["tag", str(folder), "--model", "demo", *words])
    assert result.exit_code == 1
    told = " ".join(result.stderr.split())
    given = [word.removeprefix("--").replace("-", "_") for word in words if word.startswith("--")]
    with pytest.raises(TaggerError) as error:
        call(folder)
    for name in given:
        assert f"--{name.replace('_', '-')}" in told
        assert not re.search(rf"(?<!-)\b{name}(=| must)", told)
        assert re.search(rf"\b{name}(=| must)", str(error.value))
