"""The interfaces of a model family and of a loaded model, and the model's output."""

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
    """A model's output for some windows, one row per window."""

    logits: np.ndarray  # float32 (windows, classes)
    embeddings: np.ndarray | None = None  # float32 (windows, embedding_size): the classifier's input

    @property
    def arrays(self) -> list[np.ndarray]:
        return [array for array in (self.logits, self.embeddings) if array is not None]

    @classmethod
    def concatenate(cls, parts: Sequence["ModelOutput"]) -> "ModelOutput":
        if len(parts) == 1:
            return parts[0]
        embeddings = [part.embeddings for part in parts if part.embeddings is not None]
        logits = [part.logits for part in parts]
        return cls(np.concatenate(logits), np.concatenate(embeddings) if embeddings else None)


class AudioModel(Protocol):
    """A loaded model with its front end. One window in, one row of logits out."""

    labels: tuple[str, ...]  # by class index
    multi_label: bool  # a score is the sigmoid of a logit; else the softmax over all
    rate_hz: int  # sample rate of the input
    window_samples: int  # in one window, at rate_hz
    hop_samples: int  # from the start of one window to the next, by default
    frame_samples: int  # in one analysis frame: the shortest valid input
    default_windows: str  # "first" or "all"
    embedding_size: int | None  # None: the model has no embeddings
    device: "torch.device"

    def predict(self, windows: Sequence[np.ndarray]) -> ModelOutput:
        """Logits of mono float32 windows, each of `window_samples` or shorter at a clip's end.

        Shorter ones are padded as in training. The output for a window does not depend on the rest of the
        batch, except for rounding: matrix products of another size round differently.
        """


@dataclass(frozen=True)
class ModelFiles:
    """Whether the files of a model are on disk or can be downloaded on first use."""

    is_ready: bool
    detail: str
    remedy: str | None = None
    is_remote: bool = False  # to be downloaded on first use

    @property
    def is_local(self) -> bool:
        return self.is_ready and not self.is_remote


class Family(ABC):
    """A kind of model, with its own way of loading: a file in `families/` and a line in `registry.py`.

    A family is looked up when a tagger is built, so its file imports torch and transformers inside its
    functions only. The window, hop, rate and number of windows that a model takes by default are attributes
    of the `AudioModel` that `load` returns.

    An option of one family, such as custom labels, is a field of `ModelSpec`; `identify` returns it if it can
    change an output. A family may restrict `engines` and `dtypes`.
    """

    name: str  # the value of `build_tagger(model=...)`, unless `recognizes` accepts others
    release: Release | None = None  # the published weights; None: `weights=` is not supported
    default_windows: str | None = None  # those of its `AudioModel`s, where they all have the same
    engines: tuple[str, ...] = ENGINES
    dtypes: tuple[str, ...] = DTYPES
    takes_labels: bool = False  # those of users, in their own words
    without_labels: str = (  # the error where a model has none
        "The weights of {model!r} have no classifier, so they name no sounds. Pass embeddings=True alone "
        "(the tags are then null), or weights with a classifier."
    )

    def recognizes(self, model: str) -> bool:
        """Whether this family loads the model with this name."""
        return model == self.name

    def list_engines(self, spec: ModelSpec) -> tuple[str, ...]:
        """The engines that run this model."""
        return self.engines

    def check(self, spec: ModelSpec) -> None:  # noqa: B027
        """Raise `SettingsError` for a name that no model has. Called when a tagger is built: be quick."""

    @abstractmethod
    def load(self, spec: ModelSpec, device: "torch.device") -> AudioModel:
        """Load the model with its front end on the device, with the dtype and engine of the spec."""

    @abstractmethod
    def read_labels(self, spec: ModelSpec) -> tuple[str, ...]:
        """The class names by index, without building the network."""

    @abstractmethod
    def identify(self, spec: ModelSpec) -> tuple[Hashable, ...]:
        """Everything that can change an output, except dtype and engine; for local files, their digest."""

    @abstractmethod
    def find_files(self, spec: ModelSpec) -> ModelFiles:
        """Where the files are; downloads nothing."""
