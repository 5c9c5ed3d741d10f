"""Fixtures that all tests share: small generated clips, and no state left over from one test to the next."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from weights_server import WeightsServer

MARKERS_APART = ("campaign", "cluster", "browser")  # long, or in need of more than the test extra brings

os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "0")
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
for variable in (
    "PY_COLORS",
    "FORCE_COLOR",
    "GITHUB_ACTIONS",
):  # each turns on the colours of typer
    os.environ.pop(variable, None)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background jobs ignore Ctrl-C, and so would every process that a test starts to interrupt it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """How many workers `-n auto` starts: none for one test, one file or a debugger; else xdist's number."""
    is_debugging = (
        config.getoption("usepdb")  # --pdb
        or config.getoption("trace")
        or config.getoption("capture") == "no"  # -s
        or not {"debugpy", "pydevd"}.isdisjoint(sys.modules)
    )
    files = {argument.partition("::")[0] for argument in config.args}
    is_one_file = len(files) == 1 and not Path(*files).is_dir()
    return 0 if is_debugging or is_one_file else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave some tests out of a run of everything: `pytest -m MARKER`, or naming a file, runs them."""
    names_folders = all(Path(argument).is_dir() for argument in config.args)
    if config.getoption("markexpr") or not names_folders:
        return
    apart = {item for item in items if any(map(item.get_closest_marker, MARKERS_APART))}
    config.hook.pytest_deselected(items=sorted(apart, key=items.index))
    items[:] = [item for item in items if item not in apart]


def folder_from(variable: str) -> Path:
    """The folder that an environment variable names; the test skips where it names none."""
    value = os.environ.get(variable, "")
    if not value or not Path(value).is_dir():
        pytest.skip(f"{variable} names no folder")
    return Path(value)


@pytest.fixture(scope="session")
def real_media() -> Path:
    return folder_from("HF_AUDIO_TAGGER_MEDIA")


@pytest.fixture(scope="session")
def real_models() -> Path:
    return folder_from("HF_AUDIO_TAGGER_MODELS")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium; the tests are skipped where there is none."""
    from page_browser import open_browser

    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="session", autouse=True)
def caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing of a test is written to the caches of the person who runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf_home")))
        patch.setenv("HF_AUDIO_TAGGER_CACHE", str(tmp_path_factory.mktemp("weights")))
        import datasets.config

        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets"))
        yield


@pytest.fixture
def weights_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where weights are looked for and downloaded to, empty."""
    folder = tmp_path / "weights_cache"
    folder.mkdir()
    monkeypatch.setenv("HF_AUDIO_TAGGER_CACHE", str(folder))
    return folder


@pytest.fixture
def weights_server(weights_cache: Path, monkeypatch: pytest.MonkeyPatch) -> "Iterator[WeightsServer]":
    from weights_server import WeightsServer

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with WeightsServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.may_answer.set()
        server.shutdown()


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """The tests run side by side, and the demo model is quickest on one thread."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def one_thread_everywhere() -> Iterator[None]:
    """With two, sums round otherwise: rows of several processes are then not equal to the last bit."""

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="session")
def whisper_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose extractor has a fixed length of its own: 30 s."""
    import torch
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForAudioClassification

    folder = tmp_path_factory.mktemp("whisper")
    torch.manual_seed(4)
    config = WhisperConfig(
        d_model=32, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=64, num_labels=4
    )
    WhisperForAudioClassification(config).save_pretrained(folder)
    WhisperFeatureExtractor().save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def empty_memo() -> Iterator[None]:
    """Each test hears its clips itself."""
    yield
    from hf_audio_tagger import memo

    memo.clear()


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A short mp4 for each of some demo classes, one without an audio stream, one that is broken."""
    from hf_audio_tagger.demo.sounds import synthesize
    from hf_audio_tagger.demo.videos import write_video

    folder = tmp_path_factory.mktemp("clips")
    made = {}
    for seed, label in enumerate(("Siren", "Sine wave", "White noise", "Clicking", "Dial tone", "Music")):
        made[label] = folder / f"{label.lower().replace(' ', '_')}.mp4"
        write_video(made[label], synthesize(label, 6.0, 44_100, 7_000 + seed), 44_100)
    made["EMPTY"] = folder / "without_sound.mp4"
    write_video(made["EMPTY"], None, 44_100)
    made["broken"] = folder / "broken.mp4"
    made["broken"].write_bytes(b"this is no video" * 100)
    return made


@pytest.fixture
def _without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run does not time OpenVINO: converting a network takes seconds."""
    monkeypatch.setattr("hf_audio_tagger.speed.find_spec", lambda name: None)


@pytest.fixture(scope="session")
def easyocr_weights(tmp_path_factory: pytest.TempPathFactory) -> None:
    from text_detectors import place_easyocr_weights

    place_easyocr_weights(tmp_path_factory.mktemp("easyocr"))


@pytest.fixture(scope="session")
def clap_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that compares sound with text, unfused."""
    from word_models import save_clap

    return save_clap(tmp_path_factory.mktemp("clap"))


@pytest.fixture(scope="session")
def fused_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from word_models import save_clap

    return save_clap(tmp_path_factory.mktemp("fused"), is_fused=True)
