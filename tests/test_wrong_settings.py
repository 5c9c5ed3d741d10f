"""Wrong settings are told at once: when a tagger is built, or before a map or a run starts its workers."""

import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import torch
from datasets import Dataset

from hf_audio_tagger import ModelError, SettingsError, Tagger, build_tagger, tag_dataset
from hf_audio_tagger.choices import DEFAULT_MODEL, OTHER_NAMES, Decoder, Dtype, Engine
from hf_audio_tagger.demo import CHECKPOINT
from hf_audio_tagger.media import decoders
from hf_audio_tagger.models.registry import FAMILIES
from hf_audio_tagger.models.spec import DTYPES, ENGINES
from hf_audio_tagger.settings import ABOUT, FIELDS

# Near misses


@pytest.mark.parametrize(
    ("settings", "meant"),
    [
        ({"dtype": "bf16"}, "bfloat16"),
        ({"dtype": "half"}, "float16"),
        ({"dtype": torch.float32}, "float32"),
        ({"dtype": "BFloat16"}, "bfloat16"),
        ({"engine": "open-vino"}, "openvino"),
        ({"engine": "pytorch"}, "torch"),
        ({"decoder": "torch_codec"}, "torchcodec"),
        ({"decoder": "ffmpeg"}, "pyav"),
        ({"channels": "mono"}, "mean"),
        ({"windows": "frist"}, "first"),
        ({"on_error": "skip"}, "record"),
        ({"device": "gpu"}, "cuda"),
        ({"device": "cuda1"}, "cuda:1"),
        ({"model": "yamnett"}, "yamnet"),
        ({"model": "VGG-ish"}, "vggish"),
        ({"model": "Demo"}, "demo"),
        ({"model": "AST"}, DEFAULT_MODEL),
    ],
)
def test_a_near_miss_is_told_what_is_meant(settings: dict[str, Any], meant: str) -> None:
    (name,) = settings
    with pytest.raises(SettingsError, match=rf"^{name} must be ") as caught:
        build_tagger(**{"model": "demo", **settings})
    assert str(caught.value).endswith(f" Did you mean {meant!r}?")


@pytest.mark.parametrize("settings", [{"dtype": "int8"}, {"engine": "tensorrt"}, {"windows": "some"}])
def test_another_value_is_compared_with_nothing(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"\.$"):
        build_tagger("demo", **settings)


def test_other_names_are_those_of_choices() -> None:
    assert OTHER_NAMES.keys() <= {*all_choices(), "cuda", DEFAULT_MODEL}


def test_a_misspelled_argument_is_told_what_is_meant() -> None:
    with pytest.raises(TypeError, match=r"no argument 'windos'\. Did you mean 'windows'\?$"):
        build_tagger(windos=1)  # type: ignore[call-arg]


# Types


def all_choices() -> set[str]:
    return {value for name in ABOUT for value in literal_values(name)}


def literal_values(name: str) -> tuple[str, ...]:
    declared = FIELDS[name].type
    parts = (declared, *get_args(declared)) if get_origin(declared) is not Literal else (declared,)
    return next((get_args(part) for part in parts if get_origin(part) is Literal), ())


def test_types_name_the_choices_that_there_are() -> None:
    assert get_args(Decoder) == decoders.DECODER_NAMES
    assert (get_args(Dtype), get_args(Engine)) == (DTYPES, ENGINES)
    for name, about in ABOUT.items():
        if about.check is not None and name != "device":
            assert about.check.choices == literal_values(name)
            assert all(about.check.is_valid(value) for value in literal_values(name))
    names = {"windows", "channels", "decoder", "dtype", "engine", "on_error", "labels_hold"}
    assert {name for name in ABOUT if literal_values(name)} == names


# A model that is not there


@pytest.mark.parametrize("model", ["./nowhere", "/no/where", "~/nowhere", "a/b/c", "not an id"])
def test_a_folder_that_is_not_there_is_told_when_built(model: str) -> None:
    with pytest.raises(SettingsError, match="there is no such folder"):
        build_tagger(model)


def test_a_path_object_is_never_an_id_of_the_hub() -> None:
    with pytest.raises(SettingsError, match="no such folder"):
        build_tagger(Path("models/mine"))
    assert build_tagger("models/mine").model == "models/mine"


def test_a_file_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    with pytest.raises(SettingsError, match="is a file"):
        build_tagger(tmp_path / "model.safetensors")


# What is told in the parent


@pytest.fixture
def ds() -> Dataset:
    return Dataset.from_dict({"video": ["a.mp4", "b.mp4"]})


