"""`hf-audio-tagger doctor`, on this machine, on broken ones, and before a Hub on the loopback."""

import hashlib
import io
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
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from hf_audio_tagger import build_tagger, doctor
from hf_audio_tagger.cli import app
from hf_audio_tagger.doctor import libraries, model_files
from hf_audio_tagger.errors import ModelError

COMMAND = [sys.executable, "-m", "hf_audio_tagger"]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
NOWHERE = "http://127.0.0.1:9"  # the port "discard": nobody answers


@pytest.fixture(autouse=True)
def _own_environment() -> Iterator[None]:
    """Commands silence libraries through the environment; what they set ends with the test."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


# A Hub on the loopback, of models only


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

    def fetched(self) -> set[str]:
        return {
            line.rpartition("/")[2] for line in self.asked if line.startswith("GET ") and "/resolve/" in line
        }


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
    hub = Hub("", {"me/tiny": {**files, **beside}, "me/words": {"config.json": b"{}", "vocab.txt": b"a"}})

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


def finding(subject: str, output: str) -> dict[str, str]:
    """One of the findings of `doctor --json`."""
    return next(one for one in json.loads(output)["findings"] if one["subject"] == subject)


# This machine


@pytest.mark.timeout(120)
def test_here_tagging_works() -> None:
    done = CliRunner().invoke(app, ["doctor", "--model", "demo", "--json"])
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
from hf_audio_tagger.doctor import tone_clip
with open_sound(BytesMedia(tone_clip()), "auto", only_start=True) as sound:
    print(type(sound).__name__, sum(len(block) for block in sound.blocks()))
try:
    open_sound(BytesMedia(tone_clip()), "torchcodec").__enter__()
except Exception as error:
    print(type(error).__name__, error)
sys.argv = ["doctor", "doctor", "--model", "demo"]
from hf_audio_tagger.cli import main
main()
"""


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
    assert lines[1].startswith(
        "SettingsError decoder='torchcodec' cannot be used here: "
    )  # no clip is to blame
    told = {
        line.split()[1]: (line, following.strip())
        for line, following in pairwise(lines)
        if re.match("  [✓·!✗] ", line)
    }
    line, remedy = told["torchcodec"]
    assert line.startswith("  ! ")
    assert "finds no FFmpeg of a version it knows" in line
    assert "apt-get install ffmpeg" in remedy
    line, remedy = told["torchaudio"]
    assert line.startswith("  ✗ ")
    assert "libcudart.so.12" in line
    assert re.search(r'pip install .*"torch[!<>=].*2\.13\.0.*" "torchaudio>=2\.11"', remedy)
    assert told["pyav"][0].startswith("  ✓ ")
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
    detail, remedy = doctor.torchcodec_advice("0.17.0", UNDEFINED)
    assert "undefined symbol" in detail
    assert f"torch {libraries.installed_version('torch')}" in remedy
    detail, _ = doctor.torchcodec_advice(
        "0.17.0", UNDEFINED.replace("undefined symbol", "cannot open shared object")
    )
    assert "cannot open shared object" in detail  # its own library is missing, not FFmpeg's
    missing = re.sub(
        r"/x/libtorchcodec_core5.so: undefined.*", "libavutil.so.57: cannot open shared object", UNDEFINED
    )
    detail, remedy = doctor.torchcodec_advice("0.17.0", missing)
    assert "finds no FFmpeg of a version it knows (5 to 7)" in detail
    assert "install ffmpeg" in remedy


def test_a_library_that_is_too_old_missing_or_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "transformers-4.30.0.dist-info"
    old.mkdir()
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: transformers\nVersion: 4.30.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = doctor.library("transformers")
    assert found == doctor.Finding(
        "transformers",
        "error",
        "4.30.0, but >=5 is needed",
        'pip install --upgrade "transformers>=5"',
    )
    assert doctor.library("surely_not_installed").detail == "is not installed"
    (tmp_path / "broken_one.py").write_text("raise RuntimeError('[Errno 2] no libfoo.')")
    (tmp_path / "broken_one-1.0.dist-info").mkdir()
    metadata = "Metadata-Version: 2.1\nName: broken_one\nVersion: 1.0\n"
    (tmp_path / "broken_one-1.0.dist-info" / "METADATA").write_text(metadata)
    assert doctor.library("broken_one").detail == "1.0 does not load: no libfoo"


def test_a_decoder_that_hears_something_else_is_found_out() -> None:
    from hf_audio_tagger.demo.videos import write_video

    file = io.BytesIO()
    write_video(file, 0.5 * np.sin(np.arange(22_050) * 2 * np.pi * 660 / 44_100), 44_100)
    found = doctor.decoder("pyav", file.getvalue())
    assert found.state == "error"
    assert "hears 659 Hz" in found.detail
    assert doctor.decoder("pyav", b"no video").state == "error"
    assert doctor.decoder("decord", b"no video").state in ("warning", "note")  # nobody needs it


# The model, and a Hub that has it or not


