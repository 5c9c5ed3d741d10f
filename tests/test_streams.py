"""Python streams as sources: two that differ are never mixed, and one goes on in another process."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, Features, IterableDataset, Value, load_dataset

from hf_audio_tagger import build_tagger
from hf_audio_tagger.errors import SettingsError
from hf_audio_tagger.runs import load_result, tag_dataset
from hf_audio_tagger.sources import open_source

pytestmark = pytest.mark.timeout(60)

TAGGER = build_tagger("demo", on_error="record", device="cpu")


def rows(names: list[str]) -> Iterator[dict[str, str]]:
    yield from ({"video": name} for name in names)


def stream_of(*names: str) -> IterableDataset:
    return IterableDataset.from_generator(rows, gen_kwargs={"names": list(names)})


class Connection:
    """Holds what no other process can be given. (A lock is not enough: dill pickles locks.)"""

    def __reduce__(self) -> Any:
        raise TypeError("cannot pickle an open connection")


def connected_stream(*names: str) -> IterableDataset:
    """A stream with a step that cannot be pickled."""
    connection = Connection()

    def look_up(row: dict[str, Any]) -> dict[str, Any]:
        return row if connection else {}

    return stream_of(*names).map(look_up, features=Features({"video": Value("string")}))


def fingerprint(stream: IterableDataset) -> str:
    return open_source(stream).fingerprint


@pytest.mark.parametrize("make", [stream_of, connected_stream])
def test_two_streams_are_not_mixed_and_one_goes_on(
    tmp_path: Path, make: Callable[..., IterableDataset]
) -> None:
    names = ("a.mp4", "b.mp4", "c.mp4", "d.mp4")
    tag_dataset(make(*names), tmp_path / "out", TAGGER, shard_rows=1, limit=2)
    with pytest.raises(SettingsError, match=r"another source.*overwrite=True"):
        tag_dataset(make("x.mp4", *names), tmp_path / "out", TAGGER)
    assert tag_dataset(make(*names), tmp_path / "out", TAGGER).processed_now == 2
    assert list(load_result(tmp_path / "out")["video"]) == list(names)


def number(row: dict[str, Any]) -> dict[str, Any]:
    return {"number": len(row["video"])}


VARIANTS: dict[str, Callable[[], IterableDataset]] = {
    "generator": lambda: stream_of("a", "b"),
    "other arguments": lambda: stream_of("a", "c"),
    "mapped": lambda: stream_of("a", "b").map(number),
    "skipped": lambda: stream_of("a", "b").skip(1),
    "taken": lambda: stream_of("a", "b").take(1),
    "shuffled": lambda: stream_of("a", "b").shuffle(seed=1),
    "shuffled otherwise": lambda: stream_of("a", "b").shuffle(seed=2),
    "of a dataset": lambda: Dataset.from_dict({"video": ["a", "b"]}).to_iterable_dataset(num_shards=2),
    "of another": lambda: Dataset.from_dict({"video": ["a", "c"]}).to_iterable_dataset(num_shards=2),
    "lambda": lambda: IterableDataset.from_generator(lambda: iter([{"video": "a"}])),
    "another lambda": lambda: IterableDataset.from_generator(lambda: iter([{"video": "b"}])),
}


def test_an_identity_is_of_the_rows_and_of_nothing_that_moves() -> None:
    found = {name: fingerprint(make()) for name, make in VARIANTS.items()}
    assert len(set(found.values())) == len(VARIANTS)
    for name, make in VARIANTS.items():
        stream = make()
        before = fingerprint(stream)
        assert len(list(stream)) > 0  # what was read of it changes nothing
        assert fingerprint(stream) == before == found[name], name


def test_an_epoch_and_a_node_are_other_rows() -> None:
    from datasets.distributed import split_dataset_by_node

    stream = stream_of(*"abcdefgh").shuffle(seed=1)
    before = fingerprint(stream)
    stream.set_epoch(1)
    assert fingerprint(stream) != before
    assert open_source(stream).stream().take(8).to_pylist() == list(stream)
    parts = [fingerprint(split_dataset_by_node(stream_of("a", "b"), rank, 2)) for rank in (0, 1)]
    assert len({*parts, fingerprint(stream_of("a", "b"))}) == 3


def test_files_read_as_a_stream_are_known_by_place_and_content(tmp_path: Path) -> None:
    def opened(name: str, text: str) -> str:
        (tmp_path / name).write_text(text)
        files = str(tmp_path / name)
        return fingerprint(load_dataset("json", data_files=files, split="train", streaming=True))

    first = opened("a.jsonl", '{"video": "a.mp4"}\n')
    other = opened("b.jsonl", '{"video": "b.mp4"}\n')
    assert len({first, other, opened("a.jsonl", '{"video": "another.mp4"}\n')}) == 3


def fingerprints() -> list[str]:
    """Of functions that are hashed by their code and what they hold, a set among it."""
    names = {"a.mp4", "b.mp4", "c.mp4"}

    def generate(count: int) -> Iterator[dict[str, str]]:
        yield from rows(sorted(names)[:count])

    made = IterableDataset.from_generator(generate, gen_kwargs={"count": 2})
    steps = made.map(lambda row: {"more": 1}).filter(lambda row: True)
    return [fingerprint(one) for one in (made, steps, made.shuffle(seed=3), connected_stream("a.mp4"))]


def test_a_stream_is_the_same_in_the_next_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import json, test_streams; print(json.dumps(test_streams.fingerprints()))"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == fingerprints()
