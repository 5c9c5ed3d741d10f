"""VGGish: a small VGG over log-mel patches, 128 numbers a patch, with AudioSet's 527 classes or
without: its authors released it without a classifier, and others trained one on top.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from ..audioset.ontology import ontology
from .front_ends.logmel import PatchModel
from .state_dict import loaded, read_state_dict
from .weights import VGGISH as RELEASE
from .weights import find_weights

LOG_OFFSET = 0.01
HOP_SAMPLES = 15_360  # 0.96 s: 96 frames, so that no frame is heard twice
CLASSES = 527
EMBEDDING_SIZE = 128

CHANNELS = (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool")
POOLED = 6 * 4 * 512  # 96 x 64 halved four times, 512 channels
HIDDEN = 4_096
CLASSIFIER_HIDDEN = 100


def load_vggish(weights: str | Path | None, device: str, dtype: torch.dtype) -> PatchModel:
    """VGGish from a state dict: a path, a URL, or None for the cache.

    Weights without a classifier give embeddings alone: no labels, and logits of no columns.
    """
    path = find_weights(weights, RELEASE)
    state = read_state_dict(path)
    classifies = has_classifier(state)
    network = loaded(partial(Vggish, classifies), state, path)
    network = network.to(torch.device(device), dtype).to(memory_format=torch.channels_last)
    return PatchModel(
        network=network,
        log_offset=LOG_OFFSET,
        labels=labels_of_state(state),
        hop_samples=HOP_SAMPLES,
        embedding_size=EMBEDDING_SIZE,
        device=torch.device(device),
        dtype=dtype,
    )


def has_classifier(state: Mapping[str, Tensor]) -> bool:
    return any(key.startswith("classifier.") for key in state)


def labels_of_state(state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """The classes that weights name: AudioSet's, or none without a classifier."""
    return tuple(category.name for category in ontology.audioset_classes()) if has_classifier(state) else ()


def labels_of_weights(weights: str | Path | None) -> tuple[str, ...]:
    """The classes that a weights file names; no network is made and no engine is started."""
    return labels_of_state(read_state_dict(find_weights(weights, RELEASE)))


class Vggish(nn.Module):
    """Patches (n, 96, 64) to embeddings (n, 128) and logits (n, 527), or (n, 0) without them."""

    def __init__(self, classifies: bool) -> None:
        super().__init__()
        self.features = _convolutions()
        self.embeddings = nn.Sequential(
            nn.Linear(POOLED, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Linear(HIDDEN, EMBEDDING_SIZE),
            nn.ReLU(inplace=True),
        )
        self.classifier = (
            nn.Sequential(
                nn.Linear(EMBEDDING_SIZE, CLASSIFIER_HIDDEN),
                nn.ReLU(inplace=True),
                nn.Linear(CLASSIFIER_HIDDEN, CLASSES),
            )
            if classifies
            else None
        )

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        pooled = self.features(patches.unsqueeze(1))
        # The dense weights were learned in TensorFlow, where the channels come last.
        embeddings = self.embeddings(pooled.permute(0, 2, 3, 1).flatten(1))
        logits = self.classifier(embeddings) if self.classifier else embeddings[:, :0]
        return embeddings, logits


def _convolutions() -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 1
    for out in CHANNELS:
        if isinstance(out, str):
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU(inplace=True)]
            channels = out
    return nn.Sequential(*layers)
