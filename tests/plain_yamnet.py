"""YAMNet once more, as its authors published it: in plain steps, with nothing folded.

It is what the package's own is compared with, and shares no line with it.
"""

from collections.abc import Mapping
from functools import cache

import numpy as np
import torch
from torch.nn import functional

RATE_HZ = 16_000


def plain_log_mel(sound: np.ndarray, offset: float = 0.001) -> np.ndarray:
    """One window of 15,600 samples as (96, 64), in float64: frames of 400 every 160, FFT, mel, log."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    frames = [sound[start : start + 400] * hann for start in range(0, len(sound) - 399, 160)]
    magnitudes = np.abs(np.fft.rfft(np.array(frames, dtype=np.float64), 512))
    return np.log(magnitudes @ mel_bands() + offset)


@cache
def mel_bands() -> np.ndarray:
    """64 triangles (257, 64) from 125 to 7,500 Hz, band by band."""

    def mel(hertz: float) -> float:
        return 2595.0 * np.log10(1 + hertz / 700.0)

    edges = np.linspace(mel(125), mel(7500), 66)
    bands = np.zeros((257, 64))
    for band in range(64):
        low, centre, high = edges[band : band + 3]
        for k in range(1, 257):
            at = mel(k * RATE_HZ / 512)
            if low < at <= centre:
                bands[k, band] = (at - low) / (centre - low)
            elif centre < at < high:
                bands[k, band] = (high - at) / (high - centre)
    return bands


def run_plain_network(
    state: Mapping[str, torch.Tensor], patches: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings and logits of patches (n, 96, 64), in torch's own functions."""

    def step(x: torch.Tensor, name: str, stride: int, groups: int = 1) -> torch.Tensor:
        kernel = state[f"{name}.conv.weight"]
        if kernel.shape[-1] == 3:
            x = functional.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
        x = functional.conv2d(x, kernel, stride=stride, groups=groups)
        kinds = ("running_mean", "running_var", "weight", "bias")
        mean, variance, scale, bias = (state[f"{name}.bn.{kind}"] for kind in kinds)
        return functional.relu(functional.batch_norm(x, mean, variance, scale, bias, eps=1e-4))

    x = step(patches[:, None], "layer1.fused", 2)
    for layer in range(2, 15):
        stride = 2 if layer in (3, 5, 7, 13) else 1
        x = step(x, f"layer{layer}.depthwise_conv", stride, groups=x.shape[1])
        x = step(x, f"layer{layer}.pointwise_conv", 1)
    pooled = x.mean((2, 3))
    return pooled, functional.linear(pooled, state["classifier.weight"], state["classifier.bias"])


def run_plain_yamnet(state: Mapping[str, torch.Tensor], windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings and logits of windows (n, 15600) of sound."""
    patches = np.stack([plain_log_mel(window) for window in windows])
    with torch.no_grad():
        embeddings, logits = run_plain_network(state, torch.from_numpy(patches).float())
    return embeddings.numpy(), logits.numpy()
