"""Transformers checkpoints as audio models, with their own feature extractor; AST with a faster one."""

import threading
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch

from ..activity import add_windows
from ..audioset.ontology import labels_are_audioset
from ..process import on_every_core, one_ahead
from .engines.openvino import OpenvinoNetwork
from .family import ModelOutput
from .front_ends.kaldi import FilterBank
from .networks.ast import AstNetwork

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
        problem = getattr(model.config, "problem_type", None)
        is_multi_label = problem == "multi_label_classification"
        self.multi_label = is_multi_label if problem else labels_are_audioset(self.labels)
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
        self.bank = FilterBank(self.rate_hz, extractor.num_mel_bins, device)
        self.frames = int(extractor.max_length)
        self.frame_samples = self.bank.frame_samples
        self.hop_samples = self.frames * self.bank.shift_samples  # 1,024 frames: 10.24 s
        self.window_samples = self.hop_samples - self.bank.shift_samples + self.frame_samples
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
        lengths = [len(window) for window in windows]
        padded = torch.zeros(len(windows), max(lengths), pin_memory=self.device.type == "cuda")
        for row, window in zip(padded, windows, strict=True):
            row[: len(window)] = torch.from_numpy(np.ascontiguousarray(window))
        energies = self.bank.log_mel(padded.to(self.device, non_blocking=True))[:, : self.frames]
        for row, length in zip(energies, lengths, strict=True):
            row[self.bank.count_frames(length) :] = 0  # as the extractor pads: before normalization
        energies = torch.nn.functional.pad(energies, (0, 0, 0, self.frames - energies.shape[1]))
        if self.extractor.do_normalize:
            energies = (energies - self.extractor.mean) / (self.extractor.std * 2)
        return {"input_values": energies.to(self.dtype)}


class OpenvinoAstModel(AstModel):
    """An AST whose network is converted to OpenVINO."""

    def __init__(self, model: Any, extractor: Any, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(model, extractor, device)
        row_shape = (self.frames, extractor.num_mel_bins)
        self.network = OpenvinoNetwork(AstNetwork(model).eval(), row_shape, device, dtype)
        del self.model  # frees weights that the converted network has copied

    def predict(self, windows: Sequence[np.ndarray]) -> ModelOutput:
        """The front end of a window runs while the network is at those before it."""
        logits, pooled = self.network.run(one_ahead(self.make_row, windows), len(windows))
        return ModelOutput(logits.numpy(), pooled.numpy())

    @torch.inference_mode()
    def make_row(self, window: np.ndarray) -> torch.Tensor:
        return self.features([window])["input_values"]
