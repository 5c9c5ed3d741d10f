"""What the pipeline knows of a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

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
        ...