def assert_told_before_workers(tagger: Tagger, ds: Dataset, tmp_path: Path, kind: type, words: str) -> None:
    """By a map, before its workers, which would record the same for every clip; and by a run."""
    with pytest.raises(kind, match=words) as caught:
        ds.map(tagger, num_proc=2)
    assert "RemoteTraceback" not in repr(caught.value.__cause__)
    with pytest.raises(kind, match=words):
        tag_dataset(ds, tmp_path / "out", tagger, num_proc=2)
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_model_is_told_before_the_workers(ds: Dataset, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_bytes((CHECKPOINT / "config.json").read_bytes())
    tagger = build_tagger(tmp_path / "model")
    words = r"lacks preprocessor_config\.json, model\.safetensors"
    assert_told_before_workers(tagger, ds, tmp_path, ModelError, words)


@pytest.mark.parametrize(
    ("device", "count", "words"),
    [
        ("cuda", 0, "finds no CUDA device"),
        ("cuda:7", 2, r"'cuda:7' is not there; of cuda devices torch finds cuda:0, cuda:1\."),
        ("mps", 0, "finds no such device"),
        ("xpu:1", 1, r"of xpu devices torch finds xpu:0\."),
        ("xpu", 0, r"of xpu devices torch finds none\."),
    ],
)
def test_a_device_that_is_not_there_is_told_before_the_workers(
    device: str, count: int, words: str, ds: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.xpu, "device_count", lambda: count)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    tagger = build_tagger("demo", device=device, on_error="record")
    assert_told_before_workers(tagger, ds, tmp_path, SettingsError, words)


def test_a_missing_decoder_is_told_before_the_workers(
    ds: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "decord", None)
    monkeypatch.setattr(decoders, "unavailable_reason", decoders.unavailable_reason.__wrapped__)
    tagger = build_tagger("demo", decoder="decord", on_error="record")
    assert_told_before_workers(
        tagger, ds, tmp_path, SettingsError, r"decord is not installed; pip install decord\."
    )


def test_a_missing_engine_is_told_before_the_workers(
    ds: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    tagger = build_tagger("demo", engine="openvino", on_error="record")
    assert_told_before_workers(
        tagger, ds, tmp_path, ModelError, r"pip install \"hf-audio-tagger\[openvino\]\""
    )


def test_an_engine_for_cpus_is_told_of_a_gpu(
    ds: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: False)
    tagger = build_tagger("demo", engine="openvino", on_error="record")
    assert_told_before_workers(tagger, ds, tmp_path, SettingsError, "not on cuda:0; pass device='cpu'")


@pytest.mark.parametrize("settings", [{"device": "cuda"}, {"device": "mps"}, {"dtype": "float16"}])
def test_what_openvino_cannot_do_is_told_when_built(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="engine='openvino' computes"):
        build_tagger("demo", engine="openvino", **settings)


# A step where there is but one window


@pytest.mark.parametrize("model", ["demo", "me/any", str(CHECKPOINT)])
@pytest.mark.parametrize("windows", [None, "first"])
def test_a_step_without_effect_is_refused(model: str, windows: Any) -> None:
    with pytest.raises(SettingsError, match=r"^hop_seconds= .* needs windows=\"all\""):
        build_tagger(model, windows=windows, hop_seconds=0.5)


def test_a_step_with_an_effect_is_taken() -> None:
    """With a number of windows too: a clip that has no more of them is cut as with "all"."""
    samples = torch.randn(32_000, generator=torch.Generator().manual_seed(1)).numpy()
    clip = {"array": samples, "sampling_rate": 16_000}

    def count_segments(**settings: Any) -> int:
        from hf_audio_tagger.cells import parse_cell
        from hf_audio_tagger.media.audio import open_sound
        from hf_audio_tagger.models import get_model
        from hf_audio_tagger.windows import cut_windows

        tagger = build_tagger("yamnet", device="cpu", **settings)
        model = get_model(tagger.spec, "cpu")
        options = tagger.pipeline_options(model)
        (media,) = parse_cell(clip)
        with open_sound(media) as sound:
            assert sound is not None
            return len([*cut_windows(sound, "a", model, options.windows, options.hop_samples)])

    assert count_segments() == count_segments(windows=10) == 4  # 2 s, every 0.48 s
    assert count_segments(hop_seconds=0.96) == count_segments(windows=10, hop_seconds=0.96) == 3
    assert count_segments(windows=10, hop_seconds=0.24) == 6


def test_families_know_the_windows_that_their_models_take() -> None:
    from hf_audio_tagger.models.patch_model import PatchModel
    from hf_audio_tagger.models.transformers_model import TransformersModel

    known = {family.name: family.default_windows for family in FAMILIES}
    ours, theirs = PatchModel.default_windows, TransformersModel.default_windows
    of_transformers = dict.fromkeys(("demo", "demo-words", "transformers"), theirs)
    assert known == {**of_transformers, "yamnet": ours, "vggish": ours}


# What a tagger shows


def test_a_tagger_shows_what_differs_from_the_defaults(tmp_path: Path) -> None:
    assert repr(build_tagger()) == "Tagger()"
    tagger = build_tagger("demo", windows="all", top_k=3, token="hf_secret", device="cpu", batch_size=16)
    assert repr(tagger) == "Tagger(model='demo', windows='all', top_k=3, device='cpu')"
    url = "https://example.org/yamnet.pth"
    assert (
        repr(build_tagger("yamnet", weights=f"{url}?key=secret"))
        == f"Tagger(model='yamnet', weights='{url}')"
    )


def test_a_tagger_lists_what_a_user_calls() -> None:
    tagger = build_tagger("demo")
    assert dir(tagger) == ["classify", "embed_texts", "features", "labels", "tag"]
    assert all(hasattr(tagger, name) for name in dir(tagger))
