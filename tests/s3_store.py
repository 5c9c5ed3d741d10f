"""An object store on this machine: moto's S3 in a process of its own, which the test ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

BUCKET = "clips"


def find_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def serving_s3() -> Iterator[str]:
    """The address of a store that is ready; skips the test where a package for it is missing."""
    pytest.importorskip("moto")
    pytest.importorskip("flask", reason="moto's server needs it")
    pytest.importorskip("s3fs")
    port = find_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert server.poll() is None, "moto's server has ended"
                assert time.monotonic() < deadline, "moto's server does not answer"
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()


@contextmanager
def s3_environment(address: str, key: str = "key", secret: str = "secret") -> Iterator[Any]:
    """The environment that names the store, and its file system with an empty bucket."""
    from hf_audio_tagger.stores.systems import make_system

    variables = {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value)
        import s3fs

        forget_connections()
        system = s3fs.S3FileSystem()
        system.mkdir(BUCKET)
        yield system
        make_system.cache_clear()
    forget_connections()


def forget_connections() -> None:
    """Connections are kept for a process, with the credentials that they were made with."""
    import s3fs

    from hf_audio_tagger.stores.systems import make_system

    make_system.cache_clear()
    s3fs.S3FileSystem.clear_instance_cache()
