"""What `hf-audio-tagger doctor` says of models, before a Hub on the loopback."""

import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hf_audio_tagger import build_tagger
from hf_audio_tagger.doctor.models import check_model
from hf_audio_tagger.models import checkpoint_files
from hf_audio_tagger.models.checkpoint_files import list_missing

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NOWHERE = "http://127.0.0.1:9"  # the port "discard": nobody answers


@dataclass
class Hub:
    """Models by id, each a dict of files; what was asked of it, in order."""

    url: str
    models: dict[str, dict[str, bytes]]
    gated: frozenset[str] = frozenset({"me/gated"})
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        if listing := re.fullmatch(r"/api/models/([^/]+/[^/]+?)(/revision/(\w+)|/tree/(\w+))?", path):
            model, revision = listing[1], listing[3] or listing[4] or "main"
            name = None
        elif file := re.fullmatch(r"/([^/]+/[^/]+)/resolve/(\w+)/(.+)", path):
            model, revision, name = file.groups()
        else:
            return 404, b"", {}
        if model in self.gated:
            return 403, b"{}", {"X-Error-Code": "GatedRepo"}
        if model not in self.models:
            return 401, b"{}", {"X-Error-Code": "RepoNotFound"}
        if revision not in ("main", COMMIT):
            return 404, b"{}", {"X-Error-Code": "RevisionNotFound"}
        files = self.models[model]
        if name is None:
            return 200, json.dumps(self.tree(files) if "/tree/" in path else self.info(model)).encode(), {}
        if name not in files:
            return 404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}
        etag = hashlib.sha1(files[name]).hexdigest()
        return 200, files[name], {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}

    def info(self, model: str) -> dict[str, Any]:
        siblings = [{"rfilename": name} for name in self.models[model]]
        return {"id": model, "sha": COMMIT, "siblings": siblings}

    def tree(self, files: dict[str, bytes]) -> list[dict[str, Any]]:
        return [
            {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
            for name, data in files.items()
        ]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random AST of three classes, as save_pretrained writes it."""
    import torch
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(5)
    config = ASTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_length=64,
        num_mel_bins=32,
        id2label={0: "Alpha", 1: "Beta", 2: "Gamma"},
        label2id={"Alpha": 0, "Beta": 1, "Gamma": 2},
    )
    ASTForAudioClassification(config).save_pretrained(folder)
    ASTFeatureExtractor(max_length=64, num_mel_bins=32).save_pretrained(folder)
    return folder


@pytest.fixture
def hub(tiny: Path) -> Iterator[Hub]:
    files = {file.name: file.read_bytes() for file in tiny.iterdir()}
    beside = {
        "README.md": b"# tiny",
        "pytorch_model.bin": b"old" * 999,
        "logs/events.1": b"log",
        "tf_model.h5": b"h",
    }
    hub = Hub("", {"me/tiny": {**files, **beside}})

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            hub.asked.append(f"{self.command} {path}")
            status, body, headers = hub.answer(path)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield hub
    server.shutdown()
    server.server_close()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the Hub for this process."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def use(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What HF_ENDPOINT does, for a huggingface_hub that is already imported."""
    from huggingface_hub import constants

    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)


# The model, and a Hub that has it or not


def test_the_files_that_loading_needs(tmp_path: Path) -> None:
    for name in ("preprocessor_config.json", "README.md", "training_args.bin", "a.onnx"):
        (tmp_path / name).touch()
    assert list_missing(tmp_path) == ["config.json", "model.safetensors"]
    (tmp_path / "config.json").touch()
    for name in ("pytorch_model.bin", "model.safetensors", "pytorch_model-00001-of-00002.bin"):
        weights = tmp_path / name
        weights.touch()
        assert list_missing(tmp_path) == []
        weights.unlink()


