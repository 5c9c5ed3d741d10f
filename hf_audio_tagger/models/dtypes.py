"""Whether the hardware has bfloat16, found out without opening a CUDA context."""

import ctypes
import sys
from typing import TYPE_CHECKING

from ..compat.other_libraries import find_bfloat16_units

if TYPE_CHECKING:
    import torch

FIRST_CAPABILITY = (8, 0)  # Ampere; older ones emulate bfloat16


def has_native_bfloat16(device: "torch.device") -> bool:
    """True where a bfloat16 product is one instruction and not an emulation.

    On CUDA, where all GPUs of the machine have it: workers on different ones compute alike.
    """
    import torch

    if device.type == "cuda":
        if torch.version.hip:
            return True  # as in torch
        capabilities = nvidia_capabilities()
        return bool(capabilities) and min(capabilities) >= FIRST_CAPABILITY
    if device.type == "cpu":
        return bool(find_bfloat16_units())
    return False


def nvidia_capabilities() -> list[tuple[int, int]]:
    """The compute capability of every GPU that the driver's NVML library lists; [] without it.

    torch.cuda.get_device_capability opens a CUDA context, and no process forked after that could use CUDA.
    """
    try:
        nvml = ctypes.CDLL("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
    except OSError:
        return []
    count = ctypes.c_uint()
    if nvml.nvmlInit_v2() != 0:
        return []
    try:
        if nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
            return []
        found = []
        for index in range(count.value):
            device, major, minor = ctypes.c_void_p(), ctypes.c_int(), ctypes.c_int()
            if nvml.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(device)) != 0:
                return []
            if nvml.nvmlDeviceGetCudaComputeCapability(device, *map(ctypes.byref, (major, minor))) != 0:
                return []
            found.append((major.value, minor.value))
        return found
    finally:
        nvml.nvmlShutdown()
