"""Networks, one per file. Here: reading state dicts and loading them into a network."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from ...errors import ModelError

KEYS_SHOWN = 5  # mismatched keys of each kind


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a state dict that `torch.save` wrote. Pickles with other objects are refused."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files raise many kinds of errors
        raise ModelError(
            f"{path} is refused: it is damaged or holds more than tensors, and no code is run to read weights"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(f"{path} is not a state dict (tensors by name)")
    return state


def read_quantized(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file, in which NAME.scale are the scales of a tensor NAME of int8."""
    from safetensors.torch import load_file

    try:
        stored = load_file(path)
        scales = {name: stored.pop(f"{name}.scale") for name in [*stored] if f"{name}.scale" in stored}
        return {name: scale_channels(tensor, scales.get(name)) for name, tensor in stored.items()}
    except Exception as error:  # damaged files raise many kinds of errors
        raise ModelError(f"{path} is refused: it is damaged, or no safetensors file of weights") from error


def scale_channels(tensor: Tensor, scale: Tensor | None) -> Tensor:
    """A quantized tensor in float32; with a scale for each output channel, or one for all."""
    return tensor if scale is None else tensor.float() * scale.view(-1, *[1] * (tensor.ndim - 1))


def build_network(build: Callable[[], nn.Module], state: Mapping[str, Tensor], path: Path) -> nn.Module:
    """Build the network and load `state` into it, in float32 and ready for inference.

    Names and shapes must match, except for the batch counters of training, which not every file has.
    """
    with torch.device("meta"):  # no random initialization
        network = build()
    expected, given = (
        {key: value for key, value in tensors.items() if not key.endswith(".num_batches_tracked")}
        for tensors in (network.state_dict(), state)
    )
    differences = {
        "missing": [key for key in expected if key not in given],
        "unexpected": [key for key in given if key not in expected],
        "of the wrong shape": [
            f"{key} {tuple(given[key].shape)}, not {tuple(value.shape)}"
            for key, value in expected.items()
            if key in given and given[key].shape != value.shape
        ],
    }
    parts = [
        f"{len(keys)} {what}: {', '.join(keys[:KEYS_SHOWN])}{', ...' * (len(keys) > KEYS_SHOWN)}"
        for what, keys in differences.items()
        if keys
    ]
    if parts:
        raise ModelError(f"{path} does not fit the network: " + "; ".join(parts))
    network.load_state_dict({key: value.float() for key, value in given.items()}, strict=False, assign=True)
    return network.eval().requires_grad_(False)
