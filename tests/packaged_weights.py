"""YAMNet's packaged weights, as bytes and as tensors."""

import json

import numpy as np
import torch

from hf_audio_tagger.models.families.yamnet import YAMNET

assert YAMNET.release.packaged is not None
PACKAGED = YAMNET.release.packaged


def fitting_weights(change: int = 0) -> bytes:
    """YAMNet's packaged weights; with another number, others."""
    data = bytearray(PACKAGED.read_bytes())
    data[-1] ^= change
    return bytes(data)


def read_packaged() -> dict[str, torch.Tensor]:
    """The packaged weights in the layout of `yamnet.pth`, read by numpy alone."""
    data = PACKAGED.read_bytes()
    size = int.from_bytes(data[:8], "little")
    stored = {}
    for name, about in json.loads(data[8 : 8 + size]).items():
        if name != "__metadata__":
            start, end = about["data_offsets"]
            dtype = {"I8": np.int8, "F32": np.float32}[about["dtype"]]
            part = data[8 + size + start : 8 + size + end]
            stored[name] = np.frombuffer(part, dtype).reshape(about["shape"])
    state = {}
    for name, values in stored.items():
        if name.endswith(".weight"):
            scale = stored[f"{name}.scale"]
            values = values.astype(np.float32) * scale.reshape(-1, *[1] * (values.ndim - 1))
        elif name.endswith("bn.bias"):
            layer, ones = name.removesuffix("bias"), np.ones_like(values)
            same = {"weight": ones, "running_mean": 0 * ones, "running_var": ones - np.float32(1e-4)}
            state |= {f"{layer}{kind}": torch.from_numpy(tensor) for kind, tensor in same.items()}
        if not name.endswith(".scale"):
            state[name] = torch.from_numpy(values.copy())
    return state
