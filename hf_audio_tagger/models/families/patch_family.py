"""What YAMNet and VGGish share: weights in one file, and a network over patches of log-mel energies."""

from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import ModelError
from ..family import Family, ModelFiles
from ..file_digests import digest_file
from ..model import AudioModel
from ..spec import ModelSpec
from ..weights import Release, find_weights

if TYPE_CHECKING:
    import torch
    from torch import nn


class PatchFamily(Family):
    release: Release
    log_offset: float  # added before the logarithm
    hop_samples: int
    embedding_size: int

    def read_network(self, path: Path) -> "nn.Module":
        """The network with its weights, in float32. Its `classifier` is None where it names no classes."""
        raise NotImplementedError

    def name_classes(self) -> tuple[str, ...]:
        """Of a network that has a classifier."""
        raise NotImplementedError

    def load(self, spec: ModelSpec, device: "torch.device") -> AudioModel:
        import torch

        from ..engines.openvino import OpenvinoNetwork
        from ..patch_model import OPENVINO_PATCHES, PATCH_SHAPE, PatchModel

        dtype = spec.loading_dtype(device)
        module = self.read_network(find_weights(spec.weights, self.release))
        # Depthwise convolutions take half as long again with the channels outside.
        module = module.to(device, dtype).to(memory_format=torch.channels_last)
        network = (
            module
            if spec.engine == "torch"
            else OpenvinoNetwork(module, PATCH_SHAPE, device, spec.torch_dtype(device), OPENVINO_PATCHES)
        )
        return PatchModel(
            network=network,
            log_offset=self.log_offset,
            labels=self.name_classes() if module.classifier is not None else (),
            hop_samples=self.hop_samples,
            embedding_size=self.embedding_size,
            device=device,
            dtype=dtype,
        )

    def identify(self, spec: ModelSpec) -> tuple[Hashable, ...]:
        """Weights that a URL names are downloaded for this if they are not here."""
        weights = digest_file(str(find_weights(spec.weights, self.release)))
        return spec.model, spec.revision, spec.trust_remote_code, weights

    def find_files(self, spec: ModelSpec) -> ModelFiles:
        try:
            path = find_weights(spec.weights, self.release)
        except ModelError as error:  # it says where to get them and where to put them
            return ModelFiles(False, str(error))
        return ModelFiles(True, f"{self.name}: weights in {path}")
