"""At the borders of what settings may be."""

from pathlib import Path
from typing import Any

import pytest

from hf_audio_tagger import SettingsError, build_tagger

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
    {"hop_seconds": 2},
    {"hop_seconds": 0.5, "windows": 3},
    *({"device": device} for device in ("cpu", "mps", "cuda", "cuda:0", "cuda:12", "xpu", "xpu:1")),
    *({"batched": batched} for batched in (None, True, False)),
]


@pytest.mark.parametrize(("named", "settings"), WRONG)
def test_what_lies_just_beyond_is_told_by_name(named: str, settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=f"^{named}"):
        build_tagger(**{"model": "demo", **settings})


@pytest.mark.parametrize("settings", RIGHT)
def test_what_lies_just_within_is_taken(settings: dict[str, Any]) -> None:
    tagger = build_tagger("demo", **settings)
    assert {name: getattr(tagger, name) for name in settings} == settings


def test_weights_may_lie_below_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(SettingsError, match="there is no such file"):
        build_tagger("vggish", weights="~/mine.pth")
    (tmp_path / "mine.pth").write_bytes(b"weights")
    there = build_tagger("vggish", weights=tmp_path / "mine.pth")
    assert build_tagger("vggish", weights="~/mine.pth").identity() == there.identity()
    with pytest.raises(SettingsError, match="weights= goes with model='yamnet' and 'vggish'; 'demo' brings"):
        build_tagger("demo", weights=tmp_path / "mine.pth")
