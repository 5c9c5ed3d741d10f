"""YAMNet: MobileNet v1 over log-mel patches, 3.7 million parameters, 521 classes of AudioSet."""

from pathlib import Path
from typing import TYPE_CHECKING

from ...audioset.ontology import ontology
from ..spec import ModelSpec
from ..weights import Release
from .patch_family import PatchFamily

if TYPE_CHECKING:
    from torch import nn


class YamnetFamily(PatchFamily):
    name = "yamnet"
    release = Release(
        model="yamnet",
        files=("yamnet.pth", "yamnet.h5"),
        sources=(
            "https://github.com/w-hc/torch_audioset/releases/download/v0.1/yamnet.pth (PyTorch)",
            "https://storage.googleapis.com/audioset/yamnet.h5 (Keras)",
        ),
    )
    log_offset = 0.001
    hop_samples = 7_680  # 0.48 s: half a patch, as in its authors' own inference
    embedding_size = 1_024

    def read_network(self, path: Path) -> "nn.Module":
        from ..networks.yamnet import read_network

        return read_network(path)

    def read_labels(self, spec: ModelSpec) -> tuple[str, ...]:
        return self.name_classes()

    def name_classes(self) -> tuple[str, ...]:
        return tuple(category.name for category in ontology.yamnet_classes())


YAMNET = YamnetFamily()
