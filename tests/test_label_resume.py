"""Going on with a labelled collection: what counts as done, and what it takes to see that."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from datasets.formatting import query_table
from random_weights import RATE_HZ, write_yamnet
from sound_files import KINDS, write_sound

from hf_audio_tagger import build_tagger, export_predictions, load_predictions
from hf_audio_tagger.cells import FileMedia
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.errors import SettingsError
from hf_audio_tagger.runs.collection import identify_content
from hf_audio_tagger.tagger import Tagger

WAV = KINDS["wav-pcm_s16le"]


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Tagger:
    return build_tagger("yamnet", weights=write_yamnet(tmp_path_factory.mktemp("weights") / "yamnet.pth"))


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for number in range(4):
        sound = synthesize("Siren", 1.2, RATE_HZ, number)[np.newaxis]
        write_sound(tmp_path / "in" / f"{number}.wav", sound, rate_hz=RATE_HZ, kind=WAV)
    return tmp_path / "in"


def arrays(out: Path) -> dict[str, np.ndarray]:
    return {path.name: np.load(path) for path in sorted((out / "audio_pred").iterdir())}


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def grown(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def zeroed(path: Path) -> None:
    """As file systems leave what was never synced when the power goes."""
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("damage", [emptied, cut, grown, zeroed, os.unlink])
def test_a_damaged_array_is_made_again(
    damage: Callable[[Path], None], sounds: Path, tmp_path: Path, tagger: Tagger
) -> None:
    export_predictions(sounds, tmp_path / "out", tagger=tagger)
    whole = arrays(tmp_path / "out")
    damage(tmp_path / "out" / "audio_pred" / min(whole))
    assert export_predictions(sounds, tmp_path / "out", tagger=tagger).processed_now == 1
    again = arrays(tmp_path / "out")
    assert list(again) == list(whole)
    for name, logits in again.items():
        np.testing.assert_allclose(logits, whole[name], atol=1e-3)


def test_a_damaged_index_is_written_again(sounds: Path, tmp_path: Path, tagger: Tagger) -> None:
    export_predictions(sounds, tmp_path / "out", tagger=tagger)
    index = tmp_path / "out" / "audio_pred.json"
    whole = index.read_bytes()
    os.truncate(index, 100)
    assert export_predictions(sounds, tmp_path / "out", tagger=tagger).processed_now == 0
    assert index.read_bytes() == whole
    assert len(load_predictions(tmp_path / "out")) == 4


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '"fingerprint"', "null", '{"fingerprint": "x", "settings": 5}']
)
def test_damaged_settings_are_told_and_overwritten(
    text: str, sounds: Path, tmp_path: Path, tagger: Tagger
) -> None:
    export_predictions(sounds, tmp_path / "out", tagger=tagger)
    settings = tmp_path / "out" / ".hf_audio_tagger" / "label.json"
    whole = settings.read_bytes()
    settings.write_text(text)
    with pytest.raises(SettingsError, match=r"holds predictions of unknown settings\. overwrite=True"):
        export_predictions(sounds, tmp_path / "out", tagger=tagger)
    assert settings.read_text() == text
    assert export_predictions(sounds, tmp_path / "out", tagger=tagger, overwrite=True).processed_now == 4
    assert settings.read_bytes() == whole


def test_a_line_of_the_journal_follows_its_synced_array(
    sounds: Path, tmp_path: Path, tagger: Tagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were the machine to stop at any moment, no line would name an array that is not on the disk."""
    done: list[str] = []
    replace, fsync, write = os.replace, os.fsync, os.write

    def name_of(handle: int) -> str:
        return Path(os.readlink(f"/proc/self/fd/{handle}")).name

    def replaced(source: Path, target: Path) -> None:
        done.append(f"place {Path(target).name}")
        replace(source, target)

    def synced(handle: int) -> None:
        done.append(f"sync {name_of(handle)}")
        fsync(handle)

    def written(handle: int, data: bytes) -> int:
        done.append(f"write {name_of(handle)}")
        return write(handle, data)

    monkeypatch.setattr(os, "replace", replaced)
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "write", written)
    export_predictions(sounds, tmp_path / "out", tagger=tagger)
    for place, step in enumerate(done):
        if step.startswith("place ") and step.endswith(".npy"):
            name = step.removeprefix("place ")
            assert done[place - 1].startswith(f"sync .{name}.")
            assert done[place + 1 : place + 3] == ["sync audio_pred", "write label.jsonl"]
    assert sum(step.endswith(".npy") and step.startswith("place") for step in done) == 4


# What it takes to see that nothing is to be done


class Reads:
    """How often rows are read, and what is digested."""

    def __init__(self) -> None:
        self.tables = self.digested_bytes = 0


