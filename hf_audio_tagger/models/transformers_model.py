"""Any ``AutoModelForAudioClassification`` checkpoint, with its own feature extractor."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..audioset.ontology import labels_are_audioset
from ..errors import ModelError
from .model import ModelOutput
from .spec import ModelSpec

FREE_LENGTH_SECONDS = 10.0  # a window for a model that takes any length
FRAME_SECONDS = 0.025


class TransformersModel:
    """A checkpoint of transformers and what it needs to hear.

    Windows of one length go through the extractor together, so that nothing is padded by its
    neighbours: some models (wav2vec2 with group norm) answer differently to padded sound.
    """

    default_windows = "first"

    def __init__(self, model: Any, extractor: Any, device: torch.device) -> None:
        self.model, self.extractor, self.device = model, extractor, device
        self.dtype = model.dtype
        self.labels = names_of(model.config)
        self.multi_label = is_multi_label(model.config, self.labels)
        self.rate_hz = int(extractor.sampling_rate)
        self.window_samples = window_samples_of(extractor, self.rate_hz)
        self.hop_samples = self.window_samples
        self.frame_samples = frame_samples_of(model.config, self.rate_hz)
        self.latest = threading.local()  # what entered the classifier, in each thread
        classifier = getattr(model, "classifier", None)
        self.embedding_size: int | None = None
        if classifier is not None:
            classifier.register_forward_pre_hook(self.keep_pooled)
            self.embedding_size = embedding_size_of(classifier)

    def keep_pooled(self, _: Any, inputs: tuple[Any, ...]) -> None:
        self.latest.pooled = inputs[0]

    def predict(self, windows: Sequence[np.ndarray]) -> ModelOutput:
        by_length = sorted(range(len(windows)), key=lambda place: len(windows[place]))
        logits = np.zeros((len(windows), len(self.labels)), np.float32)
        embeddings = np.zeros((len(windows), self.embedding_size or 0), np.float32)
        for _, group in groupby(by_length, key=lambda place: len(windows[place])):
            places = list(group)
            part = self.predict_equal_lengths([windows[place] for place in places])
            logits[places] = part.logits
            if part.embeddings is not None:
                embeddings[places] = part.embeddings
        return ModelOutput(logits, embeddings if self.embedding_size else None)

    def predict_equal_lengths(self, windows: Sequence[np.ndarray]) -> ModelOutput:
        """Windows of one length."""
        with torch.inference_mode():
            return self.forward(self.features(windows))

    def features(self, windows: Sequence[np.ndarray]) -> dict[str, torch.Tensor]:
        """What the model takes, on its device."""
        inputs = self.extractor(list(windows), sampling_rate=self.rate_hz, return_tensors="pt")
        return {
            name: value.to(self.device, self.dtype if value.is_floating_point() else None)
            for name, value in inputs.items()
        }

    def forward(self, inputs: dict[str, torch.Tensor]) -> ModelOutput:
        self.latest.pooled = None
        logits = self.model(**inputs).logits.float().cpu().numpy()
        pooled, self.latest.pooled = self.latest.pooled, None
        if pooled is None or pooled.ndim != 2:
            return ModelOutput(logits, None)
        return ModelOutput(logits, pooled.float().cpu().numpy())


def is_multi_label(config: Any, labels: tuple[str, ...]) -> bool:
    """What the config says, else whether the labels are AudioSet's, of which several hold at once."""
    problem = getattr(config, "problem_type", None)
    return problem == "multi_label_classification" if problem else labels_are_audioset(labels)


def window_samples_of(extractor: Any, rate_hz: int) -> int:
    """The length that the extractor pads or cuts to, where it has one (Whisper: 30 s)."""
    return int(getattr(extractor, "n_samples", None) or FREE_LENGTH_SECONDS * rate_hz)


