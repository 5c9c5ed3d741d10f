"""Settings: their limits, and what is derived from their declarations."""

import inspect
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import hf_audio_tagger
from hf_audio_tagger import SettingsError, Tagger, build_tagger
from hf_audio_tagger.models.spec import ModelSpec
from hf_audio_tagger.settings import ABOUT, FIELDS, public_settings, shown_settings

WRONG: list[tuple[str, dict[str, Any]]] = [
    ("model", {"model": ""}),
    ("trust_remote_code", {"trust_remote_code": "yes"}),
    ("segments", {"segments": 1}),
    ("embeddings", {"embeddings": None}),
    ("redo", {"redo": "no"}),
    ("batch_size", {"batch_size": 1.5}),
    ("batch_size", {"batch_size": True}),
    ("top_k", {"top_k": -1}),
    ("top_k", {"top_k": True}),
    ("windows", {"windows": 2.5}),
    ("hop_seconds", {"hop_seconds": 0, "windows": "all"}),
    ("hop_seconds", {"hop_seconds": True, "windows": "all"}),
    ("hop_seconds", {"hop_seconds": "1", "windows": "all"}),
    ("threshold", {"threshold": "high", "top_k": 1}),
    ("threshold", {"threshold": True, "top_k": 1}),
    ("threshold= trims", {"threshold": 0}),
    ("device", {"device": "cuda:"}),
    ("device", {"device": "cuda:1 "}),
    ("device", {"device": "cpu:0"}),
    ("device", {"device": ""}),
]
RIGHT: list[dict[str, Any]] = [
    {"batch_size": 1, "top_k": 1, "threshold": 0, "windows": 1},
    {"windows": "all", "hop_seconds": 0.01},
    {"windows": "all", "hop_seconds": 2},
    {"hop_seconds": 0.5, "windows": 3},
    *({"device": device} for device in ("cpu", "mps", "cuda", "cuda:0", "cuda:12", "xpu", "xpu:1")),
    *({"batched": batched} for batched in (None, True, False)),
]


@pytest.mark.parametrize(("named", "settings"), WRONG)
def test_errors_name_the_setting(named: str, settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=f"^{named}"):
        build_tagger(**{"model": "demo", **settings})


@pytest.mark.parametrize("settings", RIGHT)
def test_values_at_the_limits_are_valid(settings: dict[str, Any]) -> None:
    tagger = build_tagger("demo", **settings)
    assert {name: getattr(tagger, name) for name in settings} == settings


def test_weights_may_lie_below_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(SettingsError, match="there is no such file"):
        build_tagger("vggish", weights="~/mine.pth")
    (tmp_path / "mine.pth").write_bytes(b"weights")
    absolute = build_tagger("vggish", weights=tmp_path / "mine.pth")
    assert build_tagger("vggish", weights="~/mine.pth").identity() == absolute.identity()
    with pytest.raises(SettingsError, match="weights= applies to model='yamnet' and 'vggish' only; 'demo'"):
        build_tagger("demo", weights=tmp_path / "mine.pth")


def test_an_error_says_which_values_are_valid() -> None:
    with pytest.raises(SettingsError, match=r"^decoder must be one of 'auto', .*'decord'; got 'vlc'\.$"):
        build_tagger("demo", decoder="vlc")
    with pytest.raises(
        SettingsError, match=r"^top_k must be None or a whole number of at least 1; got -1\.$"
    ):
        build_tagger("demo", top_k=-1)


def test_the_signature_and_the_documentation_list_all_settings() -> None:
    signature = inspect.signature(build_tagger)
    assert signature.return_annotation is Tagger
    assert list(signature.parameters) == list(ABOUT) == list(FIELDS)
    assert [one.name for one in FIELDS.values()] == [one.name for one in fields(Tagger)]
    assert [name for name, one in FIELDS.items() if name != one.name] == ["labels"]  # a property of taggers
    for name, one in FIELDS.items():
        parameter = signature.parameters[name]
        assert (parameter.default, parameter.annotation) == (one.default, one.type)
        assert (parameter.kind is parameter.KEYWORD_ONLY) == (name != "model")
        assert f"\n    {name}: {ABOUT[name].help[:20]}" in str(build_tagger.__doc__)
    with pytest.raises(TypeError, match="windos"):
        build_tagger(windos=1)  # type: ignore[call-arg]


def test_every_setting_of_a_model_is_a_setting() -> None:
    assert {one.name for one in fields(ModelSpec)} <= set(ABOUT)


def test_paths_are_kept_as_text(tmp_path: Path) -> None:
    (tmp_path / "yamnet.pth").write_bytes(b"weights")
    for build in (build_tagger, Tagger):
        assert build(tmp_path).model == str(tmp_path)
        assert build("yamnet", weights=tmp_path / "yamnet.pth").weights == str(tmp_path / "yamnet.pth")


def test_shown_settings_hold_no_secret_and_public_ones_no_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    tagger = build_tagger(tmp_path / "mine", token="hf_x", device="cpu", top_k=2)
    shown = shown_settings(tagger)
    assert (shown["model"], shown["top_k"]) == (str(tmp_path / "mine"), 2)
    assert not {"token", "device", "batch_size", "batched"} & set(shown)
    assert public_settings(tagger) == {**shown, "model": "path/to/mine"}
    url = build_tagger("yamnet", weights="https://example.org/a/b.pth?key=secret")
    assert shown_settings(url)["weights"] == public_settings(url)["weights"] == "https://example.org/a/b.pth"


TYPED = """
from pathlib import Path
from typing import assert_type
from hf_audio_tagger import ClipResult, build_tagger
tagger = build_tagger(Path("folder"), weights=Path("a.pth"), windows=3, dtype="bfloat16", engine="openvino")
assert_type(tagger.tag("a.mp4"), str | None)
assert_type(tagger.tag({"path": "a.mp4", "bytes": None}), str | None)
assert_type(tagger.tag(["a.mp4"]), list[str | None])
assert_type(tagger.tag(("a.mp4", b"")), list[str | None])
assert_type(tagger.classify("a.mp4"), list[ClipResult])
assert_type(tagger.classify(["a.mp4"]), list[ClipResult])
assert_type(tagger.labels, tuple[str, ...])
texts: list[str] = [tagger.model, *tagger.labels]
build_tagger(windos=1)
build_tagger("demo", "main")
build_tagger(windows=1.5)
build_tagger(windows="last")
build_tagger(dtype="bf16")
build_tagger(engine="ov")
build_tagger(decoder="ffmpeg")
build_tagger(channels="left")
build_tagger(on_error="skip")
"""
MISTAKES = [
    'Unexpected keyword argument "windos"',
    "Too many positional arguments",
    'Argument "windows"',
    'Argument "windows"',
    'Argument "dtype"',
    'Argument "engine"',
    'Argument "decoder"',
    'Argument "channels"',
    'Argument "on_error"',
]


def test_a_type_checker_knows_the_settings(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "typed.py").write_text(TYPED)
    quick = ["--no-site-packages", "--ignore-missing-imports", "--follow-imports=silent"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *quick, "typed.py"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(Path(hf_audio_tagger.__file__).parents[1])},
    )
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert len(errors) == len(MISTAKES), done.stdout + done.stderr
    assert all(mistake in error for mistake, error in zip(MISTAKES, errors, strict=True))