def test_the_files_that_loading_needs() -> None:
    names = ["config.json", "preprocessor_config.json", "README.md", "runs/1", "training_args.bin", "a.onnx"]
    sharded = [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
    ]
    assert set(model_files.needed([*names, *sharded, "pytorch_model.bin"])) == {*names[:2], *sharded}
    assert set(model_files.needed([*names, "pytorch_model.bin"])) == {*names[:2], "pytorch_model.bin"}
    assert model_files.lacking([*names, "pytorch_model.bin"]) == []
    assert model_files.lacking(names[1:]) == ["config.json", "model.safetensors"]


def test_a_local_folder_is_looked_through(tiny: Path, tmp_path: Path) -> None:
    assert doctor.wanted_model(str(tiny)).state == "ok"
    index = {"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "model-1-of-2.safetensors").write_text("")
    (tmp_path / "config.json").write_text("{}")
    found = doctor.wanted_model(str(tmp_path))
    assert found.state == "error"
    assert found.detail.endswith("lacks preprocessor_config.json, model-2-of-2.safetensors")


def test_weights_that_are_not_there_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_AUDIO_TAGGER_CACHE", str(tmp_path))
    found = doctor.wanted_model("yamnet")
    assert (found.state, str(tmp_path) in found.detail) == ("error", True)
    (tmp_path / "yamnet.pth").write_bytes(b"")
    assert doctor.wanted_model("yamnet").state == "ok"


@pytest.mark.timeout(30)
def test_a_model_that_the_hub_has(hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(hub.url, monkeypatch)
    found = doctor.wanted_model("me/tiny")
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
        ("me/gated", None, "only to those who agreed"),
        ("me/tiny", "v9", "no such revision"),
        ("not an id", None, "neither a folder here nor an id"),
    ],
)
def test_why_a_model_cannot_be_had(
    model: str, revision: str | None, reason: str, hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(hub.url, monkeypatch)
    found = doctor.wanted_model(model, revision)
    assert found.state == "error"
    assert reason in found.detail
    with pytest.raises(ModelError, match=reason) as caught:
        model_files.fetch(model, revision)
    assert repr(model) in str(caught.value)


@pytest.mark.timeout(30)
def test_nobody_answers(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use("http://someone:secret@127.0.0.1:9", monkeypatch)
    found = doctor.wanted_model("me/tiny")
    assert found.state == "error"
    assert "not in the cache, and 127.0.0.1:9 cannot be reached" in found.detail
    assert found.remedy is not None
    assert "doctor --fetch me/tiny" in found.remedy
    assert str(cache) in found.remedy
    assert "secret" not in found.detail + found.remedy
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE=1 forbids" in doctor.wanted_model("me/tiny").detail
    done = CliRunner().invoke(app, ["doctor", "--fetch", "me/tiny"])
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == (
        "The model 'me/tiny' cannot be fetched: HF_HUB_OFFLINE=1 forbids the network. "
        "Unset HF_HUB_OFFLINE, or fetch it on another machine."
    )


@pytest.mark.timeout(30)
def test_a_hub_that_never_answers_is_not_waited_for(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        use(f"http://127.0.0.1:{silent.getsockname()[1]}", monkeypatch)
        monkeypatch.setattr(doctor, "HUB_SECONDS", 0.5)
        start = time.monotonic()
        found = doctor.wanted_model("me/tiny")
        assert time.monotonic() - start < 2.0
    assert found.state == "error"


def test_a_repository_without_a_model_is_refused_before_anything_is_fetched(
    hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(hub.url, monkeypatch)
    with pytest.raises(ModelError, match=r"no preprocessor_config\.json and no model\.safetensors"):
        model_files.fetch("me/words")
    assert hub.fetched() == set()


OFFLINE = """
import json, sys
from hf_audio_tagger import build_tagger
from hf_audio_tagger.doctor import wanted_model
answers = [build_tagger("me/tiny").tag(sys.argv[1]), wanted_model("me/tiny").detail]
try:
    build_tagger().tag(sys.argv[1])
except Exception as error:
    answers += [type(error).__name__, str(error)]
print(json.dumps(answers))
"""


@pytest.mark.timeout(120)
def test_fetched_here_a_model_tags_where_there_is_no_network(
    hub: Hub, tiny: Path, clips: dict[str, Path], tmp_path: Path
) -> None:
    """Real processes: one fetches; the cache is copied; another that reaches nothing tags with it."""
    online = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
    }
    done = subprocess.run(
        [*COMMAND, "doctor", "--fetch", "me/tiny"], capture_output=True, text=True, env=online
    )
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "home" / "hub" / "models--me--tiny"
    assert str(folder) in done.stdout
    assert "HF_HUB_OFFLINE=1" in done.stdout
    assert "100%" in done.stderr  # it shows how far it is
    assert hub.fetched() == {"config.json", "preprocessor_config.json", "model.safetensors"}
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
    # The default model cannot be had there: what was asked, why it failed, what to do.
    assert kind == "ModelError"
    assert "'MIT/ast-finetuned-audioset-10-10-0.4593' cannot be loaded" in message
    assert "connect" in message
    assert "doctor --fetch MIT/ast-finetuned-audioset-10-10-0.4593" in message
    assert 'model="demo"' in message
