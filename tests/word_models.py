"""Small random audio-text checkpoints with a tokenizer made here, saved by transformers."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    ClapProcessor,
    PeAudioConfig,
    PeAudioFeatureExtractor,
    PeAudioFrameLevelModel,
    PeAudioModel,
    PeAudioProcessor,
    PreTrainedTokenizerFast,
)

RATE_HZ = 48_000
LABELS = ["espresso machine", "crowd booing", "siren", "bell", "rain on a roof"]
UNFUSED = {"truncation": "rand_trunc", "frequency_min": 50}  # as laion's checkpoints have it
FUSED = {"truncation": "fusion", "frequency_min": 50}


def make_tokenizer(**special: Any) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with RoBERTa's special tokens, and no merges."""
    vocabulary = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
    for letter in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocabulary[letter] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        cls_token="<s>",
        sep_token="</s>",
        **special,
    )


def save_clap(folder: Path, is_fused: bool = False) -> Path:
    """A CLAP of 65,000 parameters whose answers differ from sound to sound."""
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 130,
        "pad_token_id": 1,
    }
    audio = {
        "patch_embeds_hidden_size": 16,
        "depths": [1, 1],
        "num_attention_heads": [2, 2],
        "hidden_size": 32,
        "spec_size": 256,
        "num_mel_bins": 64,
        "enable_fusion": is_fused,
        "fusion_type": None,
        "enable_patch_layer_norm": True,
    }
    config = ClapConfig(
        text_config=text,
        audio_config=audio,
        projection_dim=24,
        logit_scale_init_value=14.0,
    )
    model = ClapModel(config).eval()
    spread_weights(model)
    norm = model.audio_model.audio_encoder.batch_norm
    norm.running_mean.fill_(-30.0)
    norm.running_var.fill_(400.0)
    extractor = ClapFeatureExtractor(**(FUSED if is_fused else UNFUSED))
    processor = ClapProcessor(extractor, tokenizer)
    centre(model, processor)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def spread_weights(model: torch.nn.Module) -> None:
    """Larger weights than transformers' own, with which all sounds and all texts are nearly alike."""
    for module in model.modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Conv1d | torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
        if isinstance(module, torch.nn.Embedding):
            torch.nn.init.normal_(module.weight)


@torch.inference_mode()
def centre(model: Any, processor: Any) -> None:
    """Shift the last biases so that neither the sounds nor the texts share a direction."""
    sounds = make_sounds(6)
    inputs = processor.feature_extractor(sounds, sampling_rate=RATE_HZ, return_tensors="pt")
    inputs["is_longer"] = torch.zeros_like(inputs["is_longer"])
    pooled = model.audio_model(**inputs).pooler_output
    model.audio_projection.linear2.bias -= model.audio_projection(pooled).mean(0)
    tokens = processor.tokenizer(LABELS, padding=True, return_tensors="pt")
    pooled = model.text_model(tokens["input_ids"], tokens["attention_mask"]).pooler_output
    model.text_projection.linear2.bias -= model.text_projection(pooled).mean(0)


def make_sounds(count: int, seconds: Sequence[float] = (10.0,), seed: int = 0) -> list[np.ndarray]:
    """Mono sounds at 48 kHz, each of another kind; their lengths in turn."""
    made = []
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        times = np.arange(round(seconds[number % len(seconds)] * RATE_HZ)) / RATE_HZ
        tone = np.sin(2 * math.pi * 10 ** rng.uniform(2, 4) * times * (1 + rng.uniform(-0.02, 0.02) * times))
        swell = 0.5 + 0.5 * np.sin(2 * math.pi * rng.uniform(0.3, 5) * times)
        noise = rng.standard_normal(len(times)) * 10 ** rng.uniform(-3, -0.5)
        made.append((0.4 * tone * swell + noise).astype(np.float32))
    return made


def as_cell(sound: np.ndarray) -> dict[str, Any]:
    return {"array": sound, "sampling_rate": RATE_HZ}


def save_pe_audio(folder: Path, is_frame_level: bool = False) -> Path:
    """A Perception Encoder for sound of 81,000 parameters, for whole windows or for each 40 ms."""
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    text = {
        "model_type": "modernbert",
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 128,
        "pad_token_id": 1,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "cls_token_id": 0,
        "sep_token_id": 2,
    }
    codec = {"encoder_hidden_size": 2, "downsampling_ratios": [2, 8, 10, 12], "codebook_dim": 8}
    audio = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "head_dim": 16,
        "dac_config": {"model_type": "dac", "hidden_size": 32, **codec},
    }
    kind = PeAudioFrameLevelModel if is_frame_level else PeAudioModel
    model = kind(PeAudioConfig(text_config=text, audio_config=audio)).eval()
    spread_weights(model)
    model.text_audio_logit_scale.data.fill_(0.3)
    model.text_audio_logit_bias.data.fill_(-1.0)
    model.save_pretrained(folder)
    PeAudioProcessor(PeAudioFeatureExtractor(), tokenizer).save_pretrained(folder)
    return folder
