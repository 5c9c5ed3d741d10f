"""Perception Encoder's audio model: transformers' `PeAudioModel`, and `PeAudioFrameLevelModel`.

It was trained for the sigmoid of each text's logit. The frame-level one has a logit for each 40 ms; a text's
logit in a window is its highest one.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from ..spec import ModelSpec
from .audio_text_family import AudioTextFamily, tokenize

if TYPE_CHECKING:
    import torch

WINDOW_SECONDS = 10.0  # it takes any length
FRAME_LEVEL = "PeAudioFrameLevelModel"


class PeAudioFamily(AudioTextFamily):
    has_own_scores = True

    def load_pair(self, spec: ModelSpec, device: "torch.device") -> "PeAudioPair":
        import transformers as hf

        architectures = self.read_config(spec).architectures or ()
        kind = hf.PeAudioFrameLevelModel if FRAME_LEVEL in architectures else hf.PeAudioModel
        return PeAudioPair(*self.load_parts(spec, device, kind, hf.PeAudioProcessor), device)


PE_AUDIO = PeAudioFamily("pe_audio")


class PeAudioPair:
    has_own_scores, is_normalized = True, False

    def __init__(self, model: Any, processor: Any, device: "torch.device") -> None:
        self.model, self.tokenizer, self.device = model, processor.tokenizer, device
        self.is_frame_level = type(model).__name__ == FRAME_LEVEL
        extractor = processor.feature_extractor
        self.rate_hz, self.frame_samples = int(extractor.sampling_rate), int(extractor.hop_length)
        self.window_samples = round(WINDOW_SECONDS * self.rate_hz)
        self.embedding_size = int(model.config.text_config.hidden_size)
        self.parameters = sum(parameter.numel() for parameter in model.audio_encoder.parameters())
        self.scale = float(model.text_audio_logit_scale.detach())
        self.bias = float(model.text_audio_logit_bias.detach())
        self.most_tokens = int(model.config.text_config.max_position_embeddings)

    def embed_audio(self, windows: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Windows of equal length go together, so that none is padded to the length of another."""
        padded = [reflect(window, self.frame_samples) for window in windows]
        order = sorted(range(len(padded)), key=lambda index: len(padded[index]))
        found: dict[int, np.ndarray] = {}
        for _, group in groupby(order, key=lambda index: len(padded[index])):
            rows = list(group)
            found.update(zip(rows, self.embed_equal_lengths([padded[row] for row in rows]), strict=True))
        return [found[row] for row in range(len(windows))]

    def embed_equal_lengths(self, windows: Sequence[np.ndarray]) -> np.ndarray:
        """float32 (windows, frames, size); of a model of whole windows one frame."""
        import torch

        with torch.inference_mode():
            sound = torch.from_numpy(np.stack(windows))[:, None].to(self.device, self.model.dtype)
            output = self.model.audio_encoder(input_values=sound)
            pooled = output.last_hidden_state if self.is_frame_level else output.pooler_output[:, None]
            embeddings: np.ndarray = self.model.audio_head(pooled).float().cpu().numpy()
        return embeddings

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        import torch

        inputs = tokenize(self.tokenizer, texts, self.most_tokens).to(self.device)
        with torch.inference_mode():
            # The model's own method for this leaves out `output_hidden_states`, and fails.
            output = self.model.text_model(
                inputs["input_ids"], attention_mask=inputs["attention_mask"], output_hidden_states=True
            )
            head = self.model.text_audio_head(output.hidden_states[-1][:, 0])
            embeddings: np.ndarray = head.float().cpu().numpy()
        return embeddings


def reflect(window: np.ndarray, frame_samples: int) -> np.ndarray:
    """A window that is reflected at its end to whole frames, as the extractor does.

    >>> reflect(np.array([1.0, 2.0, 3.0, 4.0, 5.0], np.float32), 4).tolist()
    [1.0, 2.0, 3.0, 4.0, 5.0, 4.0, 3.0, 2.0]
    """
    missing = -len(window) % frame_samples
    return np.pad(window, (0, missing), "reflect") if missing else window
