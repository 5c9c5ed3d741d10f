"""YAMNet's network, and its weights as PyTorch, Keras and the packaged file store them."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ...errors import ModelError
from . import build_network, read_quantized, read_state_dict

CLASSES = 521
BATCH_NORM_EPSILON = 1e-4

# The first convolutions have large outputs and small weights: on a CPU they process fewer patches at a time,
# so that the allocator can reuse the memory of their outputs.
LARGE_LAYERS, LARGE_LAYERS_PATCHES = 9, 14

STEM_CHANNELS = 32
# (stride, channels out) of the depthwise separable layers, layer2 to layer14
SEPARABLE = ((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), *[(1, 512)] * 5, (2, 1024), (1, 1024))


def read_network(path: Path) -> nn.Module:
    """The network with the weights of `yamnet.pth`, Keras' `yamnet.h5` or the packaged file, in float32."""
    with path.open("rb") as file:
        start = file.read(len(H5_SIGNATURE) + 1)
    if start.startswith(H5_SIGNATURE):
        state = read_h5(path)
    elif start.endswith(b"{"):  # safetensors: the header's length in 8 bytes, then JSON
        state = complete_batch_norms(read_quantized(path))
    else:
        state = read_state_dict(path)
    return fuse_and_mirror(build_network(Yamnet, state, path))


def complete_batch_norms(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state with batch norms that add their bias alone, where it has no other tensors of them."""
    added = {}
    for name in state:
        layer, _, leaf = name.rpartition(".bn.")
        if leaf == "bias":
            ones = torch.ones_like(state[name])
            added[f"{layer}.bn.weight"] = ones
            added[f"{layer}.bn.running_mean"] = torch.zeros_like(ones)
            added[f"{layer}.bn.running_var"] = ones - BATCH_NORM_EPSILON
    return {**added, **state}


class Yamnet(nn.Module):
    """Patches (n, 96, 64) to embeddings (n, 1024) and logits (n, 521)."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.ModuleDict({"fused": ConvNormRelu(1, STEM_CHANNELS, kernel=3, stride=2)})
        channels = STEM_CHANNELS
        for number, (stride, out) in enumerate(SEPARABLE, start=2):
            depthwise = ConvNormRelu(channels, channels, kernel=3, stride=stride, groups=channels)
            pointwise = ConvNormRelu(channels, out, kernel=1)
            layer = nn.ModuleDict({"depthwise_conv": depthwise, "pointwise_conv": pointwise})
            self.add_module(f"layer{number}", layer)
            channels = out
        self.classifier = nn.Linear(channels, CLASSES)

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        x = patches.flip(1, 2).unsqueeze(1)  # mirrored, see ConvNormRelu; the mean below is the same
        layers = [module for module in self.modules() if isinstance(module, ConvNormRelu)]  # in order
        if x.device.type == "cpu" and len(x) > LARGE_LAYERS_PATCHES:
            large = nn.Sequential(*layers[:LARGE_LAYERS])
            x = torch.cat([large(part) for part in x.split(LARGE_LAYERS_PATCHES)])
            layers = layers[LARGE_LAYERS:]
        embeddings = nn.Sequential(*layers)(x).mean(dim=(2, 3))
        return embeddings, self.classifier(embeddings)


class ConvNormRelu(nn.Module):
    """A convolution with TensorFlow's "same" padding mirrored, batch norm, ReLU.

    With stride 2 on an even length (96 x 64 halves evenly all the way) TensorFlow pads one zero at the end.
    Torch pads both ends, but its last stride does not reach the zero at the end: in effect it pads one zero
    at the beginning. Therefore patches and kernels are mirrored along both axes. Explicit padding would copy
    the input of every strided layer and took a quarter of the time.
    """

    def __init__(self, channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(out, eps=BATCH_NORM_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(x)), inplace=True)


def fuse_and_mirror(network: nn.Module) -> nn.Module:
    """Fold batch norms into their convolutions and mirror the kernels of published weights, in place."""
    for module in network.modules():
        if isinstance(module, ConvNormRelu) and isinstance(module.bn, nn.BatchNorm2d):
            module.conv = fuse_conv_bn_eval(module.conv, module.bn)
            module.conv.weight.data = module.conv.weight.data.flip(2, 3)
            module.bn = nn.Identity()
    return network


H5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# The end of a dataset's name. The prefix differs between versions of Keras.
H5_NAME = re.compile(r"(layer\d+)/(conv|depthwise_conv|pointwise_conv)(?:/bn)?/(\w+)(?::0)?$")
H5_LEAVES = {
    "kernel": "conv.weight",
    "depthwise_kernel": "conv.weight",
    "gamma": "bn.weight",
    "beta": "bn.bias",
    "moving_mean": "bn.running_mean",
    "moving_variance": "bn.running_var",
}


def read_h5(path: Path) -> dict[str, Tensor]:
    """Read Keras weights, with names and axes converted to those of `Yamnet`."""
    try:
        import h5py
    except ImportError as error:
        raise ModelError(f'{path} needs h5py: pip install "hf-audio-tagger[h5]"') from error

    state: dict[str, Tensor] = {}

    def keep(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            state.update([convert_keras(name, torch.from_numpy(item[()]))])

    try:
        with h5py.File(path, "r") as file:
            file.visititems(keep)
    except (OSError, KeyError, RuntimeError, TypeError) as error:
        raise ModelError(f"{path} cannot be read as HDF5: {error}") from error
    for name in [name for name in state if name.endswith("bn.bias")]:  # trained without a scale
        state.setdefault(name.replace("bn.bias", "bn.weight"), torch.ones_like(state[name]))
    return state


def convert_keras(name: str, array: Tensor) -> tuple[str, Tensor]:
    """A tensor with its name in `Yamnet`; an unknown one keeps its name, for the error message."""
    if match := H5_NAME.search(name):
        layer, part, leaf = match.groups()
        if array.ndim == 4:  # (height, width, in, out); depthwise: (height, width, channels, 1)
            array = array.permute(2, 3, 0, 1) if "depth" in part else array.permute(3, 2, 0, 1)
        key = f"{layer}.{'fused' if part == 'conv' else part}.{H5_LEAVES.get(leaf, leaf)}"
        return key, array.contiguous()
    if array.ndim == 2 and "/kernel" in name:  # the only dense layer
        return "classifier.weight", array.T.contiguous()
    if array.ndim == 1 and "/bias" in name:
        return "classifier.bias", array
    return name, array