def test_a_local_folder_is_looked_through(tiny: Path, tmp_path: Path) -> None:
    assert check_model(str(tiny)).state == "ok"
    index = {"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "model-1-of-2.safetensors").write_text("")
    (tmp_path / "config.json").write_text("{}")
    found = check_model(str(tmp_path))
    assert found.state == "error"
    assert found.detail.endswith("lacks preprocessor_config.json, model-2-of-2.safetensors")


def test_yamnet_is_packaged_and_the_cache_folder_comes_first(weights_cache: Path) -> None:
    found = check_model("yamnet")
    assert (found.state, found.detail) == ("ok", "yamnet is packaged, with its weights in int8")
    (weights_cache / "yamnet.pth").write_bytes(b"")
    assert check_model("yamnet").detail == f"yamnet: weights in {weights_cache / 'yamnet.pth'}"


@pytest.mark.timeout(30)
def test_a_model_that_the_hub_has(hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(hub.url, monkeypatch)
    found = check_model("me/tiny")
    assert found.state == "ok"
    assert "not in the cache" in found.detail
    of_it = [line for line in hub.asked if "me/tiny" in line]
    assert of_it == ["HEAD /me/tiny/resolve/main/config.json"]
    assert not cache.exists()  # looking downloads nothing


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("model", "revision", "reason"),
    [
        ("me/unknown", None, "has no such model, or it is private"),
        ("me/gated", None, "requires accepting its terms"),
        ("me/tiny", "v9", "no such revision"),
        ("not an id", None, "neither a local folder nor an id"),
    ],
)
def test_why_a_model_cannot_be_had(
    model: str, revision: str | None, reason: str, hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(hub.url, monkeypatch)
    found = check_model(model, revision)
    assert found.state == "error"
    assert reason in found.detail


@pytest.mark.timeout(30)
def test_nobody_answers(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use("http://someone:secret@127.0.0.1:9", monkeypatch)
    found = check_model("me/tiny")
    assert found.state == "error"
    assert "not in the cache, and 127.0.0.1:9 cannot be reached" in found.detail
    assert found.remedy is not None
    assert "`hf download me/tiny`" in found.remedy
    assert str(cache) in found.remedy
    assert "secret" not in found.detail + found.remedy
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE=1 forbids" in check_model("me/tiny").detail


@pytest.mark.timeout(30)
def test_a_hub_that_never_answers_is_not_waited_for(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        use(f"http://127.0.0.1:{silent.getsockname()[1]}", monkeypatch)
        monkeypatch.setattr(checkpoint_files, "HUB_SECONDS", 0.5)
        start = time.monotonic()
        found = check_model("me/tiny")
        assert time.monotonic() - start < 2.0
    assert found.state == "error"


OFFLINE = """
import json, sys
from hf_audio_tagger import build_tagger
from hf_audio_tagger.doctor.models import check_model
answers = [build_tagger("me/tiny").tag(sys.argv[1]), check_model("me/tiny").detail]
try:
    build_tagger().tag(sys.argv[1])
except Exception as error:
    answers += [type(error).__name__, str(error)]
print(json.dumps(answers))
"""


@pytest.mark.campaign  # takes ten seconds
@pytest.mark.timeout(120)
def test_a_downloaded_model_tags_where_there_is_no_network(
    hub: Hub, tiny: Path, clips: dict[str, Path], tmp_path: Path
) -> None:
    """`hf download` fills a cache; the cache is copied; a process without network tags with it."""
    online = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
    }
    command = [str(Path(sys.executable).with_name("hf")), "download", "me/tiny"]
    done = subprocess.run(command, capture_output=True, text=True, env=online)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "home" / "hub" / "models--me--tiny"
    assert str(folder) in done.stdout
    (tmp_path / "other").mkdir()
    subprocess.run(["cp", "-a", str(folder), str(tmp_path / "other")], check=True)
    folder.rename(tmp_path / "gone")

    offline = {
        **os.environ,
        "HF_ENDPOINT": NOWHERE,
        "HF_HUB_CACHE": str(tmp_path / "other"),
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path / "empty"),
    }
    clip = str(clips["Siren"])
    done = subprocess.run([sys.executable, "-c", OFFLINE, clip], capture_output=True, text=True, env=offline)
    assert done.returncode == 0, done.stderr
    tag, detail, kind, message = json.loads(done.stdout)
    assert tag == build_tagger(tiny).tag(clip)
    assert "in the cache" in detail
    assert "not in the cache" not in detail
    # The default model is not in the cache: the error names it, says why, and what to do.
    assert kind == "ModelError"
    assert "'MIT/ast-finetuned-audioset-10-10-0.4593' cannot be loaded" in message
    assert "connect" in message
    assert "`hf download MIT/ast-finetuned-audioset-10-10-0.4593`" in message
    assert 'build_tagger("yamnet") is packaged' in message
