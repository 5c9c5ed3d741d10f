"""The peer's own environment: py-data-juicer wants other versions than ours."""

import os
import subprocess
import sys
from pathlib import Path

from .child import NotMeasuredError

PYTHON_VARIABLE = "HF_AUDIO_TAGGER_BENCH_PEER"  # the Python of an environment that is already there
# Seen working together; the operator's other imports come with these.
REQUIREMENTS = (
    "py-data-juicer==1.6.1",
    "av==13.1.0",
    "torch==2.12.0",
    "torchaudio==2.11.0",
    "transformers==5.23.0",
    "librosa",
    "soundfile",
    "opencv-python-headless",
    "aiohttp",
    # Its audio filters would install these while they run.
    "resampy",
    "samplerate",
    "torchcodec==0.14.0",
)


def peer_python(cache: Path) -> str:
    """The Python that has the peer, installed on the first call, which takes minutes and some gigabytes."""
    if given := os.environ.get(PYTHON_VARIABLE):
        return given
    folder = cache / "peer-venv"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    complete = folder / "complete"
    if not complete.exists():
        print(f"Installing {REQUIREMENTS[0]} into {folder}, once ...", flush=True)
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            subprocess.run([str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
        except (subprocess.CalledProcessError, OSError) as error:
            raise NotMeasuredError(f"{REQUIREMENTS[0]} could not be installed ({error})") from error
        complete.touch()
    return str(python)
