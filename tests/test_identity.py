"""Identities: taggers with other weights or dtypes have another one, and secrets are part of none."""

import ctypes
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from datasets.fingerprint import Hasher
from packaged_weights import fitting_weights
from random_weights import write_yamnet
from weights_server import WeightsServer

from hf_audio_tagger import ModelError, SettingsError, Tagger, build_tagger
from hf_audio_tagger.cli.report import settings_table
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.models import spec as bfloat16
from hf_audio_tagger.runs import load_result, tag_dataset
from hf_audio_tagger.runs.record import describe_settings

SOUND = {"array": synthesize("Siren", 2.0, 16_000, 1), "sampling_rate": 16_000}


@pytest.fixture(scope="module")
def two_weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("two")
    return write_yamnet(folder / "0.pth", seed=0), write_yamnet(folder / "1.pth", seed=1)


def embedding_of(tagger: Tagger) -> np.ndarray:
    (result,) = tagger.classify(SOUND)
    assert result.embedding is not None
    return result.embedding


# --- weights


def test_weights_named_by_url_count_by_their_content(weights_server: WeightsServer) -> None:
    weights_server.files = {f"/{name}.pth": fitting_weights(n) for name, n in (("a", 1), ("b", 2), ("c", 1))}
    hashes = {
        name: Hasher.hash(build_tagger("yamnet", weights=f"{weights_server.url}/{name}.pth"))
        for name in "abc"
    }
    assert hashes["a"] != hashes["b"]
    assert hashes["a"] == hashes["c"]
    assert weights_server.asked == ["/a.pth", "/b.pth", "/c.pth"]


@pytest.mark.parametrize("name", ["path", "file URL", "http URL", "cache folder"])
def test_the_same_weights_have_one_identity_however_they_are_named(
    name: str, weights_server: WeightsServer, weights_cache: Path, tmp_path: Path
) -> None:
    data = fitting_weights(1)
    file = tmp_path / "mine.pth"
    file.write_bytes(data)
    weights_server.files = {"/mine.pth": data}
    (weights_cache / "yamnet.pth").write_bytes(data)
    named = {"path": str(file), "file URL": file.as_uri(), "http URL": f"{weights_server.url}/mine.pth"}.get(
        name
    )
    assert Hasher.hash(build_tagger("yamnet", weights=named)) == Hasher.hash(
        build_tagger("yamnet", weights=file)
    )
    assert Hasher.hash(build_tagger("yamnet", weights=named)) != Hasher.hash(build_tagger("demo"))


def test_a_file_url_counts_by_content(tmp_path: Path) -> None:
    file = tmp_path / "yamnet.pth"
    hashes = []
    for content in (b"one", b"two"):
        file.write_bytes(content)
        hashes.append(Hasher.hash(build_tagger("yamnet", weights=file.as_uri())))
    assert hashes[0] != hashes[1]


def test_a_replaced_file_in_the_cache_folder_is_another_model(
    weights_cache: Path, two_weights: tuple[Path, Path]
) -> None:
    """For the fingerprint, and for the model that this process has loaded."""
    tagger = build_tagger("yamnet", embeddings=True)
    seen = []
    for file in two_weights:
        (weights_cache / "yamnet.pth").write_bytes(file.read_bytes())
        seen.append((Hasher.hash(tagger), embedding_of(tagger)))
    assert seen[0][0] != seen[1][0]
    assert not np.array_equal(seen[0][1], seen[1][1])
    assert np.array_equal(
        seen[0][1], embedding_of(build_tagger("yamnet", weights=two_weights[0], embeddings=True))
    )


def test_a_run_goes_on_only_with_the_weights_that_it_was_begun_with(
    weights_cache: Path, two_weights: tuple[Path, Path], clips: dict[str, Path], tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"video": str(clips["Siren"])}) + "\n")
    tagger = build_tagger("yamnet", embeddings=True)
    (weights_cache / "yamnet.pth").write_bytes(two_weights[0].read_bytes())
    tag_dataset(rows, tmp_path / "out", tagger)
    (weights_cache / "yamnet.pth").write_bytes(two_weights[1].read_bytes())
    with pytest.raises(SettingsError, match="the model's files"):
        tag_dataset(rows, tmp_path / "out", tagger)
    assert load_result(tmp_path / "out").num_rows == 1


def test_missing_weights_fail_when_the_identity_is_computed(
    weights_server: WeightsServer, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="404"):
        build_tagger("yamnet", weights=f"{weights_server.url}/gone.pth").identity()


def test_weights_that_were_removed_since_fail(tmp_path: Path) -> None:
    file = tmp_path / "yamnet.pth"
    file.write_bytes(b"weights")
    tagger = build_tagger("yamnet", weights=file)
    file.unlink()
    with pytest.raises(ModelError, match=r"no weights at .*yamnet\.pth"):
        tagger.identity()


