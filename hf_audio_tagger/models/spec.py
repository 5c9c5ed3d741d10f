"""The specification of a model, with its dtype and engine."""

import ctypes
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, get_args

from ..choices import Dtype, Engine
from ..compat.other_libraries import find_bfloat16_units
from ..errors import ModelError
from ..label_texts import FrozenLabels
from ..process import pick_device

if TYPE_CHECKING:
    import torch

DTYPES: tuple[str, ...] = get_args(Dtype)
ENGINES: tuple[str, ...] = get_args(Engine)
FLOAT_DTYPES = tuple(dtype for dtype in DTYPES if dtype != "int8")
BFLOAT16_CAPABILITY = (8, 0)  # Ampere; older GPUs emulate it


@dataclass(frozen=True)
class ModelSpec:
    """The model arguments of `build_tagger`."""

    model: str
    revision: str | None = None
    trust_remote_code: bool = False
    token: str | bool | None = field(default=None, repr=False)
    weights: str | None = None
    dtype: str = "float32"
    engine: str = "torch"
    labels: FrozenLabels | None = None
    template: str | None = None
    labels_hold: str | None = None

    def resolve_dtype(self, device: str | None) -> str:
        """The dtype's name; "auto" is bfloat16 if the hardware supports it. None: a worker's device."""
        if self.dtype != "auto":
            return self.dtype
        import torch

        is_native = has_native_bfloat16(torch.device(pick_device(device, 0)))
        return "bfloat16" if is_native else "float32"

    def torch_dtype(self, device: "torch.device") -> "torch.dtype":
        """The dtype to compute in."""
        import torch

        dtype: torch.dtype = getattr(torch, self.resolve_dtype(str(device)))
        return dtype

    def loading_dtype(self, device: "torch.device") -> "torch.dtype":
        """The dtype to load weights in: OpenVINO converts from float32 itself."""
        import torch

        return self.torch_dtype(device) if self.engine == "torch" else torch.float32


def check_openvino() -> None:
    if find_spec("openvino") is None:
        raise ModelError('engine="openvino" needs pip install "hf-audio-tagger[openvino]".')


def has_native_bfloat16(device: "torch.device") -> bool:
    """Whether the hardware computes bfloat16 natively.

    On CUDA all GPUs of the machine must, so that workers on different GPUs give the same results.
    """
    import torch

    if device.type == "cuda":
        capabilities = nvidia_capabilities()
        return bool(torch.version.hip or (capabilities and min(capabilities) >= BFLOAT16_CAPABILITY))
    return device.type == "cpu" and bool(find_bfloat16_units())


def nvidia_capabilities() -> list[tuple[int, int]]:
    """The compute capability of every GPU, from the driver's NVML library; [] without it.

    torch.cuda.get_device_capability opens a CUDA context, and no process forked after that could use CUDA.
    """
    try:
        nvml = ctypes.CDLL("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
    except OSError:
        return []
    if nvml.nvmlInit_v2() != 0:
        return []
    count, device, major, minor = ctypes.c_uint(), ctypes.c_void_p(), ctypes.c_int(), ctypes.c_int()
    found = []
    try:
        if nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
            return []
        for index in range(count.value):
            failed = nvml.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(device))
            if failed or nvml.nvmlDeviceGetCudaComputeCapability(device, *map(ctypes.byref, (major, minor))):
                return []
            found.append((major.value, minor.value))
        return found
    finally:
        nvml.nvmlShutdown()
