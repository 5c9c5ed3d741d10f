"""The base of YAMNet and VGGish: weights in one file, and a network over log-mel patches."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from ...audioset.ontology import Category
from ...errors import ModelError
from ..family import AudioModel, Family, ModelFiles
from ..spec import ModelSpec
from ..weights import Release, digest_file, find_weights

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class PatchFamily(Family):
    """`networks/NAME.py` reads its weights and builds its network."""

    name: str
    release: Release
    log_offset: float  # added before the logarithm
    hop_samples: int
    embedding_size: int
    list_classes: Callable[[], tuple[Category, ...]]  # if the network has a classifier

    def load(self, spec: ModelSpec, device: "torch.device") -> AudioModel:
        import torch

        from ..engines.openvino import OpenvinoNetwork
        from ..patch_model import OPENVINO_PATCHES, PATCH_SHAPE, PatchModel

        dtype = spec.loading_dtype(device)
        module = import_module(f"..networks.{self.name}", __package__)
        network = module.read_network(find_weights(spec.weights, self.release))
        has_classifier = network.classifier is not None
        # Depthwise convolutions take 50 % longer with channels first.
        network = network.to(device, dtype).to(memory_format=torch.channels_last)
        if spec.engine == "openvino":
            precision = spec.torch_dtype(device)
            network = OpenvinoNetwork(network, PATCH_SHAPE, device, precision, OPENVINO_PATCHES)
        shape = (self.name_classes(has_classifier), self.hop_samples, self.embedding_size)
        return PatchModel(network, self.log_offset, *shape, device, dtype)

    def read_labels(self, spec: ModelSpec) -> tuple[str, ...]:
        return self.name_classes()

    def name_classes(self, has_classifier: bool = True) -> tuple[str, ...]:
        return tuple(category.name for category in self.list_classes()) if has_classifier else ()

    def identify(self, spec: ModelSpec) -> tuple[Hashable, ...]:
        """Weights given by URL are downloaded for this if needed."""
        digest = digest_file(str(find_weights(spec.weights, self.release)))
        return spec.model, spec.revision, spec.trust_remote_code, digest

    def find_files(self, spec: ModelSpec) -> ModelFiles:
        try:
            path = find_weights(spec.weights, self.release)
        except ModelError as error:  # it says where to get them and where to put them
            return ModelFiles(False, str(error))
        return ModelFiles(True, f"{self.name}: weights in {path}")
