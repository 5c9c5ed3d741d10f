"""What a GPU can: how many there are, and the rate of its matrix products."""

import time

import torch

from benchmarks.subjects.serving import Job, Run, serve

SIDE, REPEATS = 8192, 50


def prepare(_: Job) -> Run:
    def run(job: Job) -> Job:
        if job.get("what") == "name":
            has_one = torch.cuda.device_count() > 0
            return {"name": torch.cuda.get_device_name(0) if has_one else None}
        return {"teraflops": matrix_teraflops(job["device"], job.get("side", SIDE))}

    return run


def matrix_teraflops(device: str, side: int) -> float:
    """The best bfloat16 rate of square products: what the model part is held against."""
    left, right = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    (left @ right).sum().item()
    started = time.perf_counter()
    for _ in range(REPEATS):
        product = left @ right
    product.sum().item()
    return 2 * side**3 * REPEATS / (time.perf_counter() - started) / 1e12


if __name__ == "__main__":
    serve(prepare)
