"""Which model is asked for: all that is needed to load it, and what of it can change an answer."""

import hashlib
import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..process import pick_device
from .dtypes import has_native_bfloat16

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "bfloat16", "float16", "auto")
ENGINES = ("torch", "openvino")
WEIGHT_FAMILIES = ("yamnet", "vggish")  # networks of this package, their weights a file
MODEL_FILES = (".json", ".safetensors", ".bin", ".py", ".pt", ".pth", ".h5")  # what loading may read


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

    @property
    def path(self) -> str:
        """What the loaders are given: the packaged folder for "demo", else the id or folder itself."""
        if self.model == "demo":
            from ..demo import CHECKPOINT

            return str(CHECKPOINT)
        return os.path.expanduser(self.model)

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

    def identity(self, device: str | None = None) -> tuple[object, ...]:
        """What can change an answer. Files count by content, a Hub id by its revision.

        `dtype="auto"` counts as the dtype that it comes to on the device. Weights that a URL names are
        downloaded for this if they are not there.
        """
        return (
            self.model if self.model in WEIGHT_FAMILIES else folder_digest(self.path) or self.path,
            self.revision,
            self.trust_remote_code,
            self.weights_digest(),
            self.dtype if self.dtype != "auto" else self.dtype_on(device),
            self.engine,
        )

    def weights_digest(self) -> str | None:
        """The content of the file that would be loaded; None for a model whose folder has its weights."""
        if self.model not in WEIGHT_FAMILIES:
            return None
        from .weights import RELEASES, find_weights

        return file_digest(str(find_weights(self.weights, RELEASES[self.model])))

    def dtype_on(self, device: str | None) -> str:
        """The dtype's name on the device that is asked for, or that a worker would pick."""
        import torch

        return str(self.torch_dtype(torch.device(pick_device(device, 0)))).removeprefix("torch.")


def folder_digest(path: str) -> str | None:
    """The content of a local checkpoint's files; None for what is no folder (a Hub id)."""
    folder = Path(path)
    if not folder.is_dir():
        return None
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(folder.iterdir()):
        if file.suffix in MODEL_FILES and file.is_file():
            digest.update(f"{file.name}\0{file_digest(str(file))}\0".encode())
    return digest.hexdigest()


def file_digest(path: str) -> str:
    """A file's content, read once for each size and time of change."""
    info = os.stat(path)
    return _content_digest(path, info.st_size, info.st_mtime_ns, info.st_ino)


@lru_cache(maxsize=64)
def _content_digest(path: str, size: int, mtime_ns: int, inode: int) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
