"""The packaged checkpoint: a small AST that names synthesized sounds."""

from collections.abc import Hashable
from dataclasses import replace
from typing import TYPE_CHECKING

from ...demo import CHECKPOINT
from ..family import Family, ModelFiles
from ..model import AudioModel
from ..spec import ModelSpec
from .pretrained import PRETRAINED

if TYPE_CHECKING:
    import torch


class DemoFamily(Family):
    name = "demo"

    def load(self, spec: ModelSpec, device: "torch.device") -> AudioModel:
        return PRETRAINED.load(in_package(spec), device)

    def read_labels(self, spec: ModelSpec) -> tuple[str, ...]:
        return PRETRAINED.read_labels(in_package(spec))

    def identify(self, spec: ModelSpec) -> tuple[Hashable, ...]:
        return PRETRAINED.identify(in_package(spec))

    def find_files(self, spec: ModelSpec) -> ModelFiles:
        return ModelFiles(True, "demo is packaged")


def in_package(spec: ModelSpec) -> ModelSpec:
    return replace(spec, model=str(CHECKPOINT))


DEMO = DemoFamily()
