"""Train the packaged audio-text pair "demo-words": `python -m tools.train_words.train [--out FOLDER]`.

A small CLAP is trained from scratch on the sounds of `hf_audio_tagger.demo.sounds` and on the wordings of
`texts.py`. Features of synthesized clips are computed once; each example is a part of one. A batch has
sounds, wordings of all sounds, and names of other sounds, which are to be far from all of them. All random
numbers are seeded, on one thread; it takes about six minutes.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import normalize
from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, ClapProcessor, PreTrainedTokenizerFast

from hf_audio_tagger.demo import WORDS_CHECKPOINT
from hf_audio_tagger.demo.sounds import LABELS
from tools.train_demo.train import Recording, descend
from tools.train_words.card import write_card
from tools.train_words.evaluate import measure
from tools.train_words.texts import list_other_names, write_neutral_text, write_other_text, write_text
from tools.train_words.tokenizer import build_tokenizer

SEED = 30
RATE_HZ = 48_000
CLIPS_A_LABEL = 40
FRAMES, BANDS = 1001, 64
SHORTEST_FRAMES = 95
SILENT_DB = -100.0  # of the extractor's zeros
SOUNDS_A_BATCH, TEXTS_A_SOUND, OTHERS_A_BATCH, NEUTRAL_A_BATCH = 24, 3, 24, 8
PEAK_LEARNING_RATE = 1.5e-3
PARTS_A_CLIP, SETTLED_SOUNDS, SETTLING_RATE, SETTLING_STEPS = 3, 128, 1e-3, 600
WEIGHT_DECAY = 0.02
TEMPERATURE = 1 / 14.3  # of CLAP's first scale
OTHER, NEUTRAL = -1, -2  # in place of a text's sound: another one, or any
NONE_COSINE = 0.3  # of a text that fits no sound, at most
NEUTRAL_COSINE = 0.2  # of a text that fits any sound; 18 right angles leave room for 0.23
NOISE_SHARE = 0.3  # of examples with their bands' levels changed a little

# A clip is as long as a window: every frame of the features is sound.
RECORDING = Recording(SEED, 10.0, (32_000, 44_100, 44_100, 48_000, 48_000), (5_500.0, 12_000.0), RATE_HZ)
SHARE_WHOLE = 0.4  # of examples that are as long as the window


# Sounds


def new_extractor() -> ClapFeatureExtractor:
    """As the extractor of laion's unfused models."""
    return ClapFeatureExtractor(truncation="rand_trunc", padding="repeatpad", frequency_min=50)


def clip_features(index: int, extractor: ClapFeatureExtractor) -> np.ndarray:
    """(frames, bands) in float16 of training clip `index`."""
    window = RECORDING.make(index)[: round(RECORDING.seconds * RATE_HZ)]
    features = extractor(window, sampling_rate=RATE_HZ, return_tensors="np")
    return features["input_features"][0, 0].astype(np.float16)


def all_features(clips: int) -> torch.Tensor:
    """(clips, frames, bands)."""
    extractor = new_extractor()
    features = torch.empty(clips, FRAMES, BANDS, dtype=torch.float16)
    for index in range(clips):
        features[index] = torch.from_numpy(clip_features(index, extractor))
        if (index + 1) % 180 == 0:
            print(f"features {index + 1}/{clips}", flush=True)
    return features


