"""A model with random weights of a published size, from windows of sound to scores."""

import time
from typing import Any

import numpy as np
import torch
import transformers as hf
from tokenizers import Tokenizer, models, pre_tokenizers

from benchmarks.subjects.serving import Job, Run, serve
from hf_audio_tagger.models.audio_text_model import AudioTextModel
from hf_audio_tagger.models.families.clap import ClapPair
from hf_audio_tagger.models.family import AudioModel
from hf_audio_tagger.models.spec import ModelSpec
from hf_audio_tagger.models.transformers_model import AstModel
from hf_audio_tagger.process import prepare_torch

CPU = torch.device("cpu")
TOWERS: dict[str, dict[str, Any]] = {
    "CLAP, htsat-tiny": {},  # as in laion/clap-htsat-unfused
    "CLAP, htsat-base": {"patch_embeds_hidden_size": 128, "depths": [2, 2, 12, 2], "hidden_size": 1024},
}
TINY_TOWER: dict[str, Any] = {
    "patch_embeds_hidden_size": 16,
    "depths": [1, 1],
    "num_attention_heads": [2, 2],
    "hidden_size": 32,
}
TINY_TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
TINY_AST: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}


def prepare(settings: Job) -> Run:
    """`settings`: "size", "tiny" for a try, "labels" how many."""
    prepare_torch()
    torch.manual_seed(0)
    make = make_ast if settings["size"] == "AST-base" else make_clap
    model, facts = make(settings)
    rng = np.random.default_rng(0)

    def make_windows(count: int) -> list[np.ndarray]:
        return list(rng.normal(0, 0.1, (count, model.window_samples)).astype(np.float32))

    model.predict(make_windows(2))

    def predict(job: Job) -> Job:
        windows = make_windows(job["windows"])
        started, cpu_started = time.perf_counter(), time.process_time()
        model.predict(windows)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
        length = model.window_samples / model.rate_hz
        return {**facts, "seconds": seconds, "cpu_seconds": cpu_seconds, "window_seconds": length}

    return predict


def make_clap(settings: Job) -> tuple[AudioModel, Job]:
    tower = TINY_TOWER if settings["tiny"] else TOWERS[settings["size"]]
    audio = {
        "num_mel_bins": 64,
        "spec_size": 256,
        "fusion_type": None,
        "enable_patch_layer_norm": True,
        **tower,
    }
    text = TINY_TEXT if settings["tiny"] else {}
    network = hf.ClapModel(hf.ClapConfig(text_config=text, audio_config=audio)).eval()
    extractor = hf.ClapFeatureExtractor(truncation="rand_trunc", frequency_min=50)
    pair = ClapPair(network, hf.ClapProcessor(extractor, make_tokenizer()), CPU)
    labels = tuple(f"sound number {number}" for number in range(settings["labels"]))
    pair.embed_texts(["a text"])
    started = time.process_time()
    model = AudioTextModel(pair, ModelSpec("random", labels=labels))
    facts = {
        "text_cpu_seconds": time.process_time() - started,
        "text_millions": count_millions(network.text_model),
    }
    return model, {**facts, "sound_millions": count_millions(network.audio_model)}


def make_ast(settings: Job) -> tuple[AudioModel, Job]:
    given: dict[str, Any] = {"num_labels": 527, **(TINY_AST if settings["tiny"] else {})}
    config = hf.ASTConfig(**given)
    network = hf.ASTForAudioClassification(config).eval()
    facts = {"text_cpu_seconds": None, "text_millions": None, "sound_millions": count_millions(network)}
    return AstModel(network, hf.ASTFeatureExtractor(), CPU), facts


def make_tokenizer() -> Any:
    """A token a word, about as many as a trained one gives."""
    tokenizer = Tokenizer(models.WordLevel({"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return hf.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>")


def count_millions(network: torch.nn.Module) -> float:
    return round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 1)


if __name__ == "__main__":
    serve(prepare)
