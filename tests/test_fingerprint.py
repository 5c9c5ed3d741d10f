"""Caching: the fingerprint is what can change an output, and nothing else."""

import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, load_dataset
from datasets.fingerprint import Hasher

from hf_audio_tagger import Tagger, build_tagger, memo, models
from hf_audio_tagger import tagger as tagger_module
from hf_audio_tagger.demo import CHECKPOINT

Clips = dict[str, Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A local checkpoint that a test may change."""
    return Path(shutil.copytree(CHECKPOINT, tmp_path / "model"))


SETTINGS: list[dict[str, Any]] = [
    {},
    {"model": "yamnet", "weights": __file__},
    {"revision": "v2"},
    {"trust_remote_code": True},
    {"column": "clip"},
    {"tag_column": "tags"},
    {"windows": "all"},
    {"windows": 3},
    {"windows": "all", "hop_seconds": 5.0},
    {"top_k": 3},
    {"top_k": 3, "threshold": 0.5},
    {"segments": True},
    {"embeddings": True},
    {"channels": "first"},
    {"decoder": "pyav"},
    {"dtype": "bfloat16"},
    {"engine": "openvino"},
    {"on_error": "record"},
]


def test_settings_that_can_change_an_output_change_the_hash() -> None:
    hashes = [Hasher.hash(build_tagger(**{"model": "demo", **settings})) for settings in SETTINGS]
    assert len(set(hashes)) == len(SETTINGS)


def test_a_subclass_is_another_tagger() -> None:
    class Louder(Tagger):
        pass

    taggers = [kind("demo") for kind in (Tagger, Louder)]
    assert len({Hasher.hash(one) for one in taggers}) == 2
    assert Hasher.hash(Louder("demo")) == Hasher.hash(taggers[1])


def test_a_setting_at_its_default_is_no_part_of_the_identity() -> None:
    """So a setting that is added leaves caches and runs valid."""
    names = [name for name, _ in build_tagger("demo", top_k=3).identity()[-1]]
    assert names == ["top_k"]
    assert build_tagger("demo").identity()[-1] == ()


def test_a_whole_number_is_the_same_setting_as_a_float() -> None:
    one, other = (build_tagger("demo", windows="all", hop_seconds=hop) for hop in (2, 2.0))
    assert Hasher.hash(one) == Hasher.hash(other)
    assert repr(one.identity()) == repr(other.identity())


def test_settings_that_cannot_do_not_and_still_travel() -> None:
    plain = build_tagger("demo")
    other = build_tagger("demo", batch_size=3, device="cpu", token="hf_x", batched=False)
    assert Hasher.hash(other) == Hasher.hash(plain)
    assert pickle.loads(pickle.dumps(other)) == other
    rows = Dataset.from_dict({"n": [1, 2]})
    there = rows.map(lambda _: {"batch_size": other.batch_size, "token": other.token}, num_proc=2)
    assert there["batch_size"][:] == [3, 3]
    assert there["token"][:] == ["hf_x", "hf_x"]


def test_the_hash_is_the_same_in_another_process_and_after_use(clips: Clips) -> None:
    tagger = build_tagger("demo", top_k=2)
    before = Hasher.hash(tagger)
    code = (  # `datasets` is imported after the tagger is built
        "from hf_audio_tagger import build_tagger; tagger = build_tagger('demo', top_k=2);"
        "from datasets.fingerprint import Hasher; print(Hasher.hash(tagger))"
    )
    there = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True
    )
    tagger.tag(clips["Siren"])
    assert Hasher.hash(tagger) == before == there.stdout.strip()


def test_a_changed_model_folder_changes_the_hash(folder: Path) -> None:
    tagger = build_tagger(folder)
    first = Hasher.hash(tagger)
    tagger.tag({"array": [0.0] * 8000, "sampling_rate": 16_000})
    assert Hasher.hash(tagger) == first
    (folder / "notes.txt").write_text("no part of the model")
    assert Hasher.hash(tagger) == first
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    second = Hasher.hash(tagger)
    config = folder / "preprocessor_config.json"
    config.write_text(config.read_text().replace("16000", "8000"))
    assert len({first, second, Hasher.hash(tagger)}) == 3


@pytest.mark.parametrize("suffix", ["json", "safetensors", "bin", "py", "pt", "pth", "h5"])
def test_every_file_that_loading_may_read_counts_by_name_and_content(folder: Path, suffix: str) -> None:
    tagger = build_tagger(folder)
    hashes = [Hasher.hash(tagger)]
    for name, content in (("a", b"1"), ("a", b"2"), ("b", b"2")):
        for file in folder.glob("[ab].*"):
            file.unlink()
        (folder / f"{name}.{suffix}").write_bytes(content)
        hashes.append(Hasher.hash(tagger))
    assert len(set(hashes)) == 4


def test_a_folder_below_the_home_counts_by_its_content(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    named = build_tagger(f"~/{folder.name}")
    assert Hasher.hash(named) == Hasher.hash(build_tagger(folder))
    assert named.labels == build_tagger(folder).labels


def test_the_weights_content_counts(tmp_path: Path) -> None:
    weights = tmp_path / "yamnet.pth"
    hashes = []
    for content in (b"one", b"two"):
        weights.write_bytes(content)
        hashes.append(Hasher.hash(build_tagger("yamnet", weights=weights)))
    assert hashes[0] != hashes[1]


def test_new_algorithms_change_the_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Hasher.hash(build_tagger("demo"))
    monkeypatch.setattr(tagger_module, "ALGORITHMS_VERSION", tagger_module.ALGORITHMS_VERSION + 1)
    assert Hasher.hash(build_tagger("demo")) != before


def test_a_tagger_inside_a_function_is_hashed_alike() -> None:
    hashes = []
    for batch_size in (1, 2):
        tagger = build_tagger("demo", batch_size=batch_size)
        hashes.append(Hasher.hash(lambda row, tagger=tagger: tagger(row)))
    assert hashes[0] == hashes[1]
    tagger = build_tagger("demo", top_k=1)
    assert Hasher.hash(lambda row, tagger=tagger: tagger(row)) != hashes[0]


@pytest.mark.parametrize("options", [{}, {"batched": True}, {"num_proc": 2}])
def test_the_second_map_loads_nothing(
    clips: Clips, tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "clips.jsonl"
    Dataset.from_dict({"video": [str(clips["Siren"]), str(clips["Music"])]}).to_json(table)
    ds = load_dataset("json", data_files=str(table), split="train", cache_dir=str(tmp_path / "cache"))
    first = ds.map(build_tagger("demo"), **options)
    memo.clear()
    monkeypatch.setattr(models, "_loaded", type(models._loaded)())
    monkeypatch.setattr(models, "load", lambda *_: pytest.fail("the model was loaded again"))
    second = ds.map(build_tagger("demo", batch_size=2), **options)
    assert second["video_audio_tags"][:] == first["video_audio_tags"][:] == [["Siren"], ["Music"]]
    assert second.cache_files == first.cache_files
    with pytest.raises(BaseException, match="loaded again"):
        ds.map(build_tagger("demo", top_k=1), **{**options, "num_proc": None})
