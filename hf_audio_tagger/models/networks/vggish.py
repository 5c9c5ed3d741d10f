"""VGGish's network, with a classifier or without."""

from collections.abc import Mapping
from itertools import chain, pairwise
from pathlib import Path

from torch import Tensor, nn

from . import build_network, read_state_dict

CLASSES = 527
EMBEDDING_SIZE = 128

CHANNELS = (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool")
POOLED = 6 * 4 * 512  # 96 x 64 halved four times, 512 channels
HIDDEN = 4_096
CLASSIFIER_HIDDEN = 100


def read_network(path: Path) -> nn.Module:
    """Build the network from a state dict, in float32; without a classifier if the weights have none."""
    state = read_state_dict(path)
    return build_network(lambda: Vggish(has_classifier(state)), state, path)


def has_classifier(state: Mapping[str, Tensor]) -> bool:
    return any(key.startswith("classifier.") for key in state)


class Vggish(nn.Module):
    """Patches (n, 96, 64) to embeddings (n, 128) and logits (n, 527), or (n, 0) without a classifier."""

    def __init__(self, classifies: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for out in CHANNELS:
            if isinstance(out, str):
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU(inplace=True)]
                channels = out
        self.features = nn.Sequential(*layers)
        widths = (POOLED, HIDDEN, HIDDEN, EMBEDDING_SIZE)
        dense = [(nn.Linear(*pair), nn.ReLU(inplace=True)) for pair in pairwise(widths)]
        self.embeddings = nn.Sequential(*chain.from_iterable(dense))
        self.classifier: nn.Sequential | None = None
        if classifies:
            hidden, logits = (
                nn.Linear(EMBEDDING_SIZE, CLASSIFIER_HIDDEN),
                nn.Linear(CLASSIFIER_HIDDEN, CLASSES),
            )
            self.classifier = nn.Sequential(hidden, nn.ReLU(inplace=True), logits)

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        pooled = self.features(patches.unsqueeze(1))
        # The dense weights were trained in TensorFlow, where channels come last.
        embeddings = self.embeddings(pooled.permute(0, 2, 3, 1).flatten(1))
        logits = self.classifier(embeddings) if self.classifier else embeddings[:, :0]
        return embeddings, logits
