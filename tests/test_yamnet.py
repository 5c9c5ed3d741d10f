"""YAMNet's front end and network, with random weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from plain_yamnet import plain_log_mel, run_plain_network
from random_weights import load_patch_model, noises, yamnet_state

from hf_audio_tagger.errors import ModelError
from hf_audio_tagger.models import patch_model
from hf_audio_tagger.models.front_ends.logmel import log_mel
from hf_audio_tagger.models.networks import yamnet
from hf_audio_tagger.models.patch_model import PatchModel

WINDOW = 15_600
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
        mirrored = yamnet.fuse_and_mirror(layer)(x.flip(2, 3)).flip(2, 3)
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


def test_predict_gives_logits_and_embeddings_of_the_plain_network(state: State, model: PatchModel) -> None:
    windows = noises(5)
    output = model.predict(windows)
    with torch.no_grad():
        patches = log_mel(torch.from_numpy(np.stack(windows)), 0.001)
        embeddings, logits = run_plain_network(state, patches)
    assert output.logits.dtype == np.float32
    assert output.logits.shape == (5, 521) == (5, len(model.labels))
    assert np.std(output.logits, axis=0).max() > 0.05  # it depends on the sound
    np.testing.assert_allclose(output.logits, logits.numpy(), atol=1e-4)
    assert output.embeddings is not None
    np.testing.assert_allclose(output.embeddings, embeddings.numpy(), atol=1e-4)


def test_labels_are_yamnets(model: PatchModel) -> None:
    assert (model.labels[0], model.labels[132]) == ("Speech", "Music")
    assert (model.labels[494], model.labels[520]) == ("Silence", "Field recording")
    assert model.hop_samples == 7680


def test_short_windows_are_padded_with_zeros_at_the_end(model: PatchModel) -> None:
    (short,) = noises(1, samples=1_000)
    full = np.concatenate([short, np.zeros(WINDOW - 1_000, dtype=np.float32)])
    silent = np.zeros(WINDOW, dtype=np.float32)
    output = model.predict([short, full, silent]).logits
    np.testing.assert_array_equal(output[0], output[1])
    assert np.abs(output[0] - output[2]).max() > 1e-3


def test_outputs_do_not_depend_on_the_chunk(model: PatchModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patch_model, "CPU_CHUNK", 4)
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
    coarse = load_patch_model("yamnet", file, dtype="bfloat16").predict(noises(3))
    exact = model.predict(noises(3))
    assert coarse.logits.dtype == np.float32
    agreement = np.corrcoef(coarse.logits.ravel(), exact.logits.ravel())[0, 1]
    assert 0.98 < agreement < 1
