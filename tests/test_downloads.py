"""Downloads of weights: once, whole or not at all, what fits the network alone, within limits."""

import importlib
import multiprocessing
import pickle
import socket
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from huggingface_hub import constants
from packaged_weights import fitting_weights
from random_weights import write_vggish
from weights_server import WeightsServer

from hf_audio_tagger import ModelError, build_tagger
from hf_audio_tagger.cli.wording import SETTINGS, use_options
from hf_audio_tagger.doctor.models import check_model
from hf_audio_tagger.models import downloads, registry
from hf_audio_tagger.models.families.vggish import VGGISH
from hf_audio_tagger.models.families.yamnet import YAMNET
from hf_audio_tagger.models.networks import vggish
from hf_audio_tagger.models.weights import locate_weights
from hf_audio_tagger.provenance import TaggerRecord, rebuild_tagger


def fetch(server: WeightsServer, path: str = "/a.pth") -> None:
    build_tagger("yamnet", weights=f"{server.url}{path}").identity()


# Once


def test_a_url_is_downloaded_once_and_is_no_default(
    weights_server: WeightsServer, weights_cache: Path
) -> None:
    weights_server.files = {"/yamnet.pth": fitting_weights(1), "/other/yamnet.pth": fitting_weights(2)}
    for path in ("/yamnet.pth?key=1", "/other/yamnet.pth"):
        tagger = build_tagger("yamnet", weights=f"{weights_server.url}{path}")
        assert tagger.identity() == tagger.identity()
    assert weights_server.asked == ["/yamnet.pth?key=1", "/other/yamnet.pth"]
    kept = {file.read_bytes() for file in weights_cache.iterdir() if file.suffix == ".pth"}
    assert kept == {fitting_weights(1), fitting_weights(2)}
    assert len([*weights_cache.iterdir()]) == 2
    assert YAMNET.find_weights(build_tagger("yamnet").spec) == YAMNET.release.packaged


def fetch_after_signal(url: str, path: Path, is_ready: Any) -> None:
    is_ready.release()
    downloads.fetch(url, path, lambda file: None)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
def test_processes_that_start_together_download_once(
    weights_server: WeightsServer, weights_cache: Path
) -> None:
    weights_server.files = {"/a.pth": b"weights"}
    weights_server.may_answer.clear()
    path, context = weights_cache / "a.pth", multiprocessing.get_context("fork")
    is_ready = context.Semaphore(0)
    given = (f"{weights_server.url}/a.pth", path, is_ready)
    workers = [context.Process(target=fetch_after_signal, args=given) for _ in range(3)]
    for worker in workers:
        worker.start()
        assert is_ready.acquire(timeout=30)
    time.sleep(0.3)  # without a lock all would have asked
    weights_server.may_answer.set()
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert weights_server.asked == ["/a.pth"]
    assert [*weights_cache.iterdir()] == [path]
    assert path.read_bytes() == b"weights"


def test_a_lock_that_is_never_released_ends_the_wait(
    weights_server: WeightsServer, weights_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "LOCK_SECONDS", 0.1)
    with (
        downloads.hold_lock(weights_cache / ".a.pth.lock", 1.0),
        pytest.raises(ModelError, match="another process has held"),
    ):
        downloads.fetch(f"{weights_server.url}/a.pth", weights_cache / "a.pth", lambda file: None)
    assert weights_server.asked == []


# Whole or not at all


@pytest.mark.parametrize(("path", "reason"), [("missing", "404"), ("cut", "only 7 bytes of 17")])
def test_a_failed_download_leaves_nothing_and_tells_no_secret(
    weights_server: WeightsServer, weights_cache: Path, path: str, reason: str
) -> None:
    weights_server.files, weights_server.missing_bytes = {"/cut.pth": b"weights"}, 10
    with pytest.raises(ModelError, match=reason) as caught:
        fetch(weights_server, f"/{path}.pth?token=secret")
    assert f"{weights_server.url}/{path}.pth" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert [*weights_cache.iterdir()] == []


