"""Where weights come from, and what their files may hold."""

import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from random_weights import load_patch_model, noises, yamnet_state

from hf_audio_tagger.errors import ModelError
from hf_audio_tagger.models import weights
from hf_audio_tagger.models.families.yamnet import YAMNET
from hf_audio_tagger.models.patch_model import PatchModel

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    return yamnet_state()


@pytest.fixture(scope="module")
def file(state: State, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("yamnet") / "yamnet.pth"
    torch.save(state, path)
    return path


@pytest.fixture(scope="module")
def model(file: Path) -> PatchModel:
    return load_patch_model("yamnet", file)


def saved(state: State, folder: Path) -> Path:
    torch.save(state, folder / "yamnet.pth")
    return folder / "yamnet.pth"


# Where weights come from


def test_weights_in_the_cache_folder_need_no_name(
    file: Path, model: PatchModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_AUDIO_TAGGER_CACHE", str(file.parent))
    again = load_patch_model("yamnet")
    windows = noises(1)
    np.testing.assert_array_equal(again.predict(windows).logits, model.predict(windows).logits)


def test_the_default_cache_is_in_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_AUDIO_TAGGER_CACHE", raising=False)
    assert weights.cache_folder() == Path.home() / ".cache" / "hf_audio_tagger"


def refuse(path: Path) -> None:
    pytest.fail(f"{path} was checked as a download")


def test_a_path_without_a_file_and_an_unknown_scheme_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no weights at .*nowhere\.pth"):
        weights.find_weights(str(tmp_path / "nowhere.pth"), YAMNET.release, refuse)
    with pytest.raises(ModelError, match="no weights at ftp:"):
        weights.find_weights("ftp://example.org/yamnet.pth", YAMNET.release, refuse)


def test_a_file_url_is_read_in_place(file: Path) -> None:
    assert weights.find_weights(file.as_uri(), YAMNET.release, refuse) == file


# What a file holds


def test_keys_that_do_not_fit_are_named(state: State, tmp_path: Path) -> None:
    other = dict(state)
    del other["layer7.pointwise_conv.bn.bias"]
    other["head.weight"] = torch.zeros(1)
    other["classifier.bias"] = torch.zeros(10)
    with pytest.raises(ModelError) as caught:
        load_patch_model("yamnet", saved(other, tmp_path))
    message = str(caught.value)
    assert "1 missing: layer7.pointwise_conv.bn.bias" in message
    assert "1 unexpected: head.weight" in message
    assert "1 of the wrong shape: classifier.bias (10,), not (521,)" in message
    assert str(pickle.loads(pickle.dumps(caught.value))) == message


def test_many_missing_keys_are_counted_not_listed(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"137 missing: (layer\S+, ){5}\.\.\.$"):
        load_patch_model("yamnet", saved({}, tmp_path))


def test_training_counters_may_be_left_out(state: State, model: PatchModel, tmp_path: Path) -> None:
    lean = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    again = load_patch_model("yamnet", saved(lean, tmp_path))
    windows = noises(1)
    np.testing.assert_array_equal(again.predict(windows).logits, model.predict(windows).logits)


class Attack:
    """A pickle that touches a file when it is read."""

    def __init__(self, touched: Path) -> None:
        self.touched = touched

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.touched),)


@pytest.mark.parametrize("plain", [True, False])
def test_a_pickle_that_runs_code_is_refused(tmp_path: Path, plain: bool) -> None:
    path, touched = tmp_path / "yamnet.pth", tmp_path / "touched"
    attack = {"classifier.bias": Attack(touched)}
    if plain:
        path.write_bytes(pickle.dumps(attack))
    else:
        torch.save(attack, path)
    with pytest.raises(ModelError, match="refused"):
        load_patch_model("yamnet", path)
    assert not touched.exists()


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\x89HDF\r\n\x1a\nand so on"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "yamnet.pth"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"yamnet\.pth"):
        load_patch_model("yamnet", path)


def test_a_file_of_other_things_is_no_state_dict(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "yamnet.pth")
    with pytest.raises(ModelError, match="not a state dict"):
        load_patch_model("yamnet", tmp_path / "yamnet.pth")


# Keras' file


def write_h5(state: State, path: Path, dense: str, scaled: bool) -> None:
    """The layout of Keras' `save_weights`: each variable below its layer's name, twice."""
    h5py = pytest.importorskip("h5py")
    leaves = {
        "bn.weight": "gamma:0",
        "bn.bias": "beta:0",
        "bn.running_mean": "moving_mean:0",
        "bn.running_var": "moving_variance:0",
    }
    with h5py.File(path, "w") as file:
        for key, tensor in state.items():
            values = tensor.numpy()
            if key.startswith("classifier"):
                leaf = "bias:0" if key.endswith("bias") else "kernel:0"
                file[f"{dense}/{dense}/{leaf}"] = values.T
                continue
            layer, part, kind = key.split(".", 2)
            name = f"{layer}/{part.replace('fused', 'conv')}"
            if kind == "conv.weight" and "depthwise" in part:
                file[f"{name}/{name}/depthwise_kernel:0"] = np.moveaxis(values, (0, 1), (2, 3))
            elif kind == "conv.weight":
                file[f"{name}/{name}/kernel:0"] = np.moveaxis(values, (0, 1), (3, 2))
            elif kind in leaves and (scaled or kind != "bn.weight"):
                file[f"{name}/bn/{name}/bn/{leaves[kind]}"] = values


@pytest.mark.parametrize(("dense", "scaled"), [("logits", False), ("dense", True)])
def test_keras_file_gives_the_same_logits(state: State, tmp_path: Path, dense: str, scaled: bool) -> None:
    if not scaled:
        state = {k: torch.ones_like(v) if "bn.weight" in k else v for k, v in state.items()}
    write_h5(state, tmp_path / "yamnet.h5", dense, scaled)
    ours = load_patch_model("yamnet", saved(state, tmp_path))
    keras = load_patch_model("yamnet", tmp_path / "yamnet.h5")
    windows = noises(3)
    np.testing.assert_array_equal(ours.predict(windows).logits, keras.predict(windows).logits)


def test_keras_file_that_lacks_a_kernel_or_has_more_is_refused(state: State, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "yamnet.h5"
    write_h5(state, path, "logits", scaled=True)
    with h5py.File(path, "a") as file:
        del file["layer5/pointwise_conv/layer5/pointwise_conv/kernel:0"]
        file["optimizer/step"] = np.zeros(1)
    with pytest.raises(ModelError) as caught:
        load_patch_model("yamnet", path)
    assert "1 missing: layer5.pointwise_conv.conv.weight" in str(caught.value)
    assert "1 unexpected: optimizer/step" in str(caught.value)


def test_keras_file_without_h5py_says_what_to_install(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_h5(state, tmp_path / "yamnet.h5", "logits", scaled=True)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ModelError, match=r'pip install "hf-audio-tagger\[h5\]"'):
        load_patch_model("yamnet", tmp_path / "yamnet.h5")
