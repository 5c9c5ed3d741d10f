"""YAMNet and VGGish with seeded random weights, in the layout of their release files."""

from pathlib import Path

import numpy as np
import torch

from hf_audio_tagger.models import ModelSpec, load
from hf_audio_tagger.models.front_ends.logmel import log_mel
from hf_audio_tagger.models.networks import vggish, yamnet
from hf_audio_tagger.models.patch_model import PatchModel

RATE_HZ = 16_000
PATCH_SAMPLES = 15_600  # 0.975 s
YAMNET_HOP_SAMPLES = 7_680  # 0.48 s


def yamnet_network(seed: int = 0) -> torch.nn.Module:
    """The network with the weights of `write_yamnet`."""
    return yamnet.fuse_and_mirror(unprepared_yamnet(seed))


def yamnet_state() -> dict[str, torch.Tensor]:
    """Random weights under which the signal survives all 27 convolutions, with small logits."""
    torch.manual_seed(0)
    network = yamnet.Yamnet()
    randomize_batch_norms(network)
    with torch.no_grad():
        network(torch.randn(8, 96, 64))  # in training mode: sets the running statistics
    return network.state_dict()


def unprepared_yamnet(seed: int) -> yamnet.Yamnet:
    """Random weights under which the sound survives all layers, and different ones get different classes."""
    torch.manual_seed(seed)
    network = yamnet.Yamnet()
    randomize_batch_norms(network)
    torch.nn.init.normal_(network.classifier.weight, std=0.3)
    with torch.no_grad():
        network(4 * torch.randn(8, 96, 64) - 3)  # in training mode: sets the running statistics
    return network.eval().requires_grad_(False)


def randomize_batch_norms(network: yamnet.Yamnet) -> None:
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
            torch.nn.init.uniform_(module.weight, 0.8, 1.5)
            torch.nn.init.uniform_(module.bias, -0.2, 0.4)


def write_yamnet(path: Path, seed: int = 0) -> Path:
    torch.save(unprepared_yamnet(seed).state_dict(), path)
    return path


def vggish_network(classifies: bool = True) -> vggish.Vggish:
    """Call it with `vggish.HIDDEN` made small: the full width takes 280 MB."""
    torch.manual_seed(1)
    network = vggish.Vggish(classifies=classifies)
    for module in network.modules():  # as loud at the end as at the start
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(module.weight)
    return network.eval().requires_grad_(False)


def write_vggish(path: Path, classifies: bool = True) -> Path:
    torch.save(vggish_network(classifies).state_dict(), path)
    return path


def load_patch_model(
    family: str, weights: Path | None = None, dtype: str = "float32", engine: str = "torch"
) -> PatchModel:
    spec = ModelSpec(family, weights=None if weights is None else str(weights), dtype=dtype, engine=engine)
    model = load(spec, torch.device("cpu"))
    assert isinstance(model, PatchModel)
    return model


def noises(count: int, samples: int = PATCH_SAMPLES) -> list[np.ndarray]:
    """Windows that differ in loudness and colour."""
    random = np.random.default_rng(1)
    return [
        (0.3 / (i + 1) * np.cumsum(random.normal(size=samples)) / (10 + i)).astype(np.float32)
        for i in range(count)
    ]


def patches_of(sound: np.ndarray, hop: int = YAMNET_HOP_SAMPLES) -> np.ndarray:
    """All patches of a clip, the last one filled up with silence, (patches, 15600).

    One more begins as long as some of the clip was in none before.
    """
    starts = [0]
    while starts[-1] + PATCH_SAMPLES < len(sound):
        starts.append(starts[-1] + hop)
    if len(starts) > 1 and len(sound) - starts[-1] < 400:
        starts.pop()  # it would not make one frame
    patches = np.zeros((len(starts), PATCH_SAMPLES), np.float32)
    for patch, start in zip(patches, starts, strict=True):
        part = sound[start : start + PATCH_SAMPLES]
        patch[: len(part)] = part
    return patches


def answers(network: torch.nn.Module, patches: np.ndarray, offset: float) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings and logits of patches, straight from the network."""
    embeddings, logits = network(log_mel(torch.from_numpy(patches), offset))
    return embeddings.numpy(), logits.numpy()


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits.astype(np.float64)))
