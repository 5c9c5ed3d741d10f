"""AST checkpoints that are read without transformers: the same bits, and what is left to transformers."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import ASTForAudioClassification

from hf_audio_tagger import ModelError
from hf_audio_tagger.demo import CHECKPOINT
from hf_audio_tagger.models import ModelSpec, load
from hf_audio_tagger.models.ast_checkpoint import read_ast
from hf_audio_tagger.models.families.pretrained import PRETRAINED

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint that a test may change, with the names of weights that transformers 4 wrote."""
    return Path(shutil.copytree(CHECKPOINT, tmp_path / "model"))


def change_json(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def use_present_names(folder: Path) -> None:
    """The names of weights as the network has them, which some checkpoints may be written with."""
    model = ASTForAudioClassification.from_pretrained(folder)
    save_file(model.state_dict(), folder / "model.safetensors", {"format": "pt"})


def use_pickle(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def use_half_precision(folder: Path) -> None:
    state = {name: tensor.half() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(state, folder / "model.safetensors", {"format": "pt"})


def use_other_numbers(folder: Path) -> None:
    change_json(folder / "preprocessor_config.json", mean=-3.1, std=2.7, sampling_rate=8_000)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "change", [None, use_present_names, use_pickle, use_half_precision, use_other_numbers]
)
def test_outputs_are_those_of_transformers_to_the_last_bit(
    folder: Path, change: Callable[[Path], None] | None, dtype: str
) -> None:
    if change is not None:
        change(folder)
    spec = ModelSpec(str(folder), dtype=dtype)
    rng = np.random.default_rng(5)
    windows = [(0.1 * rng.standard_normal(size)).astype(np.float32) for size in (81_840, 3_000, 70_000)]
    ours: Any = load(spec, CPU)
    theirs: Any = PRETRAINED.load_by_transformers(spec, CPU)
    assert isinstance(theirs.model, ASTForAudioClassification)
    assert not isinstance(ours.model, ASTForAudioClassification)
    for batch in (windows, windows[:1]):
        one, other = ours.predict(batch), theirs.predict(batch)
        assert np.array_equal(one.logits, other.logits)
        assert np.array_equal(one.embeddings, other.embeddings)
    names = ("labels", "multi_label", "rate_hz", "window_samples", "hop_samples", "embedding_size", "dtype")
    assert [getattr(ours, name) for name in names] == [getattr(theirs, name) for name in names]


LEFT_TO_TRANSFORMERS: list[Callable[[Path], None]] = [
    lambda folder: change_json(folder / "config.json", hidden_act="relu"),
    lambda folder: change_json(folder / "config.json", quantization_config={}),
    lambda folder: change_json(folder / "config.json", architectures=["ASTModel"]),
    lambda folder: change_json(folder / "config.json", num_hidden_layers=5),
    lambda folder: change_json(folder / "config.json", id2label={"1": "Speech"}),
    lambda folder: change_json(folder / "config.json", id2label=None),
    lambda folder: change_json(folder / "config.json", problem_type="multi_label"),
    lambda folder: change_json(folder / "config.json", attn_implementation="eager"),
    lambda folder: change_json(folder / "preprocessor_config.json", feature_extractor_type="Other"),
    lambda folder: (folder / "preprocessor_config.json").write_text("[]") and None,
    lambda folder: (folder / "model.safetensors.index.json").write_text("{}") and None,
    lambda folder: (folder / "adapter_config.json").write_text("{}") and None,
    lambda folder: (folder / "preprocessor_config.json").unlink(),
    lambda folder: (folder / "model.safetensors").unlink(),
    lambda folder: (folder / "model.safetensors").write_bytes(b"weights") and None,
]


@pytest.mark.parametrize("change", LEFT_TO_TRANSFORMERS)
def test_what_is_not_plain_is_left_to_transformers(folder: Path, change: Callable[[Path], None]) -> None:
    assert read_ast(str(folder), None, None) is not None
    change(folder)
    assert read_ast(str(folder), None, None) is None


@pytest.fixture
def snapshots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the Hub, where a test may put commits of me/ast."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub" / "models--me--ast" / "snapshots"


def put(folder: Path, snapshots: Path, commit: str) -> Path:
    refs = snapshots.parent / "refs"
    refs.mkdir(parents=True, exist_ok=True)
    (refs / "main").write_text(commit)
    return Path(shutil.copytree(folder, snapshots / commit))


def test_the_hub_is_asked_once_and_all_files_are_of_one_commit(
    folder: Path, snapshots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def download(_: str, name: str, **__: Any) -> str:
        asked.append(name)
        return str(snapshots / (snapshots.parent / "refs" / "main").read_text() / name)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    put(folder, snapshots, "0" * 40)
    assert read_ast("me/ast", None, None) is not None
    assert asked == ["config.json"]
    newer = put(folder, snapshots, "1" * 40)
    (newer / "model.safetensors").unlink()  # not downloaded yet
    assert read_ast("me/ast", None, None) is None


@pytest.mark.parametrize("other", ["adapter_config.json", "processor_config.json"])
def test_other_files_count_in_the_cache_of_the_hub_too(
    folder: Path, snapshots: Path, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    cached = put(folder, snapshots, "0" * 40)
    assert read_ast("me/ast", None, None) is not None
    (cached / other).write_text("{}")
    assert read_ast("me/ast", None, None) is None


def test_any_failure_of_a_download_is_explained(
    folder: Path, snapshots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise EOFError("the connection broke")  # as HTTP clients have errors that are no OSError

    put(folder, snapshots, "0" * 40)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", fail)
    monkeypatch.setattr("transformers.AutoConfig.from_pretrained", fail)
    with pytest.raises(ModelError, match="'me/ast' cannot be loaded: the connection broke"):
        load(ModelSpec("me/ast"), CPU)
