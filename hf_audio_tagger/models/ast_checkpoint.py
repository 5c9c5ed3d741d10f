"""AST checkpoints, read without transformers: importing it takes longer than all else before a first tag.

What is not exactly as transformers writes an AST classifier is left to transformers.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

if TYPE_CHECKING:
    from .networks.ast import Ast

Values = TypeVar("Values", bound="AstConfig | AstExtractor")

AST = "audio-spectrogram-transformer"  # `model_type` in its config
CONFIG, EXTRACTOR = "config.json", "preprocessor_config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
# Files beside them with which transformers loads another model than the three files above alone.
OTHERS = ("adapter_config.json", "processor_config.json", "model.safetensors.index.json")
PROBLEMS = (None, "regression", "single_label_classification", "multi_label_classification")


@dataclass(frozen=True)
class AstConfig:
    """A checkpoint's `config.json`, with transformers' names and defaults."""

    model_type: ClassVar[str] = AST

    id2label: Mapping[int, str]
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    layer_norm_eps: float = 1e-12
    patch_size: int = 16
    qkv_bias: bool = True
    frequency_stride: int = 10
    time_stride: int = 10
    max_length: int = 1024
    num_mel_bins: int = 128
    problem_type: str | None = None

    @property
    def num_labels(self) -> int:
        return len(self.id2label)


@dataclass(frozen=True)
class AstExtractor:
    """A checkpoint's `preprocessor_config.json`, with transformers' names and defaults."""

    sampling_rate: int = 16_000
    num_mel_bins: int = 128
    max_length: int = 1024
    do_normalize: bool = True
    mean: float = -4.2677393
    std: float = 4.5689974


@dataclass(frozen=True)
class Known:
    """What else such a file may hold: some values alone, and what has no effect here."""

    values: Mapping[str, Any]
    without_effect: tuple[str, ...]


KNOWN_CONFIG = Known(
    {
        "architectures": ["ASTForAudioClassification"],
        "hidden_act": "gelu",
        "model_type": AST,
    },
    (
        *("attention_probs_dropout_prob", "hidden_dropout_prob", "initializer_range"),  # of training
        *("_name_or_path", "dtype", "label2id", "torch_dtype", "transformers_version"),
    ),
)
KNOWN_EXTRACTOR = Known(
    {
        "feature_extractor_type": "ASTFeatureExtractor",
        "feature_size": 1,
        "padding_value": 0.0,
        "return_attention_mask": False,
    },
    ("padding_side",),
)


def read_ast(
    source: str, revision: str | None, token: str | bool | None
) -> "tuple[Ast, AstExtractor] | None":
    """The network in float32 and the numbers of its front end; None for what transformers has to read."""
    from .networks import build_network, read_quantized, read_state_dict
    from .networks.ast import Ast, rename_weights

    try:
        folder = find_folder(source, revision, token)
        config, extractor = read_files(folder)
        path = next(folder / name for name in WEIGHTS if (folder / name).is_file())
        state = read_quantized(path) if path.suffix == ".safetensors" else read_state_dict(path)
        network: Any = build_network(lambda: Ast(config), rename_weights(state), path)
        # As transformers leaves them. Of weights without a gradient, torch's last digits are others.
        return network.requires_grad_(), extractor
    except Exception:  # of any kind, of what is no plain AST: transformers says what is wrong, if it is
        return None


def read_ast_files(
    source: str, revision: str | None, token: str | bool | None
) -> tuple[AstConfig, AstExtractor] | None:
    """The config and the numbers of the front end; None for what transformers has to read."""
    try:
        return read_files(find_folder(source, revision, token))
    except Exception:
        return None


def find_folder(source: str, revision: str | None, token: str | bool | None) -> Path:
    """The folder of a checkpoint; of one on the Hub that of its commit in the cache.

    So all files are of one commit, and the Hub is asked for it once. transformers downloads the others.
    """
    folder = Path(source)
    if folder.is_dir():
        return folder
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(source, CONFIG, revision=revision, token=token)).parent


def read_files(folder: Path) -> tuple[AstConfig, AstExtractor]:
    if any((folder / name).exists() for name in OTHERS):
        raise ValueError(OTHERS)
    config, extractor = (json.loads((folder / name).read_bytes()) for name in (CONFIG, EXTRACTOR))
    names = {int(index): str(name) for index, name in config["id2label"].items()}
    config["id2label"] = {index: names[index] for index in range(len(names))}
    if config.get("problem_type") not in PROBLEMS:
        raise ValueError(config["problem_type"])
    return read_values(AstConfig, config, KNOWN_CONFIG), read_values(AstExtractor, extractor, KNOWN_EXTRACTOR)


def read_values(kind: type[Values], found: Mapping[str, Any], known: Known) -> Values:
    names = {one.name for one in fields(kind)}
    is_known = all(found.get(name, value) == value for name, value in known.values.items())
    if not is_known or found.keys() - names - known.values.keys() - {*known.without_effect}:
        raise ValueError(kind)
    return kind(**{name: found[name] for name in names & found.keys()})
