"""Which model is asked for, and in which dtype and engine."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..process import pick_device
from .dtypes import has_native_bfloat16

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "bfloat16", "float16", "auto")
ENGINES = ("torch", "openvino")


@dataclass(frozen=True)
class ModelSpec:
    """A model as `build_tagger` was asked for it."""

    model: str
    revision: str | None = None
    trust_remote_code: bool = False
    token: str | bool | None = field(default=None, repr=False)
    weights: str | None = None
    dtype: str = "float32"
    engine: str = "torch"

    def torch_dtype(self, device: "torch.device") -> "torch.dtype":
        """The dtype to compute in; "auto" is bfloat16 where the hardware has it natively."""
        import torch

        if self.dtype == "auto":
            return torch.bfloat16 if has_native_bfloat16(device) else torch.float32
        dtype = getattr(torch, self.dtype)
        assert isinstance(dtype, torch.dtype)
        return dtype

    def loading_dtype(self, device: "torch.device") -> "torch.dtype":
        """The dtype to load weights in: OpenVINO converts from float32 and rounds by itself."""
        import torch

        return self.torch_dtype(device) if self.engine == "torch" else torch.float32

    def resolve_dtype(self, device: str | None) -> str:
        """The dtype's name; for "auto", the one on that device, or on the one that a worker would pick."""
        if self.dtype != "auto":
            return self.dtype
        import torch

        return str(self.torch_dtype(torch.device(pick_device(device, 0)))).removeprefix("torch.")
