"""Changes to transformers' AST: a faster last layer, and embeddings as a second output."""

from typing import Any

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

POOLED_TOKENS = 2  # class and distillation token, first in the sequence
ATTENTION_PARTS = ("q_proj", "k_proj", "v_proj", "o_proj", "head_dim", "scaling")


class LastLayer(nn.Module):
    """Replaces an ``ASTLayer`` and shares its weights: the same logits, a ninth faster.

    After the last layer AST reads the class token and the distillation token. Their queries still need every
    token's keys and values, but the other 1,212 outputs of the layer are never used.
    """

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, hidden: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        layer, attention = self.layer, self.layer.attention
        normed = layer.layernorm_before(hidden)
        query = split_heads(attention.q_proj(normed[:, :POOLED_TOKENS]), attention.head_dim)
        key = split_heads(attention.k_proj(normed), attention.head_dim)
        value = split_heads(attention.v_proj(normed), attention.head_dim)
        mixed = scaled_dot_product_attention(query, key, value, scale=attention.scaling)
        pooled = hidden[:, :POOLED_TOKENS] + attention.o_proj(mixed.transpose(1, 2).flatten(2))
        return pooled + layer.mlp(layer.layernorm_after(pooled))


def split_heads(tokens: torch.Tensor, head_dim: int) -> torch.Tensor:
    return tokens.unflatten(-1, (-1, head_dim)).transpose(1, 2)


def prune_last_layer(model: Any) -> bool:
    """Replace the last layer of transformers' own AST. Returns whether it was replaced."""
    from transformers.models.audio_spectrogram_transformer import (
        modeling_audio_spectrogram_transformer as ast,
    )

    if type(model) is not ast.ASTForAudioClassification:
        return False
    layers = model.audio_spectrogram_transformer.layers
    last = layers[-1]
    is_known = (
        type(last) is ast.ASTLayer
        and all(hasattr(last, part) for part in ("layernorm_before", "layernorm_after", "attention", "mlp"))
        and all(hasattr(last.attention, part) for part in ATTENTION_PARTS)
    )
    if is_known:
        layers[-1] = LastLayer(last)
    return is_known


class AstNetwork(nn.Module):
    """AST with two outputs: the logits, and the pooled state that enters the classifier."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.body, self.classifier = model.audio_spectrogram_transformer, model.classifier

    def forward(self, input_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pooled = self.body(input_values).pooler_output
        return self.classifier(pooled), pooled
