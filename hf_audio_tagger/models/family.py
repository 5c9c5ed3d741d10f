"""What a family of models gives before one is loaded, what a loaded one gives, and its output."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from .spec import DTYPES, ENGINES, ModelSpec
from .weights import Release

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ModelOutput:
    """A model's output for a few windows, a row each."""

    logits: np.ndarray  # float32 (windows, classes)
    embeddings: np.ndarray | None  # float32 (windows, embedding_size): the classifier's input

    @classmethod
    def concatenate(cls, parts: Sequence["ModelOutput"]) -> "ModelOutput":
        if len(parts) == 1:
            return parts[0]
        embeddings = [part.embeddings for part in parts if part.embeddings is not None]
        logits = [part.logits for part in parts]
        return cls(np.concatenate(logits), np.concatenate(embeddings) if embeddings else None)

    def rows(self, rows: slice) -> "ModelOutput":
        """The output for some of the windows."""
        return ModelOutput(self.logits[rows], None if self.embeddings is None else self.embeddings[rows])


class AudioModel(Protocol):
    """A loaded model with its front end. One window in, one row of logits out."""

    labels: tuple[str, ...]  # by class index
    multi_label: bool  # a score is the sigmoid of a logit; else the softmax over all
    rate_hz: int  # of the sound it was trained on
    window_samples: int  # in one window, at rate_hz
    hop_samples: int  # from the start of one window to the next, by default
    frame_samples: int  # in one analysis frame: the shortest sound it takes
    default_windows: str  # "first" or "all"
    embedding_size: int | None  # None: nothing is pooled before the classifier
    device: "torch.device"

    def predict(self, windows: Sequence[np.ndarray]) -> ModelOutput:
        """Logits of mono float32 windows, each of `window_samples` or shorter at a clip's end.

        Shorter ones are padded as the model was trained. The output for a window does not depend on the
        others in the call, but for its last digits: matrix products of another size round differently.
        """


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
