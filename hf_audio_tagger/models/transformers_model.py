"""Transformers checkpoints as audio models, with their own feature extractor; AST with a faster one."""

import threading
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch

from ..activity import add_windows
from ..audioset.ontology import labels_are_audioset
from ..process import on_every_core
from .family import ModelOutput
from .front_ends.ast import AstFrontEnd

FREE_LENGTH_SECONDS = 10.0  # a window for a model that takes any length
FRAME_SECONDS = 0.025
LARGE_PARAMETERS = 20_000_000  # for a larger model one window fills the CPU caches
SMALL_MODEL_WINDOWS = 4


class TransformersModel:
    """An ``AutoModelForAudioClassification`` and its feature extractor.

    Windows of different lengths are processed separately, so that none is padded to the length of another:
    padding changes the output of some models (wav2vec2 with group norm).
    """

    default_windows = "first"

    def __init__(self, model: Any, extractor: Any, device: torch.device) -> None:
        self.model, self.extractor, self.device = model, extractor, device
        self.dtype = model.dtype
        self.labels = read_class_names(model.config)
        self.multi_label = is_multi_label(model.config, self.labels)
        self.rate_hz = int(extractor.sampling_rate)
        # The length that the extractor pads or cuts to, if any (Whisper: 30 s).
        self.window_samples = int(getattr(extractor, "n_samples", None) or FREE_LENGTH_SECONDS * self.rate_hz)
        self.hop_samples = self.window_samples
        self.frame_samples = compute_frame_samples(model.config, self.rate_hz)
        self.latest = threading.local()  # the latest input of the classifier, per thread
        classifier = getattr(model, "classifier", None)
        self.embedding_size: int | None = None
        if classifier is not None:
            classifier.register_forward_pre_hook(self.keep_pooled)
            linear = (module for module in classifier.modules() if isinstance(module, torch.nn.Linear))
            self.embedding_size = next((module.in_features for module in linear), None)

    def keep_pooled(self, _: Any, inputs: tuple[Any, ...]) -> None:
        self.latest.pooled = inputs[0]

    def predict(self, windows: Sequence[np.ndarray]) -> ModelOutput:
        by_length = sorted(range(len(windows)), key=lambda index: len(windows[index]))
        logits = np.zeros((len(windows), len(self.labels)), np.float32)
        embeddings = np.zeros((len(windows), self.embedding_size or 0), np.float32)
        for _, group in groupby(by_length, key=lambda index: len(windows[index])):
            rows = list(group)
            part = self.predict_equal_lengths([windows[index] for index in rows])
            logits[rows] = part.logits
            if part.embeddings is not None:
                embeddings[rows] = part.embeddings
        return ModelOutput(logits, embeddings if self.embedding_size else None)

    def predict_equal_lengths(self, windows: Sequence[np.ndarray]) -> ModelOutput:
        with torch.inference_mode():
            return self.forward(self.features(windows))

    def features(self, windows: Sequence[np.ndarray]) -> dict[str, torch.Tensor]:
        """The model's inputs, on its device."""
        inputs = self.extractor(list(windows), sampling_rate=self.rate_hz, return_tensors="pt")
        return {
            name: value.to(self.device, self.dtype if value.is_floating_point() else None)
            for name, value in inputs.items()
        }

    def forward(self, inputs: dict[str, torch.Tensor]) -> ModelOutput:
        self.latest.pooled = None
        logits = self.model(**inputs).logits.float().cpu().numpy()
        add_windows(len(logits))
        pooled, self.latest.pooled = self.latest.pooled, None
        is_pooled = pooled is not None and pooled.ndim == 2
        return ModelOutput(logits, pooled.float().cpu().numpy() if is_pooled else None)


def read_class_names(config: Any) -> tuple[str, ...]:
    return tuple(str(config.id2label[index]) for index in range(config.num_labels))


def is_multi_label(config: Any, labels: Sequence[str]) -> bool:
    """Whether a sound may have several of the labels; where the config does not say, AudioSet's may."""
    problem = getattr(config, "problem_type", None)
    return problem == "multi_label_classification" if problem else labels_are_audioset(labels)


def compute_frame_samples(config: Any, rate_hz: int) -> int:
    """The shortest input of the model: the span of its convolutions, or 25 ms."""
    kernels, strides = (getattr(config, name, None) for name in ("conv_kernel", "conv_stride"))
    if not kernels or not strides:
        return round(FRAME_SECONDS * rate_hz)
    span, step = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        span += (kernel - 1) * step
        step *= stride
    return span + step  # two frames: some heads normalize over time


class AstModel(TransformersModel):
    """A checkpoint with AST's feature extractor, whose features are computed here for a whole batch."""

    def __init__(self, model: Any, extractor: Any, device: torch.device) -> None:
        super().__init__(model, extractor, device)
        self.front_end = AstFrontEnd(extractor, device)
        self.window_samples, self.hop_samples = self.front_end.window_samples, self.front_end.hop_samples
        self.frame_samples = self.front_end.frame_samples
        self.chunk_windows: int | None = None  # windows per forward pass; None: all
        if device.type == "cpu":
            # More windows do not speed up a large model, and the outputs of its layers become so large that
            # each allocates new memory, which takes 5 to 10 % of AST-base's time.
            is_large = sum(parameter.numel() for parameter in model.parameters()) > LARGE_PARAMETERS
            self.chunk_windows = 1 if is_large else SMALL_MODEL_WINDOWS

    def predict(self, windows: Sequence[np.ndarray]) -> ModelOutput:
        """Windows are split into chunks, one per core if possible. The front end pads all to one length."""
        size = self.chunk_windows or len(windows)
        chunks = [windows[start : start + size] for start in range(0, len(windows), size)]
        if len(chunks) < torch.get_num_threads():
            chunks = [windows]
        return ModelOutput.concatenate(on_every_core(self.predict_equal_lengths, chunks))

    def features(self, windows: Sequence[np.ndarray]) -> dict[str, torch.Tensor]:
        return {"input_values": self.front_end.features(windows).to(self.dtype)}
