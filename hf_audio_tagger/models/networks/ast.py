"""AST as transformers computes it, a faster last layer, and embeddings as a second output."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

POOLED_TOKENS = 2  # class and distillation token, first in the sequence
ATTENTION_PARTS = ("q_proj", "k_proj", "v_proj", "o_proj", "head_dim", "scaling")


# The names of weights that transformers 4 wrote, and those of 5.
RENAMED = (
    (r"\bencoder\.layer\.", "layers."),
    (r"\battention\.attention\.query\b", "attention.q_proj"),
    (r"\battention\.attention\.key\b", "attention.k_proj"),
    (r"\battention\.attention\.value\b", "attention.v_proj"),
    (r"\battention\.output\.dense\b", "attention.o_proj"),
    (r"\bintermediate\.dense\b", "mlp.fc1"),
    (r"\boutput\.dense\b", "mlp.fc2"),
)


def rename_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    renamed = {}
    for name, tensor in state.items():
        for pattern, replacement in RENAMED:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    return renamed


class Pooled(NamedTuple):
    pooler_output: Tensor


class Logits(NamedTuple):
    logits: Tensor


class Ast(nn.Module):
    """transformers' ``ASTForAudioClassification``: the same names of weights, and the same bits."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.audio_spectrogram_transformer = Body(config)
        self.classifier = nn.Sequential()
        self.classifier.add_module("layernorm", make_norm(config))
        self.classifier.add_module("dense", nn.Linear(config.hidden_size, config.num_labels))

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    def forward(self, input_values: Tensor) -> Logits:
        return Logits(self.classifier(self.audio_spectrogram_transformer(input_values).pooler_output))


class Body(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.layernorm = make_norm(config)

    def forward(self, input_values: Tensor) -> Pooled:
        hidden = self.embeddings(input_values)
        for layer in self.layers[:-1]:
            hidden = layer(hidden)
        hidden = self.layernorm(compute_last_layer(self.layers[-1], hidden))
        return Pooled((hidden[:, 0] + hidden[:, 1]) / 2)


class Embeddings(nn.Module):
    """Patches of features (n, frames, bands) as tokens, behind the class and the distillation token."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        size, patch, strides = (
            config.hidden_size,
            config.patch_size,
            (config.frequency_stride, config.time_stride),
        )
        lengths = zip((config.num_mel_bins, config.max_length), strides, strict=True)
        rows, columns = ((length - patch) // stride + 1 for length, stride in lengths)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, size))
        self.distillation_token = nn.Parameter(torch.zeros(1, 1, size))
        self.position_embeddings = nn.Parameter(torch.zeros(1, rows * columns + POOLED_TOKENS, size))
        self.patch_embeddings = nn.ModuleDict({"projection": nn.Conv2d(1, size, patch, strides)})

    def forward(self, input_values: Tensor) -> Tensor:
        patches = self.patch_embeddings["projection"](input_values.unsqueeze(1).transpose(2, 3))
        count = patches.shape[0]  # traced, where len() would fix the number of rows in OpenVINO's network
        tokens = [token.expand(count, -1, -1) for token in (self.cls_token, self.distillation_token)]
        return torch.cat([*tokens, patches.flatten(2).transpose(1, 2)], dim=1) + self.position_embeddings


class Layer(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.layernorm_before, self.layernorm_after = make_norm(config), make_norm(config)
        self.mlp = Mlp(config)

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = self.attention(self.layernorm_before(hidden)) + hidden
        return self.mlp(self.layernorm_after(hidden)) + hidden


class Attention(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        size, bias = config.hidden_size, config.qkv_bias
        self.head_dim = size // config.num_attention_heads
        self.scaling = self.head_dim**-0.5
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(size, size, bias) for _ in range(3))
        self.o_proj = nn.Linear(size, size)

    def forward(self, normed: Tensor) -> Tensor:
        projections = (self.q_proj, self.k_proj, self.v_proj)
        query, key, value = (split_heads(project(normed), self.head_dim) for project in projections)
        mixed = scaled_dot_product_attention(query, key, value, scale=self.scaling)
        return self.o_proj(mixed.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.fc2(gelu(self.fc1(hidden)))


def make_norm(config: Any) -> nn.LayerNorm:
    return nn.LayerNorm(config.hidden_size, config.layer_norm_eps)


class LastLayer(nn.Module):
    """Replaces an ``ASTLayer`` of transformers and shares its weights."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, hidden: Tensor, *_: Any, **__: Any) -> Tensor:
        return compute_last_layer(self.layer, hidden)


def compute_last_layer(layer: Any, hidden: Tensor) -> Tensor:
    """The last layer's output for the pooled tokens: the same logits, a ninth faster.

    After the last layer AST reads the class token and the distillation token. Their queries still need every
    token's keys and values, but the other 1,212 outputs of the layer are never used.
    """
    attention = layer.attention
    normed = layer.layernorm_before(hidden)
    query = split_heads(attention.q_proj(normed[:, :POOLED_TOKENS]), attention.head_dim)
    key = split_heads(attention.k_proj(normed), attention.head_dim)
    value = split_heads(attention.v_proj(normed), attention.head_dim)
    mixed = scaled_dot_product_attention(query, key, value, scale=attention.scaling)
    pooled: Tensor = hidden[:, :POOLED_TOKENS] + attention.o_proj(mixed.transpose(1, 2).flatten(2))
    return pooled + layer.mlp(layer.layernorm_after(pooled))


def split_heads(tokens: Tensor, head_dim: int) -> Tensor:
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
