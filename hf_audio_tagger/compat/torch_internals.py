"""What torch has no public name for. Imports torch only when called."""


def library_path() -> str:
    """The file of torch's extension module. Symbols of the OpenMP and MKL that torch uses are found in it."""
    import torch

    return str(torch._C.__file__)


def is_in_bad_fork() -> bool:
    """True in a process that was forked after its parent had used CUDA: it cannot use CUDA any more.

    Publicly torch tells only by an error, once CUDA is used.
    """
    import torch

    return bool(torch.cuda._is_in_bad_fork())


def find_bfloat16_units() -> list[str]:
    """The units of the CPU that compute bfloat16 products."""
    import torch

    units = {"amx": torch.cpu._is_amx_tile_supported(), "avx512_bf16": torch.cpu._is_avx512_bf16_supported()}
    return [name for name, is_supported in units.items() if is_supported]
