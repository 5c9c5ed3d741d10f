"""The registry of model families: looking one up loads nothing, and a new family is one object in it."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from hf_audio_tagger import SettingsError, build_tagger, models
from hf_audio_tagger.doctor.models import check_model
from hf_audio_tagger.models import ModelOutput, ModelSpec, registry
from hf_audio_tagger.models.family import Family, ModelFiles
from hf_audio_tagger.models.registry import FAMILIES, find_family


class LoudnessModel:
    """Names a window by its loudness."""

    labels, multi_label = ("quiet", "loud"), False
    rate_hz, window_samples, hop_samples, frame_samples = 8_000, 8_000, 8_000, 80
    default_windows, embedding_size, device = "all", None, torch.device("cpu")

    def predict(self, windows: list[np.ndarray]) -> ModelOutput:
        loudness = np.array([np.abs(window).max() for window in windows], np.float32)
        return ModelOutput(np.stack([1 - loudness, loudness], axis=1), None)


class LoudnessFamily(Family):
    name = "loudness"
    engines = ("torch",)
    dtypes = ("float32",)

    def load(self, spec: ModelSpec, device: torch.device) -> LoudnessModel:
        return LoudnessModel()

    def read_labels(self, spec: ModelSpec) -> tuple[str, ...]:
        return LoudnessModel.labels

    def identify(self, spec: ModelSpec) -> tuple[str]:
        return (spec.model,)

    def find_files(self, spec: ModelSpec) -> ModelFiles:
        return ModelFiles(True, "loudness needs no files")


@pytest.fixture
def _with_loudness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "FAMILIES", (LoudnessFamily(), *FAMILIES))
    monkeypatch.setattr(models, "_loaded", type(models._loaded)())


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("demo", "demo"),
        ("yamnet", "yamnet"),
        ("vggish", "vggish"),
        ("me/yamnet", "transformers"),
        ("./demo", "transformers"),
    ],
)
def test_a_name_finds_its_family(model: str, name: str) -> None:
    assert find_family(model).name == name


def test_finding_a_family_imports_no_framework() -> None:
    code = (
        "import sys; from hf_audio_tagger.models.registry import find_family; find_family('vggish');"
        "print({'torch', 'transformers', 'huggingface_hub'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.usefixtures("_with_loudness")
def test_a_family_is_one_object_in_the_registry() -> None:
    tagger = build_tagger("loudness", top_k=2)
    sounds = [np.full(8_000, level, np.float32) for level in (0.1, 0.9)]
    assert tagger.tag([{"array": sound, "sampling_rate": 8_000} for sound in sounds]) == ["quiet", "loud"]
    assert tagger.labels == ("quiet", "loud")
    assert tagger.identity() != build_tagger("demo").identity()
    finding = check_model("loudness")
    assert (finding.state, finding.detail) == ("ok", "loudness needs no files")


@pytest.mark.usefixtures("_with_loudness")
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"weights": __file__}, "weights= applies to model='yamnet' and 'vggish' only; 'loudness'"),
        ({"engine": "openvino"}, "engine must be one of 'torch' with model='loudness'; got 'openvino'."),
        ({"dtype": "auto"}, "dtype must be one of 'float32' with model='loudness'; got 'auto'."),
    ],
)
def test_what_a_family_does_not_take_is_refused(settings: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        build_tagger("loudness", **settings)  # type: ignore[arg-type]
    assert words in str(caught.value)
