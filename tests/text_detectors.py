"""Detectors of text, where their packages are installed."""

import importlib.util
import os
from pathlib import Path

import pytest

from hf_audio_tagger import SettingsError


def skip_without(detector: str) -> None:
    from hf_audio_tagger.measures.text_detectors import DETECTORS

    try:
        DETECTORS[detector].check()
    except SettingsError as error:
        pytest.skip(str(error))


def place_easyocr_weights(folder: Path) -> None:
    """EasyOCR's own weights from a package that carries them, where EasyOCR looks for them."""
    skip_without("easyocr")
    home = Path(os.environ.setdefault("EASYOCR_MODULE_PATH", str(folder)))
    target = home / "model" / "craft_mlt_25k.pth"
    spec = importlib.util.find_spec("easyocr_en_models")
    if not target.exists():
        if spec is None or spec.origin is None:
            pytest.skip("no package carries EasyOCR's weights")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(Path(spec.origin).parent / "models" / target.name)
