"""Which results a process caches, and which not."""

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hf_audio_tagger import build_tagger, memo
from hf_audio_tagger import chunks as listen
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.runs import load_result, tag_dataset
from hf_audio_tagger.scores import ClipResult, Segment


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the clips that are opened, in order."""
    names: list[str] = []
    opened = listen.open_sound
    monkeypatch.setattr(
        listen, "open_sound", lambda media, *rest: names.append(media.name) or opened(media, *rest)
    )
    return names


def write_wav(path: Path, label: str) -> None:
    """Two seconds: any two of these files have the same size."""
    import wave

    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        samples = synthesize(label, 2.0, 16_000, 3)[:32_000]
        file.writeframes((samples * 32_767).astype("<i2").tobytes())


def test_a_file_that_is_rewritten_with_the_same_size_is_read_anew(tmp_path: Path) -> None:
    clip = tmp_path / "clip.wav"
    tagger = build_tagger("demo")
    write_wav(clip, "Siren")
    os.utime(clip, ns=(0, 1_000_000_000))
    before = clip.stat()
    assert tagger.tag(clip) == "Siren"
    write_wav(clip, "White noise")
    os.utime(clip, ns=(0, 1_000_000_001))
    after = clip.stat()
    assert (after.st_size, after.st_ino) == (before.st_size, before.st_ino)
    assert tagger.tag(clip) == "White noise"


def test_clips_that_nothing_identifies_push_out_no_others(
    clips: dict[str, Path], heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memo, "KEPT_RESULTS", 2)
    tagger = build_tagger("demo")
    sound = {"array": synthesize("Music", 1.0, 16_000, 3), "sampling_rate": 16_000}
    tagger.tag(clips["Siren"])
    for _ in range(3):
        tagger.tag([sound, sound])
    tagger.tag(clips["Siren"])
    assert heard == [str(clips["Siren"]), *["<samples>"] * 6]


def test_what_is_remembered_is_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo, "KEPT_BYTES", 100_000)
    large = [
        ClipResult("Siren", embedding=np.zeros(7_000, np.float32)),  # 28 kB
        ClipResult("Siren", segments=tuple(Segment(n, n + 1, "Siren", 0.5) for n in range(200))),
        ClipResult("Siren", top=tuple((str(n), 0.5) for n in range(400))),
    ]
    for result in large:
        keys = [("settings", n) for n in range(10)]
        for key in keys:
            memo.put(key, result)
        kept = [memo.get(key) is not None for key in keys]
        assert kept[-1]
        assert 1 <= sum(kept) <= 4
        memo.clear()
    memo.put(keys[0], ClipResult("Siren", embedding=np.zeros(30_000, np.float32)))  # more than all
    assert memo.get(keys[0]) is None
    for _ in range(5):
        memo.put(keys[1], large[0])  # again: counted once
    memo.put(keys[2], large[0])
    assert memo.get(keys[1]) is not None


def test_a_clip_that_another_thread_pushes_out_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the moment that it is found and the moment that it is read."""

    class Interrupted(OrderedDict):  # type: ignore[type-arg]
        def __contains__(self, key: object) -> bool:
            found = super().__contains__(key)
            other = threading.Thread(target=memo.clear)
            other.start()
            other.join(0.2)  # it may have to wait for us
            return found

    key = ("settings", 0)
    monkeypatch.setattr(memo, "_results", Interrupted())
    memo._results[key] = ClipResult("Siren")
    assert memo.get(key) == ClipResult("Siren")


def test_a_run_neither_uses_nor_empties_it(
    clips: dict[str, Path], heard: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row of a run hangs on its own batch alone; what the process remembers for others stays."""
    monkeypatch.setattr(memo, "KEPT_RESULTS", 2)
    settings: dict[str, Any] = {"embeddings": True, "batch_size": 2, "device": "cpu"}
    tagger = build_tagger("demo", **settings)
    tagger.tag([clips["Siren"], clips["Music"]])
    rows = tmp_path / "rows.jsonl"
    labels = [*["Siren"] * 4, "Clicking", "Dial tone"]
    rows.write_text("".join(f'{{"video": "{clips[label]}"}}\n' for label in labels))
    tag_dataset(rows, tmp_path / "out", tagger)
    assert load_result(tmp_path / "out")["video_audio_tags"][:] == [[label] for label in labels]
    assert heard[2:4] == [str(clips["Siren"])] * 2  # once in each batch of two rows
    tagger.tag([clips["Siren"], clips["Music"]])
    assert len(heard) == 6
