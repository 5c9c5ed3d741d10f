"""Labelling in worker processes with the OpenVINO engine, which does not survive a fork."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from random_weights import RATE_HZ, write_vggish, write_yamnet
from sound_files import KINDS, write_sound

from hf_audio_tagger import build_tagger, export_predictions, models
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.models.networks import vggish

pytest.importorskip("openvino")


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for number in range(2):
        sound = synthesize("Siren", 1.2, RATE_HZ, number)[np.newaxis]
        write_sound(tmp_path / "in" / f"{number}.wav", sound, rate_hz=RATE_HZ, kind=KINDS["wav-pcm_s16le"])
    return tmp_path / "in"


@pytest.mark.parametrize("classifies", [True, False])
def test_labels_of_vggish_load_no_network(
    classifies: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vggish, "HIDDEN", 32)
    file = write_vggish(tmp_path / "vggish.pth", classifies)
    expected = models.load(models.ModelSpec("vggish", weights=str(file)), "cpu").labels

    def refuse(*_: object) -> None:
        raise AssertionError("a network is loaded")

    monkeypatch.setattr(models, "load", refuse)
    monkeypatch.setattr(vggish, "build_network", refuse)
    assert build_tagger("vggish", weights=file, engine="openvino").labels == expected
    assert len(expected) == (527 if classifies else 0)


# VGGish's full width takes 280 MB; forked workers inherit the small one.
LABEL = """
import sys
from hf_audio_tagger import build_tagger, export_predictions
from hf_audio_tagger.models.networks import vggish
vggish.HIDDEN = 32
tagger = build_tagger("vggish", weights=sys.argv[1], engine="openvino")
print(export_predictions(sys.argv[2], sys.argv[3], tagger=tagger, num_proc=1).labelled)
"""


@pytest.mark.campaign
@pytest.mark.timeout(120)
def test_vggish_is_labelled_in_a_worker(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vggish, "HIDDEN", 32)
    file = write_vggish(tmp_path / "vggish.pth")
    command = [sys.executable, "-c", LABEL, str(file), str(sounds), str(tmp_path / "out")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["2"]


@pytest.mark.campaign  # takes ten seconds
@pytest.mark.timeout(120)
def test_workers_also_work_where_the_parent_has_used_openvino(sounds: Path, tmp_path: Path) -> None:
    tagger = build_tagger("yamnet", weights=write_yamnet(tmp_path / "yamnet.pth"), engine="openvino")
    tagger.tag(sounds / "0.wav")
    assert export_predictions(sounds, tmp_path / "out", tagger=tagger, num_proc=1).labelled == 2