@contextmanager
def counting() -> Iterator[Reads]:
    reads = Reads()
    digest = hashlib.blake2b

    def counted_query(*given: Any, **more: Any) -> Any:
        reads.tables += 1
        return query_table(*given, **more)

    def counted_digest(data: Any = b"", **more: Any) -> Any:
        reads.digested_bytes += len(data)
        return digest(data, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("datasets.arrow_dataset.query_table", counted_query)
        patch.setattr("hashlib.blake2b", counted_digest)
        yield reads


def many(out: Path, count: int) -> list[int]:
    """Clips that count as heard: copies of what was said of the one that was."""
    state, (array,) = out / ".hf_audio_tagger", (out / "audio_pred").iterdir()
    line = json.loads((state / "label.jsonl").read_text().split("\n")[1])
    content, journal = array.read_bytes(), []
    for number in range(1, count):
        (out / "audio_pred" / f"{number}.npy").write_bytes(content)
        journal.append(json.dumps({**line, "name": str(number), "id": number}))
    with open(state / "label.jsonl", "a") as file:
        file.write("\n".join(journal) + "\n")
    return list(range(count))


@pytest.mark.parametrize("is_shuffled", [False, True])
def test_thousands_of_files_are_seen_to_be_done_in_a_few_reads(
    is_shuffled: bool, sounds: Path, tmp_path: Path, tagger: Tagger
) -> None:
    path, out = str(sounds / "0.wav"), tmp_path / "out"
    export_predictions(Dataset.from_dict({"id": [0], "audio": [path]}), out, tagger=tagger)
    ids = many(out, 3_000)
    ds = Dataset.from_dict({"id": ids, "audio": [path] * 3_000})
    ds = ds.shuffle(seed=1) if is_shuffled else ds
    begun = time.monotonic()
    with counting() as reads:
        done = export_predictions(ds, out, tagger=tagger)
    assert (done.processed_now, done.labelled) == (0, 3_000)
    assert reads.tables < 100
    assert time.monotonic() - begun < 30  # it takes a second

    write_sound(Path(path), synthesize("Siren", 1.5, RATE_HZ, 9)[np.newaxis], rate_hz=RATE_HZ, kind=WAV)
    few = ds.select(range(5))
    assert export_predictions(few, out, tagger=tagger).processed_now == 5  # the file has changed


def test_bytes_are_not_read_again_where_the_rows_are_the_same(
    sounds: Path, tmp_path: Path, tagger: Tagger
) -> None:
    out, clips = tmp_path / "out", [(sounds / f"{number}.wav").read_bytes() for number in range(4)]

    def saved(name: str, rows: dict[str, Any]) -> Dataset:
        Dataset.from_dict(rows).save_to_disk(tmp_path / name)
        return Dataset.load_from_disk(str(tmp_path / name))

    first = saved("first", {"id": list("abcd"), "audio": clips})
    assert export_predictions(first, out, tagger=tagger).processed_now == 4
    with counting() as reads:
        assert export_predictions(first, out, tagger=tagger).processed_now == 0
    assert reads.digested_bytes < len(clips[0])

    # Other rows: these are read, and what they hold is compared.
    other = saved("other", {"id": list("dabce"), "audio": [clips[3], clips[2], clips[1], clips[2], clips[0]]})
    with counting() as reads:
        assert export_predictions(other, out, tagger=tagger).processed_now == 2  # "a" has changed, "e" is new
    assert reads.digested_bytes > sum(map(len, clips))
    with counting() as reads:
        assert export_predictions(other, out, tagger=tagger).processed_now == 0
    assert reads.digested_bytes < len(clips[0])


def test_a_file_of_the_same_size_is_heard_again(sounds: Path, tmp_path: Path, tagger: Tagger) -> None:
    export_predictions(sounds, tmp_path / "out", tagger=tagger)
    path = sounds / "0.wav"
    before = path.stat()
    sound = synthesize("White noise", 1.2, RATE_HZ, 9)[np.newaxis]
    write_sound(path, sound, rate_hz=RATE_HZ, kind=WAV)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns - 1))
    assert path.stat().st_size == before.st_size
    assert export_predictions(sounds, tmp_path / "out", tagger=tagger).processed_now == 1


def test_samples_in_cells_are_heard_again_where_they_changed(tmp_path: Path, tagger: Tagger) -> None:
    def rows(*seeds: int) -> Dataset:
        sounds = [synthesize("Siren", 1.2, RATE_HZ, seed) for seed in seeds]
        cells = [{"array": sound, "sampling_rate": RATE_HZ} for sound in sounds]
        return Dataset.from_dict({"id": ["a", "b"], "audio": cells})

    assert export_predictions(rows(0, 1), tmp_path / "out", tagger=tagger).processed_now == 2
    assert export_predictions(rows(0, 2), tmp_path / "out", tagger=tagger).processed_now == 1
    assert export_predictions(rows(0, 2), tmp_path / "out", tagger=tagger).processed_now == 0


def test_another_url_is_another_clip() -> None:
    one, other = (
        identify_content(FileMedia(f"https://x.org/a.wav?token={word}")) for word in ("one", "other")
    )
    assert None not in (one, other)
    assert one != other
    assert one == identify_content(FileMedia("https://x.org/a.wav?token=one"))
    assert "one" not in str(one)


def test_an_arrow_file_that_was_replaced_is_read_again(sounds: Path, tmp_path: Path, tagger: Tagger) -> None:
    """`datasets` gives a saved folder the fingerprint that its state names, whatever the file holds."""
    clips = [(sounds / f"{number}.wav").read_bytes() for number in range(2)]
    for name, clip in (("a", clips[0]), ("b", clips[1])):
        Dataset.from_dict({"id": ["x"], "audio": [clip]}).save_to_disk(tmp_path / name)
    load = Dataset.load_from_disk
    export_predictions(load(str(tmp_path / "a")), tmp_path / "out", tagger=tagger)
    (file,) = (tmp_path / "a").glob("*.arrow")
    os.replace(next((tmp_path / "b").glob("*.arrow")), file)
    assert export_predictions(load(str(tmp_path / "a")), tmp_path / "out", tagger=tagger).processed_now == 1
