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


def has_avx512_bf16() -> bool:
    """True where the CPU computes bfloat16 products with AVX-512."""
    import torch

    return bool(torch.cpu._is_avx512_bf16_supported())


def has_amx() -> bool:
    """True where the CPU computes bfloat16 products with AMX."""
    import torch

    return bool(torch.cpu._is_amx_tile_supported())
