"""VGGish, with its classifier and without. Random weights, and a thin dense layer for speed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from random_weights import load_patch_model

from hf_audio_tagger import build_tagger
from hf_audio_tagger.errors import ModelError
from hf_audio_tagger.models import patch_model
from hf_audio_tagger.models.front_ends.logmel import log_mel
from hf_audio_tagger.models.networks import vggish
from hf_audio_tagger.models.patch_model import PatchModel

WINDOW = 15_600


@pytest.fixture(autouse=True)
def thin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vggish, "HIDDEN", 32)


@pytest.fixture
def network() -> vggish.Vggish:
    torch.manual_seed(0)
    network = vggish.Vggish(classifies=True)
    for module in network.modules():  # as loud at the end as at the start
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(module.weight)
    network.requires_grad_(False)
    network.get_parameter("classifier.2.weight").mul_(0.1)  # logits of a few units, as real ones
    return network.eval()


@pytest.fixture
def file(network: vggish.Vggish, tmp_path: Path) -> Path:
    torch.save(network.state_dict(), tmp_path / "vggish_with_classifier.pth")
    return tmp_path / "vggish_with_classifier.pth"


@pytest.fixture
def model(file: Path) -> PatchModel:
    return load_patch_model("vggish", file)


@pytest.fixture
def embedder(network: vggish.Vggish, tmp_path: Path) -> PatchModel:
    """VGGish as its authors released it."""
    state = network.state_dict()
    bare = {k: v for k, v in state.items() if not k.startswith("classifier")}
    torch.save(bare, tmp_path / "vggish_orig.pth")
    return load_patch_model("vggish", tmp_path / "vggish_orig.pth")


def noises(count: int) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [(random.normal(size=WINDOW) * 0.1 * (i + 1)).astype(np.float32) for i in range(count)]


def test_network_has_the_published_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the full width
    with torch.device("meta"):
        shapes = {k: tuple(v.shape) for k, v in vggish.Vggish(classifies=True).state_dict().items()}
    for layer, shape in {
        "features.0": (64, 1, 3, 3),
        "features.3": (128, 64, 3, 3),
        "features.6": (256, 128, 3, 3),
        "features.8": (256, 256, 3, 3),
        "features.11": (512, 256, 3, 3),
        "features.13": (512, 512, 3, 3),
        "embeddings.0": (4096, 12288),
        "embeddings.2": (4096, 4096),
        "embeddings.4": (128, 4096),
        "classifier.0": (100, 128),
        "classifier.2": (527, 100),
    }.items():
        assert shapes.pop(f"{layer}.weight") == shape
        assert shapes.pop(f"{layer}.bias") == shape[:1]
    assert shapes == {}


@pytest.mark.parametrize(("row", "column", "channel"), [(0, 0, 7), (0, 1, 0), (5, 2, 300)])
def test_dense_layer_reads_rows_then_columns_then_channels(
    network: vggish.Vggish, row: int, column: int, channel: int
) -> None:
    dense = network.embeddings[0]
    assert isinstance(dense, torch.nn.Linear)
    dense.weight.zero_()[0, (row * 4 + column) * 512 + channel] = 1  # 4 columns, 512 channels
    dense.bias.zero_()
    seen = []
    dense.register_forward_hook(lambda module, given, result: seen.append(result.clone()))
    patches = torch.randn(2, 96, 64, generator=torch.Generator().manual_seed(2))
    network(patches)
    pooled = network.features(patches[:, None])
    assert pooled.shape == (2, 512, 6, 4)
    torch.testing.assert_close(seen[0][:, 0], pooled[:, channel, row, column])


def test_predict_follows_the_published_steps(network: vggish.Vggish, model: PatchModel) -> None:
    state, windows = network.state_dict(), noises(3)
    output = model.predict(windows)
    x = log_mel(torch.from_numpy(np.stack(windows)), 0.01)[:, None]
    for conv in (0, 3, 6, 8, 11, 13):
        weight, bias = state[f"features.{conv}.weight"], state[f"features.{conv}.bias"]
        x = torch.relu(torch.nn.functional.conv2d(x, weight, bias, padding=1))
        if conv not in (6, 11):
            x = torch.nn.functional.max_pool2d(x, 2)
    x = x.permute(0, 2, 3, 1).reshape(3, -1)
    for dense in (0, 2, 4):
        x = torch.relu(x @ state[f"embeddings.{dense}.weight"].T + state[f"embeddings.{dense}.bias"])
    assert output.embeddings is not None
    assert output.embeddings.shape == (3, 128)
    np.testing.assert_allclose(output.embeddings, x.numpy(), atol=1e-4)
    x = torch.relu(x @ state["classifier.0.weight"].T + state["classifier.0.bias"])
    logits = x @ state["classifier.2.weight"].T + state["classifier.2.bias"]
    assert output.logits.shape == (3, 527)
    assert output.logits.dtype == np.float32
    np.testing.assert_allclose(output.logits, logits.numpy(), atol=1e-4)
    assert np.std(output.logits, axis=0).max() > 0.05


def test_labels_are_audiosets(model: PatchModel) -> None:
    assert (model.labels[1], model.labels[137]) == ("Male speech, man speaking", "Music")
    assert len(model.labels) == 527
    assert model.hop_samples == 15_360


def test_without_a_classifier_there_are_embeddings_and_no_tags(
    model: PatchModel, embedder: PatchModel
) -> None:
    windows = noises(2)
    output = embedder.predict(windows)
    assert embedder.labels == ()
    assert output.logits.shape == (2, 0)
    np.testing.assert_array_equal(output.embeddings, model.predict(windows).embeddings)


@pytest.mark.usefixtures("embedder")
def test_a_tagger_without_a_classifier_gives_embeddings_alone(tmp_path: Path) -> None:
    clip = {"array": np.concatenate(noises(2)), "sampling_rate": 16_000}
    given: dict[str, Any] = {"weights": tmp_path / "vggish_orig.pth", "device": "cpu"}
    (result,) = build_tagger("vggish", **given, embeddings=True).classify(clip)
    assert result.tag is None
    assert result.embedding is not None
    assert result.embedding.shape == (128,)
    for asked in ({}, {"embeddings": True, "top_k": 2}, {"embeddings": True, "segments": True}):
        with pytest.raises(ModelError, match=r"name no sounds.*embeddings=True alone"):
            build_tagger("vggish", **given, **asked).tag(clip)


def test_half_a_classifier_is_refused(network: vggish.Vggish, tmp_path: Path) -> None:
    state = network.state_dict()
    del state["classifier.2.bias"]
    torch.save(state, tmp_path / "half.pth")
    with pytest.raises(ModelError, match=r"1 missing: classifier\.2\.bias"):
        load_patch_model("vggish", tmp_path / "half.pth")


def test_the_cache_folder_prefers_the_file_with_a_classifier(
    file: Path, embedder: PatchModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_AUDIO_TAGGER_CACHE", str(file.parent))
    assert len(load_patch_model("vggish").labels) == 527
    file.unlink()
    assert load_patch_model("vggish").labels == ()


def test_outputs_do_not_depend_on_the_chunk(model: PatchModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patch_model, "CPU_CHUNK", 4)
    windows = noises(5)
    windows[2] = windows[2][:3_000]
    together = model.predict(windows).logits
    for window, row in zip(windows, together, strict=True):
        np.testing.assert_allclose(model.predict([window]).logits[0], row, atol=1e-5)
