"""CLAP: transformers' `ClapModel`, fused and unfused. It was trained to find a sound's text among others."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...demo import WORDS_CHECKPOINT
from ..spec import ModelSpec
from .audio_text_family import AudioTextFamily, tokenize

if TYPE_CHECKING:
    import torch


class ClapFamily(AudioTextFamily):
    def load_pair(self, spec: ModelSpec, device: "torch.device") -> "ClapPair":
        import transformers as hf

        model, processor = self.load_parts(spec, device, hf.ClapModel, hf.ClapProcessor)
        return ClapPair(model, processor, device)


CLAP = ClapFamily("clap")
DEMO_WORDS = ClapFamily("demo-words", WORDS_CHECKPOINT)  # a small one of synthesized sounds


class ClapPair:
    has_own_scores, is_normalized, bias = False, True, 0.0

    def __init__(self, model: Any, processor: Any, device: "torch.device") -> None:
        from ..front_ends.clap import ClapPictures

        self.model, self.tokenizer, self.device = model, processor.tokenizer, device
        self.pictures = ClapPictures(processor.feature_extractor, device)
        self.rate_hz, self.window_samples = self.pictures.rate_hz, self.pictures.samples
        self.frame_samples = self.pictures.hop_samples
        self.embedding_size = int(model.config.projection_dim)
        self.parameters = sum(parameter.numel() for parameter in model.audio_model.parameters())
        self.scale = float(model.logit_scale_a.detach().float().exp())
        # RoBERTa counts positions from the one after the padding's.
        text = model.config.text_config
        self.most_tokens = int(text.max_position_embeddings - text.pad_token_id - 1)

    def embed_audio(self, windows: Sequence[np.ndarray]) -> list[np.ndarray]:
        import torch

        with torch.inference_mode():
            pictures = self.pictures.draw(windows).to(self.model.dtype)
            # The extractor calls one sound of a batch longer than a window by chance; none of these is.
            is_longer = torch.zeros(len(windows), 1, dtype=torch.bool, device=self.device)
            pooled = self.model.audio_model(input_features=pictures, is_longer=is_longer).pooler_output
            embeddings: np.ndarray = self.model.audio_projection(pooled).float().cpu().numpy()
        return list(embeddings[:, None])

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        import torch

        inputs = tokenize(self.tokenizer, texts, self.most_tokens).to(self.device)
        with torch.inference_mode():
            pooled = self.model.text_model(inputs["input_ids"], inputs["attention_mask"]).pooler_output
            embeddings: np.ndarray = self.model.text_projection(pooled).float().cpu().numpy()
        return embeddings
