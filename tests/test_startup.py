"""What an import costs, and what it does not bring along."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HEAVY = {"torch", "transformers", "datasets", "av", "numpy", "pyarrow", "matplotlib", "openvino"}


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True
    )
    return done.stdout.strip()


def test_the_import_is_light() -> None:
    code = (
        "import sys, time; before = set(sys.modules); start = time.process_time();"
        "import hf_audio_tagger; seconds = time.process_time() - start;"
        f"print(seconds, *sorted({HEAVY} & (set(sys.modules) - before)))"
    )
    seconds, *heavy = min(run(code).split() for _ in range(3))
    assert heavy == []
    assert float(seconds) < 0.3


def test_building_a_tagger_loads_no_model() -> None:
    code = (
        "import sys; from hf_audio_tagger import build_tagger; build_tagger();"
        "print(*sorted({'torch', 'transformers', 'av'} & set(sys.modules)))"
    )
    assert run(code) == ""


UNUSED = {"datasets", "transformers", "pandas", "huggingface_hub", "fsspec", "scipy", "sklearn"}


def run_and_list(statement: str, names: set[str]) -> list[str]:
    """Which of these modules a new process has loaded after a statement."""
    code = f"import sys; {statement}; print('Loaded:', *sorted({names} & set(sys.modules)))"
    return run(code).splitlines()[-1].split()[1:]


@pytest.mark.parametrize("model", ["yamnet", "demo"])
def test_a_first_tag_loads_only_what_it_needs(model: str, clips: dict[str, Path]) -> None:
    tag = f"from hf_audio_tagger import build_tagger; build_tagger({model!r}).tag({str(clips['Siren'])!r})"
    assert run_and_list(tag, UNUSED | {"torch"}) == ["torch"]


def test_the_command_for_a_clip_loads_only_what_it_needs(clips: dict[str, Path]) -> None:
    words = ["tag", str(clips["Siren"]), "--model", "yamnet"]
    command = f"from hf_audio_tagger.cli import app; app({words!r}, standalone_mode=False)"
    assert run_and_list(command, UNUSED | {"torch"}) == ["torch"]


def test_a_motion_score_loads_neither_models_nor_datasets(clips: dict[str, Path]) -> None:
    """That is most of its memory otherwise."""
    pytest.importorskip("cv2")
    measure = f"from hf_audio_tagger import motion_score; motion_score().compute({str(clips['Siren'])!r})"
    assert run_and_list(measure, UNUSED | {"torch"}) == []


def test_every_public_name_is_there_and_documented() -> None:
    import hf_audio_tagger

    undocumented = []
    for name in hf_audio_tagger.__all__:
        thing: Any = getattr(hf_audio_tagger, name)
        if not (thing.__doc__ or "").strip():
            undocumented.append(name)
    assert undocumented == []
    assert set(hf_audio_tagger.__all__) <= set(dir(hf_audio_tagger))
