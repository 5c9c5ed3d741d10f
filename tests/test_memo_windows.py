"""Windows of the same samples get one forward pass, in a batch and across clips, and the same output."""

import os
import subprocess
import sys
import weakref
from collections.abc import Iterator, Sequence
from itertools import count, pairwise
from typing import Any

import numpy as np
import pytest

from hf_audio_tagger import build_tagger, memo
from hf_audio_tagger.activity import Meter, measured_by
from hf_audio_tagger.cells import NULL_MEDIA, Media, SamplesMedia
from hf_audio_tagger.chunks import ClipEnd, PipelineOptions
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.memo import windows as window_memory
from hf_audio_tagger.memo.windows import WindowMemory, make_window_key
from hf_audio_tagger.models import ModelOutput, get_model
from hf_audio_tagger.pipeline import ScoredWindows, run_pipeline

RATE_HZ = 16_000
SECOND = RATE_HZ


class Summing:
    """A model of a second: sums of the samples. It keeps the sizes of its batches."""

    labels, multi_label = ("sum", "length"), True
    rate_hz = window_samples = hop_samples = RATE_HZ
    frame_samples, default_windows, embedding_size, device = 400, "all", 1, None

    def __init__(self) -> None:
        self.batches: list[int] = []

    def predict(self, windows: Sequence[np.ndarray]) -> ModelOutput:
        self.batches.append(len(windows))
        logits = np.array([[one.sum(dtype=np.float64), len(one)] for one in windows], np.float32)
        return ModelOutput(logits, -logits[:, :1])


def sound(*seconds: int, rest: int = 0) -> np.ndarray:
    """A second of noise for each number, the same for the same one; 0 is silence."""
    parts = [np.random.default_rng(n).normal(0, 0.1, SECOND) * (n > 0) for n in seconds]
    return np.concatenate([*parts, np.zeros(rest)]).astype(np.float32)


def clips(*waveforms: np.ndarray) -> list[Media]:
    return [SamplesMedia(one, RATE_HZ, f"{place}.wav") for place, one in enumerate(waveforms)]


def options(batch_size: int = 16) -> PipelineOptions:
    return PipelineOptions(
        "all", SECOND, "mean", "auto", batch_size, 2
    )  # ten windows are one of `batch_size`


def score(media: Sequence[Media], model: Any, batch_size: int = 16) -> list[np.ndarray]:
    """The logits of each clip's windows; checks embeddings and order."""
    found: list[list[np.ndarray]] = [[] for _ in media]
    ended = 0
    for event in run_pipeline(media, model, options(batch_size)):
        assert event.clip == ended
        if isinstance(event, ClipEnd):
            ended += 1
            continue
        assert isinstance(event, ScoredWindows)
        assert len(event.spans) == len(event.output.logits)
        assert event.output.embeddings is not None
        assert np.array_equal(event.output.embeddings, -event.output.logits[:, :1])
        found[event.clip].append(event.output.logits)
    assert ended == len(media)
    return [np.concatenate(one) if one else np.zeros((0, 2), np.float32) for one in found]


def expect(waveform: np.ndarray) -> np.ndarray:
    """The answers, computed from the samples."""
    parts = [waveform[start : start + SECOND] for start in range(0, len(waveform), SECOND)]
    return np.array([[part.sum(dtype=np.float64), len(part)] for part in parts], np.float32).reshape(-1, 2)


def test_the_same_samples_are_scored_once_wherever_they_are() -> None:
    waveforms = [sound(1, 2, 0, 0, 0, 3), sound(1, 2, 4), sound(0), sound(4, 0, 1, rest=500), sound(rest=800)]
    model = Summing()
    for _ in range(2):
        for found, waveform in zip(score(clips(*waveforms), model), waveforms, strict=True):
            assert np.array_equal(found, expect(waveform))
    assert model.batches == [7]  # five seconds, and two rests of another length
    assert all(np.array_equal(one, expect(waveforms[0])) for one in score(clips(waveforms[0]), Summing()))


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_clips_come_in_order_with_their_own_answers(batch_size: int) -> None:
    rng = np.random.default_rng(5)
    waveforms = [sound(*rng.integers(0, 12, rng.integers(1, 60))) for _ in range(30)]
    media = clips(*waveforms)
    media[7] = media[8] = NULL_MEDIA
    model = Summing()
    for place, found in enumerate(score(media, model, batch_size)):
        assert np.array_equal(
            found, expect(waveforms[place]) if media[place] is not NULL_MEDIA else found[:0]
        )
    assert sum(model.batches) == 12


def test_batches_are_full_of_new_windows() -> None:
    new = count(1)
    media = clips(*(sound(0, 0, 0, next(new), 0, next(new)) for _ in range(60)))  # four of six are known
    model = Summing()
    score(media, model, batch_size=2)
    assert sum(model.batches) == 121
    assert model.batches.count(20) == 6  # what is over makes a batch of its own


def test_known_windows_do_not_wait_without_end() -> None:
    def endless() -> Iterator[Media]:
        yield from clips(sound(7))
        while True:
            taken.append(1)
            yield from clips(sound(0, 0, 0))

    taken: list[int] = []
    events = run_pipeline(endless(), Summing(), options(1))
    assert next(events).clip == 0
    before = len(taken)
    assert before < 100
    for _ in range(30):
        next(events)
    assert len(taken) - before <= 40  # once silence is known, a clip is told when it is decoded
    events.close()


