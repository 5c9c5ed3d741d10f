"""What a file of weights holds, and into the network with it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import ModelError

KEYS_SHOWN = 5  # of each kind that does not fit


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a file that `torch.save` wrote. A pickle that holds more is refused."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file ends in any of a dozen kinds
        raise ModelError(
            f"{path} is refused: it is damaged or holds more than tensors, and no code is run to read weights"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ModelError(f"{path} is no state dict: tensors by name")
    return state


def loaded(build: Callable[[], nn.Module], state: Mapping[str, Tensor], path: Path) -> nn.Module:
    """What `build` makes, with the tensors of `state` in it, ready to run in float32."""
    with torch.device("meta"):  # no time spent on random numbers
        network = build()
    counters = ".num_batches_tracked"  # of training alone; not every file has them
    wanted = {k: v for k, v in network.state_dict().items() if not k.endswith(counters)}
    given = {k: v for k, v in state.items() if not k.endswith(counters)}
    _compare(wanted, given, path)
    network.load_state_dict({k: v.float() for k, v in given.items()}, strict=False, assign=True)
    return network.eval().requires_grad_(False)


def _compare(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], path: Path) -> None:
    complaints = {
        "missing": [k for k in wanted if k not in given],
        "unexpected": [k for k in given if k not in wanted],
        "of the wrong shape": [
            f"{k} {tuple(given[k].shape)}, not {tuple(v.shape)}"
            for k, v in wanted.items()
            if k in given and given[k].shape != v.shape
        ],
    }
    told = [
        f"{len(keys)} {what}: {', '.join(keys[:KEYS_SHOWN])}{', ...' * (len(keys) > KEYS_SHOWN)}"
        for what, keys in complaints.items()
        if keys
    ]
    if told:
        raise ModelError(f"{path} does not fit the network: " + "; ".join(told))