def draw_sound(clip: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """A part of a clip's features, repeated as often as it fits into a window, as `repeatpad` does."""
    length = FRAMES if rng.random() < SHARE_WHOLE else int(rng.integers(SHORTEST_FRAMES, FRAMES + 1))
    begin = int(rng.integers(FRAMES - length + 1))
    part = clip[begin : begin + length].float()
    sound = torch.full((FRAMES, BANDS), SILENT_DB)
    repeated = part.repeat(FRAMES // length, 1)
    sound[: len(repeated)] = repeated
    if rng.random() < NOISE_SHARE:
        tilt = torch.linspace(-1, 1, BANDS) * float(rng.uniform(-3, 3)) + float(rng.uniform(-6, 6))
        sound = torch.where(sound > SILENT_DB, sound + tilt, sound).clamp(min=SILENT_DB)
    return sound


# Batches


def draw_texts(rng: np.random.Generator) -> Iterator[tuple[list[str], torch.Tensor]]:
    """Endless batches of texts, and the sound of each, `OTHER` or `NEUTRAL`."""
    others = list_other_names()
    owners = [index for index in range(len(LABELS)) for _ in range(TEXTS_A_SOUND)]
    owners += [OTHER] * OTHERS_A_BATCH + [NEUTRAL] * NEUTRAL_A_BATCH
    while True:
        texts = [write_text(label, rng) for label in LABELS for _ in range(TEXTS_A_SOUND)]
        texts += [write_other_text(others, rng) for _ in range(OTHERS_A_BATCH)]
        yield texts + [write_neutral_text(rng) for _ in range(NEUTRAL_A_BATCH)], torch.tensor(owners)


def draw_sounds(
    features: torch.Tensor, rng: np.random.Generator
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless batches of features, (sounds, 1, frames, bands), and the sound of each."""
    while True:
        clips = rng.integers(len(features), size=SOUNDS_A_BATCH)
        sounds = torch.stack([draw_sound(features[int(clip)], rng) for clip in clips])
        yield sounds[:, None], torch.from_numpy(clips % len(LABELS))


# The model


def new_model(vocabulary: int) -> ClapModel:
    """About 0.9 million parameters, 2 bytes each as they are packaged."""
    torch.manual_seed(SEED)
    config = ClapConfig(
        projection_dim=96,
        text_config={
            "vocab_size": vocabulary,
            "hidden_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 192,
            "max_position_embeddings": 66,
            "pad_token_id": 1,
            "hidden_dropout_prob": 0.1,
            "attention_probs_dropout_prob": 0.0,
        },
        audio_config={
            "patch_embeds_hidden_size": 64,
            "patch_size": 16,
            "patch_stride": [16, 16],
            "depths": [2, 2],
            "num_attention_heads": [4, 8],
            "hidden_size": 128,
            "window_size": 8,
            "spec_size": 256,
            "num_mel_bins": BANDS,
            "enable_fusion": False,
            "fusion_type": None,
            "drop_path_rate": 0.0,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
        },
    )
    return ClapModel(config)


def set_statistics(model: ClapModel, features: torch.Tensor) -> None:
    """Normalize the bands by the statistics of all clips: those of a batch vary, and would differ."""
    norm = model.audio_model.audio_encoder.batch_norm
    bands = features.flatten(0, 1)[::7].float()
    norm.running_mean, norm.running_var = bands.mean(0), bands.var(0)


class Anchors(torch.nn.Module):
    """A direction for each sound, to which its recordings and its texts are drawn; they start orthogonal.

    Sounds and texts that were only compared with each other would long stay close together, all of them.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.directions = torch.nn.Parameter(torch.nn.init.orthogonal_(torch.empty(len(LABELS), width)))

    def forward(self, vectors: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The loss of some vectors with the sound of each, or `OTHER`: to be nearer to none than a margin."""
        cosines = vectors @ normalize(self.directions, dim=1).T
        none = torch.full((len(vectors), 1), NONE_COSINE)
        scores = torch.cat([cosines, none], 1) / TEMPERATURE
        return torch.nn.functional.cross_entropy(scores, labels.where(labels >= 0, len(LABELS)))


def compare_angles(vectors: torch.Tensor, labels: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    """The loss of vectors that are to have one direction, and no acute angle with the others.

    Neutral texts are to lie between all: what fits a sound less than they do is a wrong text.
    """
    cosines = vectors @ directions.T
    is_own, is_neutral = labels[:, None] == torch.arange(len(LABELS)), labels[:, None] == NEUTRAL
    away = torch.where(is_own, 1 - cosines, cosines.relu())
    return torch.where(is_neutral, cosines - NEUTRAL_COSINE, away).square().sum(1).mean()


def train(model: ClapModel, tokenizer: PreTrainedTokenizerFast, features: torch.Tensor, steps: int) -> None:
    """Train the model in place."""
    anchors = Anchors(model.config.projection_dim)
    decayed = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    rest = [parameter for parameter in model.parameters() if parameter.ndim <= 1] + [*anchors.parameters()]
    groups = [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=PEAK_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LEARNING_RATE, steps, pct_start=0.1)
    model.train()
    model.audio_model.audio_encoder.batch_norm.eval()
    started = time.monotonic()
    rng = np.random.default_rng(SEED)
    batches = zip(draw_sounds(features, rng), draw_texts(rng), strict=True)
    for step, ((sounds, labels), (texts, owners)) in zip(range(1, steps + 1), batches, strict=False):
        inputs = tokenizer(texts, padding=True, truncation=True, max_length=64, return_tensors="pt")
        sound_vectors = normalize(model.get_audio_features(input_features=sounds).pooler_output)
        text_vectors = normalize(model.get_text_features(**inputs).pooler_output)
        loss = anchors(sound_vectors, labels) + anchors(text_vectors, owners)
        descend(loss, model, optimizer, schedule)
        if step % 50 == 0 or step == steps:
            right = (owners[(sound_vectors @ text_vectors.T).argmax(1)] == labels).float().mean()
            seconds = time.monotonic() - started
            print(
                f"step {step}/{steps}: loss {loss.item():.4f}, right {right:.3f}, {seconds:.0f} s", flush=True
            )
    model.eval()


def settle(model: ClapModel, tokenizer: PreTrainedTokenizerFast, features: torch.Tensor, steps: int) -> None:
    """Turn the directions of the sounds to right angles, and texts and sounds after them.

    Then a wrong text is as far as can be from a sound, and neutral texts have room between. The network for
    sound stays as it is.
    """
    rng = np.random.default_rng(SEED)
    pooled, labels = pool_sounds(model, features, rng)
    with torch.inference_mode():
        vectors = normalize(model.audio_projection(pooled))
        means = torch.stack([vectors[labels == index].mean(0) for index in range(len(LABELS))])
        left, _, right = torch.linalg.svd(means, full_matrices=False)
    directions = (left @ right).clone()  # the nearest that are at right angles
    parts = (model.audio_projection, model.text_projection, model.text_model)
    optimizer = torch.optim.AdamW([one for part in parts for one in part.parameters()], lr=SETTLING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    model.text_model.train()
    for step, (texts, owners) in zip(range(1, steps + 1), draw_texts(rng), strict=False):
        some = torch.from_numpy(rng.integers(len(pooled), size=SETTLED_SOUNDS))
        inputs = tokenizer(texts, padding=True, truncation=True, max_length=64, return_tensors="pt")
        text_vectors = normalize(model.get_text_features(**inputs).pooler_output)
        sound_vectors = normalize(model.audio_projection(pooled[some]))
        loss = compare_angles(sound_vectors, labels[some], directions) + compare_angles(
            text_vectors, owners, directions
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step == steps:
            print(f"settling {step}/{steps}: loss {loss.item():.4f}", flush=True)
    model.eval()


def pool_sounds(
    model: ClapModel, features: torch.Tensor, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the network for sound makes of parts of all clips, and their labels."""
    clips = np.tile(np.arange(len(features)), PARTS_A_CLIP)
    model.eval()
    pooled = []
    with torch.no_grad():
        for some in np.array_split(clips, max(1, len(clips) // SETTLED_SOUNDS)):
            sounds = torch.stack([draw_sound(features[int(clip)], rng) for clip in some])
            pooled.append(model.audio_model(input_features=sounds[:, None]).pooler_output)
    return torch.cat(pooled), torch.from_numpy(clips % len(LABELS))


def save(folder: Path, model: ClapModel, tokenizer: PreTrainedTokenizerFast) -> None:
    model.half().save_pretrained(folder)
    ClapProcessor(new_extractor(), tokenizer).save_pretrained(folder)
    # The weights are written with mode 0600, but everyone must be able to read a package.
    (folder / "model.safetensors").chmod(0o644)


def main() -> None:
    parser = argparse.ArgumentParser(description='Train "demo-words".')
    parser.add_argument("--out", type=Path, default=WORDS_CHECKPOINT, help="folder to write to")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--clips-a-label", type=int, default=CLIPS_A_LABEL)
    parser.add_argument("--trials", type=int, default=200, help="clips to measure with")
    parser.add_argument(
        "--features", type=Path, help="file to keep the features in, to train again with them"
    )
    parser.add_argument("--settle", type=Path, help="a folder with a trained model, for the last part alone")
    options = parser.parse_args()

    torch.set_num_threads(1)
    clips = options.clips_a_label * len(LABELS)
    if options.features is not None and options.features.exists():
        features = torch.load(options.features)
    else:
        features = all_features(clips)
        if options.features is not None:
            torch.save(features, options.features)
    tokenizer = build_tokenizer()
    model = new_model(len(tokenizer))
    set_statistics(model, features)
    if options.settle is None:
        train(model, tokenizer, features, options.steps)
    else:
        model = ClapModel.from_pretrained(options.settle, dtype=torch.float32)
        tokenizer = ClapProcessor.from_pretrained(options.settle).tokenizer
    settle(model, tokenizer, features, SETTLING_STEPS)
    save(options.out, model, tokenizer)
    scores = measure(options.out, options.trials)
    write_card(options.out, scores, clips, options.steps)


if __name__ == "__main__":
    main()
