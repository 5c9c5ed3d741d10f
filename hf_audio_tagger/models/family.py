"""What the package has to know of a family of models before it loads one."""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .model import AudioModel
from .spec import DTYPES, ENGINES, ModelSpec
from .weights import Release

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ModelFiles:
    """Whether the files of a model are here, or can be downloaded when it is first used."""

    is_ready: bool
    detail: str
    remedy: str | None = None


class Family(ABC):
    """Models that are named, loaded and identified alike: a file in `families/`, a line in `registry.py`.

    A family is looked up when a tagger is built, so its file imports torch and transformers inside its
    functions only. The window, hop, rate and number of windows that a model takes by default are attributes
    of the `AudioModel` that `load` returns.

    A family that takes an option of its own, such as labels in a user's words, finds it in `ModelSpec`,
    returns it from `identify` if it can change an output, and may narrow `engines` and `dtypes`.
    """

    name: str  # what `build_tagger(model=...)` is given, unless `recognizes` takes other names
    release: Release | None = None  # the published file of weights; None: the family takes no `weights=`
    engines: tuple[str, ...] = ENGINES
    dtypes: tuple[str, ...] = DTYPES

    def recognizes(self, model: str) -> bool:
        """Whether this family loads the model that `build_tagger` was asked for."""
        return model == self.name

    @abstractmethod
    def load(self, spec: ModelSpec, device: "torch.device") -> AudioModel:
        """The model with its front end, on the device, in the dtype and engine that the spec asks for."""

    @abstractmethod
    def read_labels(self, spec: ModelSpec) -> tuple[str, ...]:
        """The class names by index, without building the network."""

    @abstractmethod
    def identify(self, spec: ModelSpec) -> tuple[Hashable, ...]:
        """What can change an output, but for dtype and engine: local files count by their content."""

    @abstractmethod
    def find_files(self, spec: ModelSpec) -> ModelFiles:
        """Where the files are; downloads nothing."""
