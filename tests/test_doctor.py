"""`hf-audio-tagger doctor`, on this machine and on broken ones; tests/test_doctor_models.py is on models."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hf_audio_tagger.cli import app
from hf_audio_tagger.cli.doctor import SUBJECT_COLUMNS
from hf_audio_tagger.doctor import Finding, decoders, libraries


@pytest.fixture(autouse=True)
def _own_environment() -> Iterator[None]:
    """Commands silence libraries through the environment; what they set ends with the test."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def finding(subject: str, output: str) -> dict[str, str]:
    """One of the findings of `doctor --json`."""
    return next(one for one in json.loads(output)["findings"] if one["subject"] == subject)


# This machine


@pytest.mark.timeout(120)
def test_here_tagging_works() -> None:
    done = CliRunner().invoke(app, ["doctor", "--model", "demo", "--json", "--skip-speed"])
    assert done.exit_code == 0, done.stdout
    report = json.loads(done.stdout)
    assert report["works"] is True
    states = {one["subject"]: one["state"] for one in report["findings"]}
    for subject in (
        "Python",
        "torch",
        "torchaudio",
        "transformers",
        "datasets",
        "numpy",
        "pyav",
        "cpu",
        "model",
    ):
        assert states[subject] == "ok", subject
    import av
    import torch

    assert av.ffmpeg_version_info in finding("pyav", done.stdout)["detail"]
    assert finding("torch", done.stdout)["detail"] == torch.__version__.partition("+")[0]
    assert f"{torch.get_num_threads()} thread" in finding("cpu", done.stdout)["detail"]
    assert "Siren" in finding("packaged demo", done.stdout)["detail"]
    assert all(one["remedy"] for one in report["findings"] if one["state"] in ("warning", "error"))


# Broken machines

CRIPPLED = """
import sys
from hf_audio_tagger.cells import BytesMedia
from hf_audio_tagger.media.audio import open_sound
from hf_audio_tagger.doctor.decoders import make_tone_clip
with open_sound(BytesMedia(make_tone_clip()), "auto", only_start=True) as sound:
    print(type(sound).__name__, sum(len(block) for block in sound.blocks()))
try:
    open_sound(BytesMedia(make_tone_clip()), "torchcodec").__enter__()
except Exception as error:
    print(type(error).__name__, error)
sys.argv = ["doctor", "doctor", "--model", "demo", "--skip-speed"]
from hf_audio_tagger.cli import main
main()
"""


@pytest.mark.campaign
@pytest.mark.timeout(120)
def test_without_ffmpeg_and_with_a_torchaudio_that_does_not_load(tmp_path: Path) -> None:
    """A machine with no FFmpeg for torchcodec and a torchaudio made for another torch, in one process."""
    real = pytest.importorskip("torchcodec")
    if getattr(real, "ffmpeg_major_version", None) is None:
        pytest.skip("there is no FFmpeg here to take away")
    # A torchcodec that lacks its library for the FFmpeg of this machine finds none, in its own words.
    package = Path(real.__file__).parent
    for file in package.rglob("*"):
        if file.is_file() and not re.search(rf"_(core|custom_ops){real.ffmpeg_major_version}\.", file.name):
            link = tmp_path / "torchcodec" / file.relative_to(package)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
    (tmp_path / "torchaudio").mkdir()
    (tmp_path / "torchaudio" / "__init__.py").write_text(
        "raise OSError('libcudart.so.12: cannot open shared object file: No such file or directory')"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", CRIPPLED],
        capture_output=True,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"PyavSound 2\d{4}", lines[0])  # "auto" goes on without torchcodec
    assert lines[1].startswith("SettingsError decoder='torchcodec' cannot be used here: ")
    printed = {
        line.split()[1]: (line, following.strip())
        for line, following in pairwise(lines)
        if re.match("  [✓·!✗] ", line)
    }
    line, remedy = printed["torchcodec"]
    assert line.startswith("  ! ")
    assert "finds no FFmpeg of a supported version" in line
    assert "apt-get install ffmpeg" in remedy
    assert 'ds.cast_column("video", Video(decode=False))[0]' in remedy
    line, remedy = printed["torchaudio"]
    assert line.startswith("  ✗ ")
    assert "libcudart.so.12" in line
    assert re.search(r'pip install .*"torch[!<>=].*2\.13\.0.*" "torchaudio>=2\.11"', remedy)
    assert printed["pyav"][0].startswith("  ✓ ")
    assert lines[-1] == "Not ready: 2 errors and 1 warning above."  # the packaged model cannot tag either