def test_a_map_with_missing_weights_fails(weights_server: WeightsServer) -> None:
    rows = Dataset.from_dict({"video": [None, "clip.mp4"]})
    with pytest.raises(ModelError, match="404"):
        rows.map(build_tagger("yamnet", weights=f"{weights_server.url}/gone.pth"))


def test_secrets_in_a_url_are_shown_nowhere(weights_server: WeightsServer) -> None:
    weights_server.files = {"/a.pth": fitting_weights()}
    tagger = build_tagger("yamnet", weights=f"{weights_server.url}/a.pth?signature=secret", token="hf_secret")
    table = settings_table({"out": "scores"}, tagger, notes=())
    shown = [str(cell) for column in table.columns for cell in column.cells]
    told = json.dumps([repr(tagger.identity()), describe_settings(tagger), shown])
    assert "secret" not in told
    assert f"{weights_server.url}/a.pth" in told
    with pytest.raises(SettingsError, match=r"weights.*password") as caught:
        build_tagger("yamnet", weights="https://user:s3cret@example.org/a.pth")
    assert "s3cret" not in str(caught.value)


def test_wrong_schemes_of_weights_are_refused_when_built() -> None:
    with pytest.raises(SettingsError, match=r"weights.*https"):
        build_tagger("yamnet", weights="s3://bucket/yamnet.pth")


# --- dtype="auto"


@pytest.fixture
def no_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU without its instructions."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)


def gpus(monkeypatch: pytest.MonkeyPatch, *capabilities: tuple[int, int]) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(capabilities))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: pytest.fail("it opens a context"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: pytest.fail("it opens a context"))
    monkeypatch.setattr(bfloat16, "nvidia_capabilities", lambda: capabilities)


def hash_of(dtype: str, device: str | None = None) -> str:
    return str(Hasher.hash(build_tagger("demo", dtype=dtype, device=device)))


@pytest.mark.usefixtures("no_bfloat16")
def test_auto_is_the_dtype_that_it_computes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch)
    assert hash_of("auto") == hash_of("auto", "cpu") == hash_of("float32")
    gpus(monkeypatch, (9, 0), (8, 0))
    assert hash_of("auto") == hash_of("auto", "cuda:1") == hash_of("bfloat16")
    assert hash_of("auto", "cpu") == hash_of("float32")
    gpus(monkeypatch, (8, 0), (7, 5))  # a rank on each: all compute alike
    assert hash_of("auto") == hash_of("auto", "cuda:0") == hash_of("float32")
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    assert hash_of("auto", "cpu") == hash_of("bfloat16")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert hash_of("auto", "mps") == hash_of("float32")
    assert describe_settings(build_tagger("demo", dtype="auto", device="cpu"))["dtype"] == "bfloat16"


@pytest.mark.usefixtures("no_bfloat16")
def test_auto_computes_in_the_dtype_of_its_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    for has_it, dtype in ((False, "float32"), (True, "bfloat16")):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda has_it=has_it: has_it)
        auto, named = (
            build_tagger("demo", dtype=one, device="cpu", embeddings=True) for one in ("auto", dtype)
        )
        assert np.array_equal(embedding_of(auto), embedding_of(named))


class FakeNvml:
    """The driver's library, as far as it is asked."""

    def __init__(self, *capabilities: tuple[int, int], failing: str = "") -> None:
        self.capabilities, self.failing, self.calls = capabilities, failing, list[str]()

    def __getattr__(self, name: str) -> Callable[..., int]:
        def call(*given: Any) -> int:
            self.calls.append(name)
            if name == self.failing:
                return 999
            if name == "nvmlDeviceGetCount_v2":
                given[0]._obj.value = len(self.capabilities)
            elif name == "nvmlDeviceGetHandleByIndex_v2":
                given[1]._obj.value = 1_000 + given[0]
            elif name == "nvmlDeviceGetCudaComputeCapability":
                given[1]._obj.value, given[2]._obj.value = self.capabilities[given[0].value - 1_000]
            return 0

        return call


def test_capabilities_are_asked_of_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNvml((9, 0), (7, 5))
    monkeypatch.setattr(ctypes, "CDLL", lambda _: nvml)
    assert bfloat16.nvidia_capabilities() == [(9, 0), (7, 5)]
    assert nvml.calls[0] == "nvmlInit_v2"
    assert nvml.calls[-1] == "nvmlShutdown"
    for failing in set(nvml.calls) - {"nvmlShutdown"}:
        monkeypatch.setattr(ctypes, "CDLL", lambda _, failing=failing: FakeNvml((9, 0), failing=failing))
        assert bfloat16.nvidia_capabilities() == []
        assert not bfloat16.has_native_bfloat16(torch.device("cuda", 0))


def test_hashing_is_quick() -> None:
    code = (
        "import sys; from hf_audio_tagger import build_tagger; build_tagger('demo').identity();"
        "build_tagger('yamnet', weights=sys.argv[1]).identity();"
        "print(*sorted({'torch', 'transformers', 'av'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, __file__], capture_output=True, text=True, timeout=100, check=True
    )
    assert done.stdout.strip() == ""