def test_a_download_that_broke_off_is_made_again_without_what_a_killed_process_left(
    weights_server: WeightsServer, weights_cache: Path
) -> None:
    weights_server.files, weights_server.missing_bytes = {"/a.pth": fitting_weights()}, 10
    with pytest.raises(ModelError, match="received only"):
        fetch(weights_server)
    weights_server.missing_bytes = 0
    path = locate_weights(f"{weights_server.url}/a.pth", YAMNET.release)
    path.with_name(f".{path.name}.1234.tmp").write_bytes(b"a part")
    fetch(weights_server)
    assert [*weights_cache.iterdir()] == [path]


def plain_pickle() -> bytes:
    return pickle.dumps({"classifier.bias": print})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<html>Log in to this network</html>", "is refused: it is damaged"),
        (plain_pickle(), "no code is run to read weights"),
        (fitting_weights()[:-100], "is refused: it is damaged"),
    ],
)
def test_what_is_no_weights_is_not_kept(
    content: bytes, reason: str, weights_server: WeightsServer, weights_cache: Path
) -> None:
    weights_server.files = {"/a.pth": content}
    with pytest.raises(ModelError, match=reason) as caught:
        fetch(weights_server, "/a.pth?key=secret")
    assert str(caught.value).startswith(f"{weights_server.url}/a.pth ")
    assert [*weights_cache.iterdir()] == []


def test_weights_of_another_network_are_not_kept(
    weights_server: WeightsServer, weights_cache: Path, tmp_path: Path
) -> None:
    torch.save({"classifier.bias": torch.zeros(521)}, tmp_path / "a.pth")
    weights_server.files = {"/a.pth": (tmp_path / "a.pth").read_bytes()}
    with pytest.raises(ModelError, match=r"/a\.pth does not fit the network: 136 missing"):
        fetch(weights_server)
    assert [*weights_cache.iterdir()] == []


# Within limits


def test_a_download_that_trickles_ends(
    weights_server: WeightsServer, weights_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "PATIENCE_SECONDS", 0.2)
    weights_server.files, weights_server.seconds_a_byte = {"/a.pth": b"x" * 3_000}, 0.01  # 30 s
    started = time.monotonic()
    with pytest.raises(ModelError, match="bytes a second"):
        fetch(weights_server)
    assert time.monotonic() - started < 20
    assert [*weights_cache.iterdir()] == []


