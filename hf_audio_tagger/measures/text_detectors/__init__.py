"""Detectors of text in pictures, one per file, listed in `DETECTORS`.

A detector is a module with `check()`, which raises `SettingsError` with the remedy where it cannot be used,
and `find_text(picture, languages)`, which takes RGB pixels and returns `TextBoxes`.
"""

from types import ModuleType

from . import easyocr, ppocr

DETECTORS: dict[str, ModuleType] = {"ppocr": ppocr, "easyocr": easyocr}