def frame_samples_of(config: Any, rate_hz: int) -> int:
    """The shortest sound that the model takes: what its convolutions span, else 25 ms."""
    kernels, strides = getattr(config, "conv_kernel", None), getattr(config, "conv_stride", None)
    if not kernels or not strides:
        return round(FRAME_SECONDS * rate_hz)
    span, step = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        span += (kernel - 1) * step
        step *= stride
    return span + step  # two frames: some heads normalise over time


def embedding_size_of(classifier: Any) -> int | None:
    """How wide the pooled state is that enters the classifier."""
    for module in classifier.modules():
        if isinstance(module, torch.nn.Linear):
            return module.in_features
    return None


def load_pretrained(spec: ModelSpec, device: torch.device) -> tuple[Any, Any]:
    """A checkpoint's model and its feature extractor."""
    from transformers import (
        AutoConfig,
        AutoFeatureExtractor,
        AutoModelForAudioClassification,
    )

    common = hub_arguments(spec)
    try:
        with quiet():
            config = AutoConfig.from_pretrained(spec.path, **common)
            extractor = AutoFeatureExtractor.from_pretrained(spec.path, **common)
            model, report = AutoModelForAudioClassification.from_pretrained(
                spec.path,
                config=config,
                dtype=spec.loading_dtype(device),
                output_loading_info=True,
                **common,
            )
    except Exception as error:
        raise ModelError(explain(spec, error)) from error
    if report["missing_keys"] or report["mismatched_keys"]:
        # transformers would fill them at random, and every tag would be a guess.
        lacking = ", ".join(sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]]))[:5])
        raise ModelError(
            f"The checkpoint {spec.model!r} has no trained weights for {lacking}: it was not trained to "
            "classify audio. Name a checkpoint that was fine-tuned for it."
        )
    return model.eval().to(device), extractor


def config_labels(spec: ModelSpec) -> tuple[str, ...]:
    """The class names that a checkpoint's config tells."""
    from transformers import AutoConfig

    try:
        with quiet():
            return names_of(AutoConfig.from_pretrained(spec.path, **hub_arguments(spec)))
    except Exception as error:
        raise ModelError(explain(spec, error)) from error


def names_of(config: Any) -> tuple[str, ...]:
    return tuple(str(config.id2label[index]) for index in range(config.num_labels))


def hub_arguments(spec: ModelSpec) -> dict[str, Any]:
    asked = {"revision": spec.revision, "trust_remote_code": spec.trust_remote_code, "token": spec.token}
    return {name: value for name, value in asked.items() if value is not None}


def explain(spec: ModelSpec, error: Exception) -> str:
    """What was asked for, why it failed, and what to do."""
    asked = f"The model {spec.model!r}" + (f" (revision {spec.revision!r})" if spec.revision else "")
    reason = " ".join(str(error).split())[:400] or type(error).__name__
    if Path(spec.model).exists() or spec.model.startswith((".", "/", "~")):
        remedy = (
            "A local folder needs config.json, preprocessor_config.json and the weights of an audio "
            "classification model, as save_pretrained writes them."
        )
    else:
        remedy = (
            "Check the id and the network; for a private or gated model pass token=. Without network, run "
            f"`hf-audio-tagger doctor --fetch {spec.model}` where there is one and copy the cache, or name a "
            'local folder. To try the package offline, model="demo" is packaged.'
        )
    return f"{asked} cannot be loaded: {reason} {remedy}"


@contextmanager
def quiet() -> Iterator[None]:
    """No loading bars or notes of transformers between a caller's lines; a download's bar stays."""
    from huggingface_hub.utils import are_progress_bars_disabled, enable_progress_bars
    from transformers.utils import logging

    verbosity, bars, no_downloads = (
        logging.get_verbosity(),
        logging.is_progress_bar_enabled(),
        are_progress_bars_disabled(),
    )
    logging.set_verbosity_error()
    logging.disable_progress_bar()  # the Hub's bars with them
    if not no_downloads:
        enable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