def test_headers_that_trickle_end(weights_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause of the server is long, so that no timeout of a read is reached."""
    monkeypatch.setattr(downloads, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(downloads, "TIMEOUT_SECONDS", 0.5)
    is_over = threading.Event()

    def trickle(model: socket.socket) -> None:
        connection, _ = model.accept()
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
            while not is_over.wait(0.05):
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as model:
        server = threading.Thread(target=trickle, args=(model,))
        server.start()
        try:
            tagger = build_tagger("yamnet", weights=f"http://127.0.0.1:{model.getsockname()[1]}/a.pth")
            with pytest.raises(ModelError, match="no answer within"):
                tagger.identity()
        finally:
            is_over.set()
            server.join()
    assert [*weights_cache.iterdir()] == []


def test_a_download_without_an_end_ends(
    weights_server: WeightsServer, weights_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "LARGEST_BYTES", 1_000)
    for tells_length in (True, False):
        weights_server.files, weights_server.tells_length = {"/a.pth": b"x" * 5_000}, tells_length
        with pytest.raises(ModelError, match="more than 1000 bytes"):
            fetch(weights_server)
    assert [*weights_cache.iterdir()] == []


class Bar:
    """What a bar is told."""

    made: "list[Bar]"

    def __init__(self, total: int | None, desc: str, **more: Any) -> None:
        self.total, self.name, self.seen, self.is_closed = total, desc, 0, False
        self.made.append(self)

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self.is_closed = True

    def update(self, count: int) -> None:
        self.seen += count


def test_a_download_has_a_bar(weights_server: WeightsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("huggingface_hub.utils", "huggingface_hub.utils.tqdm"):  # older and newer versions
        monkeypatch.setattr(importlib.import_module(module), "tqdm", Bar)
    Bar.made = []
    weights_server.files = {"/a.pth": fitting_weights()}
    fetch(weights_server)
    (bar,) = Bar.made
    assert bar.total == bar.seen == len(fitting_weights())
    assert bar.is_closed
    assert bar.name.startswith("yamnet")


# VGGish by itself


@pytest.fixture
def vggish_release(weights_server: WeightsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """VGGish with a thin dense layer, whose publisher is the server."""
    monkeypatch.setattr(vggish, "HIDDEN", 32)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    names = VGGISH.release.files
    weights_server.files = {
        f"/{name}": write_vggish(tmp_path / name, name == names[0]).read_bytes() for name in names
    }
    release = replace(VGGISH.release, urls=tuple(f"{weights_server.url}/{name}" for name in names))
    families = [replace(one, release=release) if one is VGGISH else one for one in registry.FAMILIES]
    monkeypatch.setattr(registry, "FAMILIES", tuple(families))


@pytest.mark.usefixtures("vggish_release")
def test_vggish_is_downloaded_when_map_takes_the_fingerprint(
    weights_server: WeightsServer, weights_cache: Path, clips: dict[str, Path]
) -> None:
    ds = Dataset.from_dict({"video": [str(clips["Siren"])] * 2})
    tagger = build_tagger("vggish", embeddings=True)
    assert weights_server.asked == []
    tagged = ds.map(tagger)
    assert weights_server.asked == ["/vggish_with_classifier.pth"]
    assert len(tagged["video_audio_embedding"][0][0]) == 128
    assert len(tagger.labels) == 527
    assert [file.name for file in weights_cache.iterdir()] == ["vggish_with_classifier.pth"]
    by_url = build_tagger("vggish", weights=f"{weights_server.url}/vggish_with_classifier.pth")
    assert by_url.identity() == build_tagger("vggish").identity()  # the same file, not a second one
    assert len(weights_server.asked) == 1


@pytest.mark.usefixtures("vggish_release")
def test_vggish_without_a_classifier_is_downloaded_where_it_is_named(weights_server: WeightsServer) -> None:
    assert build_tagger("vggish", weights=f"{weights_server.url}/vggish_orig.pth").labels == ()
    assert len(build_tagger("vggish").labels) == 527


@pytest.mark.usefixtures("vggish_release")
@pytest.mark.parametrize("cause", ["404", "HF_HUB_OFFLINE=1"])
def test_vggish_that_cannot_be_downloaded_fails_in_the_parent(
    cause: str, weights_server: WeightsServer, weights_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights_server.files = {}
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", cause != "404")
    ds = Dataset.from_dict({"video": ["a.mp4", "b.mp4"]})
    with pytest.raises(ModelError, match=r"^no weights for 'vggish'") as caught:
        ds.map(build_tagger("vggish", on_error="record"), num_proc=2)
    assert "RemoteTraceback" not in repr(caught.value.__cause__)  # the parent's error
    told = str(caught.value)
    for part in (cause, str(weights_cache), "vggish_orig.pth", 'build_tagger("yamnet") is packaged'):
        assert part in told
    assert "--model yamnet is packaged" in use_options(told, SETTINGS)
    assert [*weights_cache.iterdir()] == []
    found = check_model("vggish")
    assert (found.state, cause in found.detail) == ("error", True)
    assert told.endswith(str(found.remedy))


@pytest.mark.usefixtures("vggish_release")
def test_doctor_and_metadata_of_others_download_nothing(
    weights_server: WeightsServer, weights_cache: Path
) -> None:
    found = check_model("vggish")
    assert found.state == "ok"
    assert "the first use downloads" in found.detail
    assert f"({len(weights_server.files['/vggish_with_classifier.pth']) / 1e6:.0f} MB)" in found.detail
    assert rebuild_tagger(TaggerRecord("vggish", {}, "digest", "1")) is None
    assert weights_server.asked == ["HEAD /vggish_with_classifier.pth"]
    assert [*weights_cache.iterdir()] == []
    (weights_cache / "vggish_orig.pth").write_bytes(b"weights")
    assert check_model("vggish").detail == f"vggish: weights in {weights_cache / 'vggish_orig.pth'}"
