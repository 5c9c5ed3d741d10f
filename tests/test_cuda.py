"""CUDA's path, as far as a machine without a GPU shows it: devices, copies and errors.

Two stand-ins: tensors that live on the CPU but are asked for on "cuda:0", which give answers and tell how
they were copied; and torch's "meta" device, which has no numbers and refuses to mix with the CPU's.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from hf_audio_tagger import build_tagger, memo, process
from hf_audio_tagger.errors import ResourceError, SettingsError
from hf_audio_tagger.models import _loaded, get_model
from hf_audio_tagger.models.transformers_model import AstModel

CUDA, RATE_HZ = torch.device("cuda", 0), 16_000
FULL = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 GiB of which 1.20 "
    "GiB is free."
)


def noises(*seconds: float) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.normal(0, 0.1, round(length * RATE_HZ)).astype(np.float32) for length in seconds]


def cells(*seconds: float) -> list[dict[str, Any]]:
    return [{"array": noise, "sampling_rate": RATE_HZ} for noise in noises(*seconds)]


class CpuAsCuda(TorchFunctionMode):
    """Makes on the CPU what is asked for on a CUDA device, and notes how."""

    def __init__(self) -> None:
        super().__init__()
        self.pinned, self.copied, self.waited = 0, 0, 0

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        self.pinned += bool(kwargs.pop("pin_memory", False))
        given = [*args, *kwargs.values()]
        if any(isinstance(one, torch.device) and one.type == "cuda" for one in given):
            self.copied += func is torch.Tensor.to
            self.waited += func is torch.Tensor.to and not kwargs.get("non_blocking", False)
            args = [torch.device("cpu") if isinstance(one, torch.device) else one for one in args]
            kwargs |= {"device": torch.device("cpu")} if "device" in kwargs else {}
        return func(*args, **kwargs)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[CpuAsCuda]:
    """A torch that counts one CUDA device, whose tensors are the CPU's. Models of it are not kept."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: False)
    memo.clear()
    with CpuAsCuda() as mode:
        yield mode
    for key in [key for key in _loaded if "cuda" in key[1]]:
        del _loaded[key]
    memo.clear()


@pytest.mark.parametrize("model", ["demo", "yamnet", "demo-words"])
def test_a_gpu_gives_the_answers_of_the_cpu(model: str, gpu: CpuAsCuda) -> None:
    labels = {"labels": ["siren", "rain"]} if model == "demo-words" else {}
    clips = cells(10.24, 3, 0.5)
    on_gpu = build_tagger(model, top_k=3, embeddings=True, batch_size=2, **labels)
    assert get_model(on_gpu.spec).device == CUDA
    found = on_gpu.classify(clips)
    memo.clear()
    expected = build_tagger(model, top_k=3, embeddings=True, batch_size=2, device="cpu", **labels).classify(
        clips
    )
    for one, other in zip(found, expected, strict=True):
        assert one.tag == other.tag
        assert one.top is not None
        assert other.top is not None
        np.testing.assert_allclose(
            [score for _, score in one.top], [score for _, score in other.top], rtol=1e-4
        )
        assert one.embedding is not None
        assert other.embedding is not None
        np.testing.assert_allclose(one.embedding, other.embedding, rtol=1e-3, atol=1e-4)


def test_sound_goes_to_a_gpu_from_pinned_memory_without_waiting(gpu: CpuAsCuda) -> None:
    model = get_model(build_tagger("demo").spec)
    gpu.pinned = gpu.copied = gpu.waited = 0
    model.predict(noises(10, 10, 4))
    assert (gpu.pinned, gpu.copied, gpu.waited) == (1, 1, 0)  # once a batch, however many windows


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_front_end_and_the_network_stay_on_the_device(dtype: str) -> None:
    """On "meta" a constant that stayed on the CPU is an error, and so is any read of a number on the way."""
    on_cpu = get_model(build_tagger("demo", dtype=dtype, device="cpu").spec, "cpu")
    assert isinstance(on_cpu, AstModel)
    windows = noises(10, 4, 0.5)
    expected = on_cpu.features(windows)["input_values"]
    meta = torch.device("meta")
    network = type(on_cpu.model)(on_cpu.model.config).to(meta, on_cpu.dtype).eval()
    with torch.inference_mode():
        model = AstModel(network, on_cpu.extractor, meta)
        inputs = model.features(windows)
        logits = model.model(**inputs).logits
    found = inputs["input_values"]
    assert (found.device, found.dtype, found.shape) == (meta, expected.dtype, expected.shape)
    assert (logits.device, logits.shape) == (meta, (3, len(on_cpu.labels)))


# --- which device


def test_ranks_go_round_all_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: False)
    workers = [process.Worker(rank, 6, 2) for rank in range(6)]
    for worker, expected in zip(workers, (0, 1, 2, 3, 0, 1), strict=True):
        monkeypatch.setattr(process, "_worker", worker)
        assert process.pick_device(None) == f"cuda:{expected}"
    monkeypatch.setattr(process, "_worker", process.Worker(1, 2, 2, device="cuda:3"))
    assert process.pick_device(None) == "cuda:3"  # as the executor says
    with pytest.raises(
        SettingsError, match="'cuda:4' is not there; of cuda devices torch finds cuda:0, cuda:1, "
    ):
        process.pick_device("cuda:4")


# --- memory


@pytest.mark.parametrize("on_error", ["raise", "record"])
@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError(FULL), RuntimeError("[enforce fail] can't allocate memory: you tried 4 GB")],
)
def test_a_model_without_memory_ends_the_run_with_a_remedy(
    error: Exception, on_error: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with on_error="record": it is no fault of the clip, and the next one would fail, too."""

    def fail(*_: object) -> None:
        raise error

    tagger = build_tagger("demo", device="cpu", on_error=on_error)
    monkeypatch.setattr(get_model(tagger.spec, "cpu"), "predict", fail)
    with pytest.raises(ResourceError, match="smaller batch_size= or, where processes share a GPU") as told:
        tagger.classify(cells(1))
    assert str(error)[:60] in str(told.value)


def test_a_model_that_does_not_fit_is_told(gpu: CpuAsCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError(FULL)

    monkeypatch.setattr("hf_audio_tagger.models.load", fail)
    with pytest.raises(ResourceError, match="needs more memory than there is"):
        get_model(build_tagger("demo").spec)


def test_other_errors_of_torch_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("CUDA error: device-side assert triggered")

    tagger = build_tagger("demo", device="cpu")
    monkeypatch.setattr(get_model(tagger.spec, "cpu"), "predict", fail)
    with pytest.raises(RuntimeError, match=r"^CUDA error: device-side assert"):
        tagger.classify(cells(1))
