"""Outputs of a few taggers on generated sounds, kept in tests/golden, one file for each ALGORITHMS_VERSION.

`python tests/golden_outputs.py` writes the file of a version that has none, and adds new cases to one that is
there. It changes no case: outputs may change only together with ALGORITHMS_VERSION.
"""

import json
import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from random_weights import unprepared_yamnet
from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

from hf_audio_tagger import build_tagger
from hf_audio_tagger.scores import ClipResult
from hf_audio_tagger.tagger import ALGORITHMS_VERSION

FOLDER = Path(__file__).parent / "golden"
TOLERANCE = 1e-3  # of scores, seconds and embeddings: CPUs and versions of torch round differently
EMBEDDING_VALUES = 8  # that are kept, besides the norm of all

Output = dict[str, Any]


# Sounds and weights, the same on every machine: RandomState's numbers are frozen


def sweep(seconds: float, rate_hz: int) -> np.ndarray:
    """A tone that rises and falls between 500 and 1,500 Hz once a second."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    frequency = 1_000 + 500 * np.sin(2 * np.pi * time)
    return (0.5 * np.sin(2 * np.pi * np.cumsum(frequency) / rate_hz)).astype(np.float32)


def noise(seconds: float, rate_hz: int) -> np.ndarray:
    return (0.1 * np.random.RandomState(0).standard_normal(round(seconds * rate_hz))).astype(np.float32)


def as_cell(samples: np.ndarray, rate_hz: int) -> dict[str, Any]:
    return {"array": samples, "sampling_rate": rate_hz}


def cells() -> list[dict[str, Any]]:
    """A clip of one kind, one that changes on the way, one that is shorter than a frame."""
    both = np.concatenate([sweep(12.0, 16_000), noise(13.3, 16_000)])
    return [as_cell(sweep(3.0, 44_100), 44_100), as_cell(both, 16_000), as_cell(noise(0.01, 22_050), 22_050)]


def write_stereo(path: Path) -> Path:
    """A FLAC file whose channels differ."""
    channels = np.stack([sweep(3.0, 22_050), noise(3.0, 22_050)])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=22_050, layout="stereo")
        samples = (channels * 32_767).astype(np.int16).T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
        frame.sample_rate = 22_050
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def fill(network: torch.nn.Module, deviation: float) -> None:
    """Normal weights, in the order of their names."""
    random = np.random.RandomState(1)
    for _, parameter in sorted(network.named_parameters()):
        values = deviation * random.standard_normal(tuple(parameter.shape))
        parameter.data = torch.from_numpy(values.astype(np.float32))
    for module in network.modules():
        if isinstance(module, torch.nn.LayerNorm | torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)


def write_ast(folder: Path) -> Path:
    model = ASTForAudioClassification(
        ASTConfig(
            hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96, num_labels=7
        )
    )
    fill(model, 0.2)
    model.save_pretrained(folder)
    ASTFeatureExtractor(mean=-3.1, std=2.7).save_pretrained(folder)
    return folder


def write_yamnet(path: Path) -> Path:
    """Batch norms with the statistics of noise, and a classifier that keeps scores away from 1."""
    network = unprepared_yamnet(seed=0).train()
    fill(network, 0.3)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    network.classifier.weight.data /= 10
    patches = 4 * np.random.RandomState(2).standard_normal((8, 96, 64)) - 3
    with torch.no_grad():
        network(torch.from_numpy(patches.astype(np.float32)))  # in training mode: sets the statistics
    torch.save(network.state_dict(), path)
    return path


# Cases


def hear_demo(folder: Path) -> list[ClipResult]:
    tagger = build_tagger("demo", device="cpu", windows="all", top_k=3, segments=True, embeddings=True)
    return tagger.classify(cells())


def hear_channels(folder: Path) -> list[ClipResult]:
    path = str(write_stereo(folder / "stereo.flac"))
    return [
        result
        for channels in ("mean", "first")
        for result in build_tagger("demo", device="cpu", decoder="pyav", channels=channels, top_k=3).classify(
            [path]
        )
    ]


def hear_ast(folder: Path) -> list[ClipResult]:
    tagger = build_tagger(write_ast(folder), device="cpu", windows=2, top_k=3, embeddings=True)
    return tagger.classify(cells())


def hear_yamnet(folder: Path) -> list[ClipResult]:
    weights = write_yamnet(folder / "yamnet.pth")
    tagger = build_tagger(
        "yamnet", weights=weights, device="cpu", top_k=3, threshold=0.3, segments=True, embeddings=True
    )
    return tagger.classify(cells())


CASES: dict[str, Callable[[Path], list[ClipResult]]] = {
    "demo": hear_demo,
    "channels": hear_channels,
    "ast": hear_ast,
    "yamnet": hear_yamnet,
}


def compute(case: str) -> list[Output]:
    """What the package says now."""
    with tempfile.TemporaryDirectory() as folder:
        return [as_output(result) for result in CASES[case](Path(folder))]


def as_output(result: ClipResult) -> Output:
    output: Output = {"tag": result.tag}
    if result.top is not None:
        output["top"] = [[label, round(score, 5)] for label, score in result.top]
    if result.segments is not None:
        output["segments"] = [
            [round(one.start, 5), round(one.end, 5), one.label, round(one.score, 5)]
            for one in result.segments
        ]
    if result.embedding is not None:
        values = [float(value) for value in result.embedding]
        kept = [*values[:EMBEDDING_VALUES], math.hypot(*values)]
        output["embedding"] = [round(value, 5) for value in kept]
    return output


# Comparison


def find_differences(expected: Any, actual: Any, place: str) -> Iterator[str]:
    """Where two outputs differ by more than rounding does."""
    if isinstance(expected, dict) and isinstance(actual, dict) and expected.keys() == actual.keys():
        for name in expected:
            yield from find_differences(expected[name], actual[name], f"{place}.{name}")
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for index, (one, other) in enumerate(zip(expected, actual, strict=True)):
            yield from find_differences(one, other, f"{place}[{index}]")
    elif isinstance(expected, float) and isinstance(actual, float):
        if not math.isclose(expected, actual, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            yield f"{place} was {expected}, is {actual}"
    elif expected != actual:
        yield f"{place} was {expected!r}, is {actual!r}"


def golden_path(version: int = ALGORITHMS_VERSION, folder: Path = FOLDER) -> Path:
    return folder / f"v{version}.json"


def read(path: Path) -> dict[str, list[Output]]:
    return json.loads(path.read_text("utf-8")) if path.exists() else {}  # type: ignore[no-any-return]


def write_missing(path: Path) -> list[str]:
    """Compute and write the cases that a file lacks."""
    known = read(path)
    missing = [case for case in CASES if case not in known]
    if missing:
        outputs = known | {case: compute(case) for case in missing}
        path.write_text(json.dumps(outputs, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return missing


def main() -> None:
    path = golden_path()
    written = write_missing(path)
    print(f"{path}: {', '.join(written) or 'no case'} written; the others stay as they were.")
    for old in FOLDER.glob("v*.json"):
        if old != path:
            old.unlink()
            print(f"{old} removed.")


if __name__ == "__main__":
    main()
