"""The base of YAMNet and VGGish: weights in one file, and a network over log-mel patches."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...audioset.ontology import Category
from ...errors import ModelError
from ...text import one_line
from ..downloads import ask_size, without_secrets
from ..family import AudioModel, Family, ModelFiles
from ..spec import FLOAT_DTYPES, ModelSpec
from ..weights import (
    Release,
    advise,
    cache_folder,
    digest_file,
    find_weights,
    is_here,
    refuse_offline,
)

if TYPE_CHECKING:
    import torch


SERVER_SECONDS = 3.0  # to tell a file's size


@dataclass(frozen=True, kw_only=True)
class PatchFamily(Family):
    """`networks/NAME.py` reads its weights and builds its network."""

    name: str
    release: Release
    log_offset: float  # added before the logarithm
    hop_samples: int
    embedding_size: int
    list_classes: Callable[[], tuple[Category, ...]]  # if the network has a classifier
    default_windows = "all"
    dtypes = FLOAT_DTYPES

    def load(self, spec: ModelSpec, device: "torch.device") -> AudioModel:
        from ..patch_model import OpenvinoPatchModel, PatchModel

        dtype, path = spec.loading_dtype(device), self.find_weights(spec)
        network: Any
        kind = PatchModel
        if spec.engine == "openvino":
            kind = OpenvinoPatchModel
            network = self.load_openvino(path, device, spec.resolve_dtype(str(device)))
            has_classifier = network.widths[1] > 0
        else:
            network = build_network(self.name, path).to(device, dtype)
            has_classifier = network.classifier is not None
        shape = (self.name_classes(has_classifier), self.hop_samples, self.embedding_size)
        return kind(network, self.log_offset, *shape, device, dtype)

    def load_openvino(self, path: Path, device: "torch.device", dtype: str) -> Any:
        from ..engines.conversion import NetworkSource
        from ..engines.openvino import OpenvinoNetwork
        from ..patch_model import OPENVINO_PATCHES, PATCH_SHAPE

        identity = (self.name, digest_file(str(path)))
        build = partial(build_network, self.name, path)
        source = NetworkSource(build, PATCH_SHAPE, path.stat().st_size, identity)
        return OpenvinoNetwork(source, device, dtype, OPENVINO_PATCHES)

    def read_labels(self, spec: ModelSpec) -> tuple[str, ...]:
        return self.name_classes()

    def name_classes(self, has_classifier: bool = True) -> tuple[str, ...]:
        return tuple(category.name for category in self.list_classes()) if has_classifier else ()

    def identify(self, spec: ModelSpec) -> tuple[Hashable, ...]:
        """Weights that are not on disk are downloaded for this."""
        return spec.model, spec.revision, spec.trust_remote_code, digest_file(str(self.find_weights(spec)))

    def find_weights(self, spec: ModelSpec) -> Path:
        return find_weights(spec.weights, self.release, self.read_network)

    def read_network(self, path: Path) -> Any:
        return read_network(self.name, path)

    def find_files(self, spec: ModelSpec) -> ModelFiles:
        if not is_here(spec.weights, self.release):
            return self.ask_server(spec.weights or self.release.urls[0])
        try:
            path = self.find_weights(spec)
        except ModelError as error:
            return ModelFiles(False, str(error))
        if path == self.release.packaged:
            return ModelFiles(True, f"{self.name} is packaged, with its weights in int8")
        return ModelFiles(True, f"{self.name}: weights in {path}")

    def ask_server(self, url: str) -> ModelFiles:
        """Whether weights that are not on disk can be downloaded."""
        shown, missing = without_secrets(url), f"{self.name}: its weights are not in {cache_folder()}"
        try:
            refuse_offline(shown)
            size = ask_size(url, SERVER_SECONDS)
        except (ModelError, OSError, HTTPException) as error:
            return ModelFiles(
                False, f"{missing}, and {shown} cannot be read: {one_line(error)}", advise(self.release)
            )
        length = "" if size is None else f" ({size / 1e6:.0f} MB)"
        return ModelFiles(True, f"{missing}; the first use downloads {shown}{length}")


def read_network(name: str, path: Path) -> Any:
    return import_module(f"..networks.{name}", __package__).read_network(path)


def build_network(name: str, path: Path) -> Any:
    """The network in float32. Depthwise convolutions take 50 % longer with channels first."""
    import torch

    return read_network(name, path).to(memory_format=torch.channels_last)