UNDEFINED = """Could not load libtorchcodec. Likely causes: ...
FFmpeg version 7:
Traceback (most recent call last):
OSError: libavutil.so.59: cannot open shared object file: No such file or directory
OSError: Could not load this library: /x/libtorchcodec_core7.so
FFmpeg version 5:
Traceback (most recent call last):
OSError: /x/libtorchcodec_core5.so: undefined symbol: _ZN3c104impl12PyObjectSlotE
OSError: Could not load this library: /x/libtorchcodec_core5.so
"""


def test_a_torchcodec_for_another_torch_is_told_from_a_missing_ffmpeg() -> None:
    detail, remedy = decoders.explain_torchcodec_error("0.17.0", UNDEFINED)
    assert "undefined symbol" in detail
    assert f"torch {libraries.find_version('torch')}" in remedy
    detail, _ = decoders.explain_torchcodec_error(
        "0.17.0", UNDEFINED.replace("undefined symbol", "cannot open shared object")
    )
    assert "cannot open shared object" in detail  # its own library is missing, not FFmpeg's
    missing = re.sub(
        r"/x/libtorchcodec_core5.so: undefined.*", "libavutil.so.57: cannot open shared object", UNDEFINED
    )
    detail, remedy = decoders.explain_torchcodec_error("0.17.0", missing)
    assert "finds no FFmpeg of a supported version (5 to 7)" in detail
    assert "install ffmpeg" in remedy


def test_a_library_that_is_too_old_missing_or_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "transformers-4.30.0.dist-info"
    old.mkdir()
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: transformers\nVersion: 4.30.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = libraries.check_library("transformers")
    (needed,) = (one for one in metadata.requires("hf-audio-tagger") or [] if one.startswith("transformers"))
    assert found == Finding(
        "transformers",
        "error",
        f"4.30.0, but {needed.removeprefix('transformers')} is needed",
        f'pip install --upgrade "{needed}"',
    )
    assert libraries.check_library("surely_not_installed").detail == "is not installed"
    (tmp_path / "broken_one.py").write_text("raise RuntimeError('[Errno 2] no libfoo.')")
    (tmp_path / "broken_one-1.0.dist-info").mkdir()
    about = "Metadata-Version: 2.1\nName: broken_one\nVersion: 1.0\n"
    (tmp_path / "broken_one-1.0.dist-info" / "METADATA").write_text(about)
    assert libraries.check_library("broken_one").detail == "1.0 does not load: no libfoo"


def test_a_decoder_that_gives_another_tone_is_reported() -> None:
    from hf_audio_tagger.demo.videos import write_video

    file = io.BytesIO()
    write_video(file, 0.5 * np.sin(np.arange(22_050) * 2 * np.pi * 660 / 44_100), 44_100)
    found = decoders.check_decoder("pyav", file.getvalue())
    assert found.state == "error"
    assert "as one of 659 Hz" in found.detail
    assert decoders.check_decoder("pyav", b"no video").state == "error"
    assert decoders.check_decoder("decord", b"no video").state in ("warning", "note")  # optional


def test_every_engine_and_dtype_fits_its_column() -> None:
    assert len("openvino bfloat16") <= SUBJECT_COLUMNS
