"""`.ci/without_ffmpeg`: a command that does not see the system's FFmpeg, and sees all else."""

import ctypes.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / ".ci" / "without_ffmpeg"
LIBRARY = ctypes.util.find_library("avutil")
LOOK = """
import ctypes, sys, av
try:
    ctypes.CDLL(sys.argv[1])
except OSError:
    print("hidden", len(av.codec.codecs_available) > 100, sys.argv[2])
    sys.exit(7)
"""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or LIBRARY is None, reason="no FFmpeg libraries here to hide"
)


@pytest.mark.parametrize("way", ["whatever this machine allows", "the loader"])
def test_ffmpeg_is_hidden_and_pyav_works(tmp_path: Path, way: str) -> None:
    environment = dict(os.environ)
    if way == "the loader":  # as where no namespace may be made
        unshare = tmp_path / "unshare"
        unshare.write_text("#!/bin/sh\nexit 1\n")
        unshare.chmod(0o755)
        environment["PATH"] = f"{tmp_path}{os.pathsep}{environment['PATH']}"
    command = [str(SCRIPT), sys.executable, "-c", LOOK, str(LIBRARY), "two words"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("hidden True two words\n", 7), done.stderr
    assert str(LIBRARY) in done.stderr
    if way == "the loader":
        assert "the loader refuses" in done.stderr
