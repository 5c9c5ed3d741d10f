"""Devices that models can run on, and whether they have bfloat16 natively."""

import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

from ..compat.other_libraries import find_bfloat16_units
from ..process import usable_cores
from .libraries import Finding, install_command, shorten


def check_devices() -> Iterator[Finding]:
    """Check the CPU and each CUDA device with a small computation, or report why there is none."""
    try:
        import torch
    except Exception as error:
        detail = f"unknown without torch ({shorten(error)})"
        yield Finding("devices", "error", detail, install_command("torch"))
        return
    yield check_cpu()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    yield from map(check_cuda_device, range(count))
    if count:
        return
    if not Path("/proc/driver/nvidia/version").exists() and not shutil.which("nvidia-smi"):
        yield Finding("cuda", "note", "no device; models run on the CPU")
        return
    if torch.version.cuda is None:
        fault = "is a build for CPUs"
        remedy = "Install a CUDA build of torch and torchaudio: https://pytorch.org/get-started/locally/"
    else:
        fault = "sees no device" + "".join(f" ({shorten(Warning(one.message))})" for one in caught[:1])
        remedy = f"Update the driver to one for CUDA {torch.version.cuda}, and look at CUDA_VISIBLE_DEVICES."
    detail = f"there is an NVIDIA driver, but torch {torch.__version__} {fault}"
    yield Finding("cuda", "warning", detail, remedy)


def check_cpu() -> Finding:
    import torch

    cores, threads = usable_cores(), torch.get_num_threads()
    parts = [f"{cores} core{'s' * (cores > 1)}", f"torch computes on {threads} thread{'s' * (threads > 1)}"]
    if threads_variable := os.environ.get("OMP_NUM_THREADS"):
        parts.append(f"OMP_NUM_THREADS={threads_variable}")
    native = find_bfloat16_units()
    parts.append(f"native bfloat16 ({', '.join(native)})" if native else "no native bfloat16")
    return Finding("cpu", "ok", ", ".join(parts))


def check_cuda_device(index: int) -> Finding:
    import torch

    from ..models.spec import has_native_bfloat16

    device = torch.device("cuda", index)
    try:
        properties = torch.cuda.get_device_properties(device)
        bfloat16 = ("" if has_native_bfloat16(device) else "no ") + "native bfloat16"
        torch.ones(8, device=device).sum().item()
    except Exception as error:
        remedy = "Use another device (CUDA_VISIBLE_DEVICES), or a torch built for this one."
        return Finding(str(device), "warning", f"does not compute: {shorten(error)}", remedy)
    memory = f"{properties.total_memory / 2**30:.0f} GiB"
    capability = f"compute capability {properties.major}.{properties.minor}"
    return Finding(str(device), "ok", f"{properties.name}, {memory}, {capability}, {bfloat16}")