def test_a_run_remembers_nothing_of_earlier_batches() -> None:
    model = Summing()
    with memo.disabled():
        for _ in range(2):
            score(clips(sound(1, 1, 2), sound(2)), model)
    assert model.batches == [2, 2]
    score(clips(sound(1)), model)
    memo.clear()
    score(clips(sound(1)), model)
    assert model.batches == [2, 2, 1, 1]


def test_a_model_takes_its_memory_along() -> None:
    for _ in range(50):  # objects of the same address
        model = Summing()
        score(clips(sound(1)), model)
        assert model.batches == [1]
        memory = weakref.ref(memo.get_window_memory(model))
    del model
    assert memory() is None


def test_an_output_that_is_not_finite_is_not_kept() -> None:
    class Failing(Summing):
        wrong = np.nan

        def predict(self, windows: Sequence[np.ndarray]) -> ModelOutput:
            output = super().predict(windows)
            for row, window in zip(output.logits, windows, strict=True):
                row[0] = self.wrong if window[0] == 0 else row[0]
            return output

    model = Failing()
    media = clips(sound(0), sound(1), sound(0, 1))
    errors = [event.error for event in run_pipeline(media, model, options()) if isinstance(event, ClipEnd)]
    assert [str(error)[:5] for error in errors] == ["0.wav", "None", "2.wav"]
    assert model.batches == [2]
    model.wrong = 3.0
    assert [event.error for event in run_pipeline(media, model, options()) if isinstance(event, ClipEnd)] == (
        [None] * 3
    )
    assert model.batches == [2, 1]


def test_the_memory_is_bounded_and_keeps_what_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    row = np.zeros(1000, np.float32)
    monkeypatch.setattr(window_memory, "KEPT_BYTES", 50 * (row.nbytes + 1000))
    memory = WindowMemory()
    keys = [make_window_key(np.full(3, number, np.float32)) for number in range(300)]
    memory.keep(keys[:1], [row[None]])
    for first, last in pairwise(range(1, 300, 10)):
        memory.keep(keys[first:last], [np.tile(row, (last - first, 1))])
        assert memory.find(keys[0]) is not None
    kept = [memory.find(key) for key in keys]
    assert 40 < sum(output is not None for output in kept) <= 56
    # Each that was found is an array of its own: it does not hold the outputs of its batch.
    assert all(output[0].base is None for output in kept if output is not None)


def test_length_and_type_tell_windows_apart() -> None:
    silences = [np.zeros(n, dtype) for n in (400, 401) for dtype in (np.float32, np.float64)]
    assert len({make_window_key(one) for one in silences}) == 4
    strided = np.arange(20, dtype=np.float32)[::2]
    assert make_window_key(strided) == make_window_key(strided.copy())


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_known_windows_count_as_done(batch_size: int) -> None:
    """The shares of the clips add up, and no figure ever falls."""
    seen = []
    meter = Meter(lambda _: seen.append(meter.read()))
    waveforms = [sound(1, 0, 0, 0), sound(*[0] * 70, 2), sound(1), sound(3, 1, 0), sound(*range(1, 30))]
    media = [*clips(*waveforms), NULL_MEDIA, *clips(sound(0))]
    with measured_by(meter):
        meter.expect_clips(len(media))
        list(run_pipeline(media, Summing(), options(batch_size)))
    windows = sum(len(one) // SECOND for one in waveforms) + 1
    end = meter.read()
    assert (end.windows, round(end.clips, 6)) == (windows, len(media))
    assert end.sound_seconds == pytest.approx(windows)
    assert meter.read_share() == pytest.approx(1)
    for before, after in pairwise(seen):
        assert after.windows >= before.windows
        assert after.clips >= before.clips - 1e-9
        assert after.sound_seconds >= before.sound_seconds - 1e-9


def test_silence_and_intros_cost_a_tagger_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    settings: dict[str, Any] = {"windows": "all", "hop_seconds": 5.0, "top_k": 18, "embeddings": True}
    tagger = build_tagger("demo", device="cpu", **settings)
    model = get_model(tagger.spec, "cpu")
    scored: list[int] = []
    predict = model.predict
    monkeypatch.setattr(model, "predict", lambda windows: scored.append(len(windows)) or predict(windows))
    memo.clear()
    intro, silence = synthesize("Music", 15.0, RATE_HZ, 3), np.zeros(60 * RATE_HZ, np.float32)
    ends = [synthesize(label, 25.0, RATE_HZ, 3) for label in ("Siren", "White noise")]
    cells = [
        {"array": one, "sampling_rate": RATE_HZ}
        for one in (*(np.concatenate([intro, end]) for end in ends), silence, silence[: 40 * RATE_HZ])
    ]
    results = tagger.classify(cells)
    again = tagger.classify(cells)
    for one, other in zip(results, again, strict=True):
        assert one.top == other.top
        assert np.array_equal(one.embedding, other.embedding)  # type: ignore[arg-type]
    # 40 s have seven windows, one of which is the intro's; silence has one, and a shorter one at its end.
    assert sum(scored) == 7 + 6 + 2
    for cell, result in zip(cells, results, strict=True):
        memo.clear()
        (alone,) = tagger.classify(cell)
        assert alone.tag == result.tag
        assert np.allclose(alone.embedding, result.embedding, atol=1e-4)  # type: ignore[arg-type]


FORK = """
import os, threading
from hf_audio_tagger.memo import windows
memory = windows.WindowMemory()
windows._lock.acquire()  # as if another thread were in it
child = os.fork()
if child == 0:
    memory.find((b"", 0, ""))
    os._exit(0)
print(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_while_the_memory_is_in_use_waits_for_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "0"
