"""The packaged checkpoint: a small AST that names synthesized sounds."""

from ...demo import CHECKPOINT
from ..family import ModelFiles
from ..spec import ModelSpec
from .pretrained import PretrainedFamily


class DemoFamily(PretrainedFamily):
    name = "demo"

    def recognizes(self, model: str) -> bool:
        return model == self.name

    def locate(self, spec: ModelSpec) -> str:
        return str(CHECKPOINT)

    def find_files(self, spec: ModelSpec) -> ModelFiles:
        return ModelFiles(True, "demo is packaged")


DEMO = DemoFamily()
