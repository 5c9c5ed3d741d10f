"""YAMNet: its front end, its network, and how its weights come in. No weights but random ones."""

import http.server
import os
import pickle
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from plain_yamnet import plain_answers, plain_log_mel

from hf_audio_tagger.errors import ModelError
from hf_audio_tagger.models import weights, yamnet
from hf_audio_tagger.models.front_ends import logmel
from hf_audio_tagger.models.front_ends.logmel import PatchModel, log_mel

WINDOW = 15_600
State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    """Random weights under which the signal survives all 27 convolutions."""
    torch.manual_seed(0)
    network = yamnet.Yamnet()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
            torch.nn.init.uniform_(module.weight, 0.8, 1.5)
            torch.nn.init.uniform_(module.bias, -0.2, 0.4)
    with torch.no_grad():
        network(torch.randn(8, 96, 64))  # in training mode: sets the running statistics
    return network.state_dict()


@pytest.fixture(scope="module")
def file(state: State, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("yamnet") / "yamnet.pth"
    torch.save(state, path)
    return path


@pytest.fixture(scope="module")
def model(file: Path) -> PatchModel:
    return yamnet.load_yamnet(file, "cpu", torch.float32)


def noises(count: int, samples: int = WINDOW) -> list[np.ndarray]:
    """Windows that differ in loudness and colour."""
    random = np.random.default_rng(1)
    return [
        (0.3 / (i + 1) * np.cumsum(random.normal(size=samples)) / (10 + i)).astype(np.float32)
        for i in range(count)
    ]


def saved(state: State, folder: Path) -> Path:
    torch.save(state, folder / "yamnet.pth")
    return folder / "yamnet.pth"


# The front end


@pytest.mark.parametrize("offset", [0.001, 0.01])
def test_log_mel_is_what_numpy_computes(offset: float) -> None:
    windows = [*noises(2), np.zeros(WINDOW, dtype=np.float32)]
    patches = log_mel(torch.from_numpy(np.stack(windows)), offset).numpy()
    assert patches.shape == (3, 96, 64)
    for window, patch in zip(windows, patches, strict=True):
        np.testing.assert_allclose(patch, plain_log_mel(window, offset), atol=2e-4)
    assert np.allclose(patches[2], np.log(offset))  # silence is finite


def test_a_window_is_all_its_frames_and_no_sample_more() -> None:
    sound = torch.randn(1, WINDOW, generator=torch.Generator().manual_seed(3))
    louder = sound.clone()
    louder[0, -100:] *= 5
    changed = (log_mel(sound, 0.001) != log_mel(louder, 0.001)).any(-1)[0]
    assert changed.tolist() == [False] * 95 + [True]


# The network


def test_strided_depthwise_layer_pads_below_and_right() -> None:
    torch.manual_seed(4)
    layer = yamnet.ConvNormRelu(6, 6, kernel=3, stride=2, groups=6).eval()
    assert isinstance(layer.bn, torch.nn.BatchNorm2d)
    mean, variance, scale, bias = torch.rand(4, 6) + 0.5
    layer.bn.load_state_dict(
        {"running_mean": mean, "running_var": variance * 1e-3, "weight": scale, "bias": bias},
        strict=False,
    )
    x = torch.randn(2, 6, 12, 8)
    padded = torch.zeros(2, 6, 13, 9)
    padded[:, :, :12, :8] = x
    rows = []
    for i in range(6):
        for j in range(4):
            cut = padded[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
            rows.append((cut * layer.conv.weight[:, 0]).sum((2, 3)))
    convolved = torch.stack(rows, dim=-1).view(2, 6, 6, 4)
    shape = (1, 6, 1, 1)
    normed = (convolved - mean.view(shape)) / (variance.view(shape) * 1e-3 + 1e-4).sqrt()
    expected = torch.relu(normed * scale.view(shape) + bias.view(shape))
    with torch.no_grad():
        mirrored = yamnet.prepared(layer)(x.flip(2, 3)).flip(2, 3)
    torch.testing.assert_close(mirrored, expected, atol=1e-4, rtol=1e-4)


def test_network_is_mobilenet_in_the_published_layout(state: State) -> None:
    for key, shape in {
        "layer1.fused.conv.weight": (32, 1, 3, 3),
        "layer2.depthwise_conv.bn.running_var": (32,),
        "layer3.depthwise_conv.conv.weight": (64, 1, 3, 3),
        "layer14.pointwise_conv.conv.weight": (1024, 1024, 1, 1),
        "classifier.bias": (521,),
    }.items():
        assert state[key].shape == shape
    assert len(state) == 164
    in_keras = [k for k in state if not k.endswith(("bn.weight", "num_batches_tracked"))]
    assert sum(state[k].numel() for k in in_keras) == 3_751_369


def test_hear_gives_logits_and_embeddings_of_the_plain_network(state: State, model: PatchModel) -> None:
    windows = noises(5)
    heard = model.predict(windows)
    with torch.no_grad():
        patches = log_mel(torch.from_numpy(np.stack(windows)), 0.001)
        embeddings, logits = plain_answers(state, patches)
    assert heard.logits.dtype == np.float32
    assert heard.logits.shape == (5, 521) == (5, len(model.labels))
    assert np.std(heard.logits, axis=0).max() > 0.05  # it does listen
    np.testing.assert_allclose(heard.logits, logits.numpy(), atol=1e-4)
    assert heard.embeddings is not None
    np.testing.assert_allclose(heard.embeddings, embeddings.numpy(), atol=1e-4)


def test_labels_are_yamnets(model: PatchModel) -> None:
    assert (model.labels[0], model.labels[132]) == ("Speech", "Music")
    assert (model.labels[494], model.labels[520]) == ("Silence", "Field recording")
    assert model.hop_samples == 7680


def test_short_windows_are_padded_with_zeros_at_the_end(model: PatchModel) -> None:
    (short,) = noises(1, samples=1_000)
    full = np.concatenate([short, np.zeros(WINDOW - 1_000, dtype=np.float32)])
    silent = np.zeros(WINDOW, dtype=np.float32)
    heard = model.predict([short, full, silent]).logits
    np.testing.assert_array_equal(heard[0], heard[1])
    assert np.abs(heard[0] - heard[2]).max() > 1e-3


def test_an_answer_does_not_depend_on_its_company(model: PatchModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logmel, "CPU_CHUNK", 4)
    windows = noises(9)  # three chunks, the last one of a single window
    together = model.predict(windows)
    alone = [model.predict([window]) for window in windows]
    assert together.embeddings is not None
    for i, one in enumerate(alone):
        assert one.embeddings is not None
        np.testing.assert_allclose(together.logits[i], one.logits[0], atol=1e-5)
        np.testing.assert_allclose(together.embeddings[i], one.embeddings[0], atol=1e-5)


def test_no_windows_no_rows(model: PatchModel) -> None:
    assert model.predict([]).logits.shape == (0, 521)


@pytest.mark.parametrize("shape", [(WINDOW + 1,), (2, 400)])
def test_a_window_that_is_too_long_or_stereo_is_refused(model: PatchModel, shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="at most 15600 samples"):
        model.predict([np.zeros(shape, dtype=np.float32)])


def test_bfloat16_stays_near(file: Path, model: PatchModel) -> None:
    coarse = yamnet.load_yamnet(file, "cpu", torch.bfloat16).predict(noises(3))
    exact = model.predict(noises(3))
    assert coarse.logits.dtype == np.float32
    agreement = np.corrcoef(coarse.logits.ravel(), exact.logits.ravel())[0, 1]
    assert 0.98 < agreement < 1


# Where weights come from


def test_without_weights_the_error_says_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_AUDIO_TAGGER_CACHE", str(tmp_path))
    with pytest.raises(ModelError) as caught:
        yamnet.load_yamnet(None, "cpu", torch.float32)
    for part in (
        str(tmp_path),
        "torch_audioset/releases",
        "audioset/yamnet.h5",
        'build_tagger("yamnet", weights="yamnet.pth")',
    ):
        assert part in str(caught.value)


def test_weights_in_the_cache_folder_need_no_name(
    file: Path, model: PatchModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_AUDIO_TAGGER_CACHE", str(file.parent))
    again = yamnet.load_yamnet(None, "cpu", torch.float32)
    windows = noises(1)
    np.testing.assert_array_equal(again.predict(windows).logits, model.predict(windows).logits)


def test_the_default_cache_is_in_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_AUDIO_TAGGER_CACHE", raising=False)
    assert weights.cache_folder() == Path.home() / ".cache" / "hf_audio_tagger"


def test_a_path_without_a_file_and_an_unknown_scheme_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no weights at .*nowhere\.pth"):
        weights.find_weights(tmp_path / "nowhere.pth", yamnet.RELEASE)
    with pytest.raises(ModelError, match="not ftp://"):
        weights.find_weights("ftp://example.org/yamnet.pth", yamnet.RELEASE)


def test_a_file_url_is_read_in_place(file: Path) -> None:
    assert weights.find_weights(file.as_uri(), yamnet.RELEASE) == file


class Handler(http.server.BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", "9" if self.path.startswith("/cut") else "7")
        self.end_headers()
        self.wfile.write(b"weights")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("HF_AUDIO_TAGGER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    Handler.asked = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_url_is_fetched_once_and_is_no_default(server: str, tmp_path: Path) -> None:
    url = f"{server}/a/yamnet.pth?key=1"
    first, again = (weights.find_weights(url, yamnet.RELEASE) for _ in range(2))
    assert first == again
    assert (first.read_bytes(), first.suffix) == (b"weights", ".pth")
    assert Handler.asked == ["/a/yamnet.pth?key=1"]
    assert weights.find_weights(f"{server}/b/yamnet.pth", yamnet.RELEASE) != first
    with pytest.raises(ModelError, match="no weights for 'yamnet'"):
        weights.find_weights(None, yamnet.RELEASE)


@pytest.mark.parametrize(("path", "reason"), [("missing", "404"), ("cut", "7 bytes|Incomplete")])
def test_a_failed_download_leaves_nothing_and_tells_no_secret(
    server: str, tmp_path: Path, path: str, reason: str
) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        weights.find_weights(f"{server}/{path}.pth?token=secret", yamnet.RELEASE)
    assert f"{server}/{path}.pth" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert list((tmp_path / "cache").iterdir()) == []


# What a file holds


def test_keys_that_do_not_fit_are_named(state: State, tmp_path: Path) -> None:
    other = dict(state)
    del other["layer7.pointwise_conv.bn.bias"]
    other["head.weight"] = torch.zeros(1)
    other["classifier.bias"] = torch.zeros(10)
    with pytest.raises(ModelError) as caught:
        yamnet.load_yamnet(saved(other, tmp_path), "cpu", torch.float32)
    message = str(caught.value)
    assert "1 missing: layer7.pointwise_conv.bn.bias" in message
    assert "1 unexpected: head.weight" in message
    assert "1 of the wrong shape: classifier.bias (10,), not (521,)" in message
    assert str(pickle.loads(pickle.dumps(caught.value))) == message


def test_many_missing_keys_are_counted_not_listed(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"137 missing: (layer\S+, ){5}\.\.\.$"):
        yamnet.load_yamnet(saved({}, tmp_path), "cpu", torch.float32)


def test_training_counters_may_be_left_out(state: State, model: PatchModel, tmp_path: Path) -> None:
    lean = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    again = yamnet.load_yamnet(saved(lean, tmp_path), "cpu", torch.float32)
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
        yamnet.load_yamnet(path, "cpu", torch.float32)
    assert not touched.exists()


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\x89HDF\r\n\x1a\nand so on"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "yamnet.pth"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"yamnet\.pth"):
        yamnet.load_yamnet(path, "cpu", torch.float32)


def test_a_file_of_other_things_is_no_state_dict(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "yamnet.pth")
    with pytest.raises(ModelError, match="no state dict"):
        yamnet.load_yamnet(tmp_path / "yamnet.pth", "cpu", torch.float32)


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
    ours = yamnet.load_yamnet(saved(state, tmp_path), "cpu", torch.float32)
    keras = yamnet.load_yamnet(tmp_path / "yamnet.h5", "cpu", torch.float32)
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
        yamnet.load_yamnet(path, "cpu", torch.float32)
    assert "1 missing: layer5.pointwise_conv.conv.weight" in str(caught.value)
    assert "1 unexpected: optimizer/step" in str(caught.value)


def test_keras_file_without_h5py_says_what_to_install(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_h5(state, tmp_path / "yamnet.h5", "logits", scaled=True)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ModelError, match=r'pip install "hf-audio-tagger\[h5\]"'):
        yamnet.load_yamnet(tmp_path / "yamnet.h5", "cpu", torch.float32)
