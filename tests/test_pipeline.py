"""The pipeline: clips come in order, few files are open, memory is bounded, and broken answers are errors."""

import io
import os
import re
import shutil
import subprocess
import sys
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
import zero_model
from sound_files import KINDS, tones, write_sound
from transformers import AutoModelForAudioClassification
from zero_model import Zeros, files_at_most, options, with_room_for

from hf_audio_tagger import build_tagger
from hf_audio_tagger.cells import NULL_MEDIA, FileMedia, Media, SamplesMedia
from hf_audio_tagger.chunks import ClipEnd, PipelineOptions
from hf_audio_tagger.decode_ahead import limit_open_clips
from hf_audio_tagger.demo import CHECKPOINT
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.errors import ModelError
from hf_audio_tagger.media import audio
from hf_audio_tagger.models import ModelOutput, ModelSpec, get_model
from hf_audio_tagger.pipeline import ScoredWindows, run_pipeline

many = zero_model.many


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pipeline")


@pytest.mark.parametrize("windows", ["first", "all", 11])
def test_few_files_are_open_at_a_time_however_large_the_batch(many: list[Media], windows: str | int) -> None:
    list(run_pipeline(many[:1], Zeros(), options(windows, 256)))  # what is loaded once is open from now on
    with files_at_most(with_room_for(24)):
        events = list(run_pipeline(many, Zeros(), options(windows, 256)))
    ends = [event for event in events if isinstance(event, ClipEnd)]
    assert [end.clip for end in ends] == list(range(len(many)))
    assert not [end.error for end in ends if end.error]
    scored = sum(len(event.spans) for event in events if isinstance(event, ScoredWindows))
    assert scored == len(many) * {"first": 1, "all": 12, 11: 11}[windows]


def test_open_clips_are_few_and_within_the_limit() -> None:
    assert 2 <= limit_open_clips(1) <= 8
    assert limit_open_clips(16) <= 128
    with files_at_most(256):
        assert 16 <= limit_open_clips(16) <= 64
    with files_at_most(4):
        assert limit_open_clips(16) == 1


@pytest.mark.timeout(60)
@pytest.mark.parametrize("batch_size", [1, 16])
def test_all_threads_decode_however_small_a_batch_is(
    batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = 4
    together, original = threading.Barrier(threads), audio.open_sound

    @contextmanager
    def at_once(*given: Any) -> Iterator[Any]:
        together.wait(timeout=20)  # an error unless as many clips are opened at a time
        with original(*given) as sound:
            yield sound

    monkeypatch.setattr("hf_audio_tagger.chunks.open_sound", at_once)
    media: list[Media] = [SamplesMedia(np.zeros(16_000, np.float32), 16_000) for _ in range(2 * threads)]
    ends = list(run_pipeline(media, Zeros(), options("first", batch_size, threads)))
    errors = [event.error for event in ends if isinstance(event, ClipEnd)]
    assert errors == [None] * len(media)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("most_open", [1, 2, 5])
@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("windows", ["first", "all", 3])
def test_clips_of_all_lengths_come_in_order_however_few_may_be_open(
    most_open: int, threads: int, windows: str | int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hf_audio_tagger.decode_ahead.limit_open_clips", lambda _: most_open)
    now_open, most_seen, lock = 0, 0, threading.Lock()
    original = audio.open_sound

    @contextmanager
    def counted(*given: Any) -> Iterator[Any]:
        nonlocal now_open, most_seen
        with lock:
            now_open += 1
            most_seen = max(most_seen, now_open)
        try:
            with original(*given) as sound:
                yield sound
        finally:
            with lock:
                now_open -= 1

    monkeypatch.setattr("hf_audio_tagger.chunks.open_sound", counted)
    seconds = [1, 40, 3, 0, 25, 1, 1, 70, 0, 12, 33, 2] * 2
    media: list[Media] = [
        SamplesMedia(np.zeros(16_000 * length, np.float32), 16_000) if length else NULL_MEDIA
        for length in seconds
    ]
    scored = [0] * len(media)
    ended = []
    for event in run_pipeline(media, Zeros(), options(windows, 2, threads)):
        if isinstance(event, ClipEnd):
            ended.append((event.clip, event.error is None))
        else:
            assert event.clip == len(ended)
            scored[event.clip] += len(event.spans)
    assert ended == [(clip, length > 0) for clip, length in enumerate(seconds)]
    most = {"first": 1, "all": 99, 3: 3}[windows]
    assert scored == [min(most, length) for length in seconds]
    assert most_seen <= most_open
    events = run_pipeline(media, Zeros(), options(windows, 2, threads))
    next(events)
    events.close()
    assert now_open == 0


@pytest.mark.parametrize("windows", ["first", "all"])
def test_batches_stay_full_though_few_clips_are_open(many: list[Media], windows: str) -> None:
    sizes = []

    class Counted(Zeros):
        def predict(self, given: Any) -> ModelOutput:
            sizes.append(len(given))
            return super().predict(given)

    each = 1 if windows == "first" else 12
    batching = options(windows, 3, threads=1)
    full = 10 * batching.batch_size
    list(run_pipeline(many[:65], Counted(), batching))
    assert sum(sizes) == 65 * each
    assert max(sizes) == full
    assert sizes.count(full) >= 65 * each // (full + each)  # what is over makes a batch of its own


def test_an_error_of_the_model_is_not_the_clips(folder: Path) -> None:
    class Broken(Zeros):
        def predict(self, windows: Any) -> ModelOutput:
            raise ZeroDivisionError

    path = write_sound(folder / "model.wav", tones(0.5, 16_000), rate_hz=16_000, kind=KINDS["wav-pcm_s16le"])
    with pytest.raises(ZeroDivisionError):
        list(run_pipeline([FileMedia(str(path))], Broken(), options("first", 4)))


class Soundless:
    """A stream that opens, and of which nothing can be decoded."""

    rate_hz, duration_seconds = 44_100, None

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        return iter(())


@pytest.mark.parametrize("windows", ["first", "all", 1, 3])
def test_a_clip_without_a_window_ends_with_an_error(
    windows: str | int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hf_audio_tagger.chunks.open_sound", lambda *_: nullcontext(Soundless()))
    (end,) = run_pipeline([FileMedia("nothing.mp4")], get_model(ModelSpec("demo")), options(windows, 16))
    assert isinstance(end, ClipEnd)
    assert re.search(r"nothing\.mp4: .*no sound can be decoded", str(end.error))


class Overflowing:
    """A model that gives `wrong` for windows that begin loudly, and its embedding for those that end so."""

    labels, multi_label = ("quiet", "loud"), True
    rate_hz = window_samples = hop_samples = 16_000
    frame_samples, default_windows, embedding_size, device = 400, "first", 1, None

    def __init__(self, wrong: float) -> None:
        self.wrong = wrong

    def predict(self, windows: Any) -> ModelOutput:
        logits = np.array([[1.0, self.wrong if window[0] > 0.5 else 0.0] for window in windows], np.float32)
        return ModelOutput(
            logits, np.array([[self.wrong if one[-1] > 0.5 else 0.0] for one in windows], np.float32)
        )


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("batch_size", [1, 16])
def test_an_answer_that_is_no_number_is_its_clips_error(wrong: float, batch_size: int) -> None:
    """One window of a long clip is enough, and the clips beside it keep their answers."""
    waveforms = [np.zeros(40 * 16_000, np.float32) for _ in range(5)]
    waveforms[1][16_000 * 12] = 1.0
    waveforms[3][16_000 * 40 - 1] = 1.0
    media: list[Media] = [SamplesMedia(one, 16_000, f"{place}.wav") for place, one in enumerate(waveforms)]
    options = PipelineOptions("all", 16_000, "mean", "auto", batch_size, 2)
    scored = dict.fromkeys(range(5), 0)
    ends = []
    for event in run_pipeline(media, Overflowing(wrong), options):  # type: ignore[arg-type]
        if isinstance(event, ClipEnd):
            ends.append(event)
        else:
            assert np.isfinite(event.output.logits).all()
            scored[event.clip] += len(event.spans)
    assert [end.clip for end in ends] == list(range(5))
    assert [place for place, end in enumerate(ends) if end.error] == [1, 3]
    assert isinstance(ends[1].error, ModelError)
    assert re.search(r"^1\.wav: .*NaN or infinite.*bfloat16", str(ends[1].error))
    assert [scored[place] for place in (0, 2, 4)] == [40] * 3


@pytest.fixture(scope="module")
def broken_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("broken_model")
    shutil.copytree(CHECKPOINT, folder, dirs_exist_ok=True)
    model = AutoModelForAudioClassification.from_pretrained(CHECKPOINT)
    with torch.no_grad():
        model.classifier.dense.bias[3] = torch.nan
    model.save_pretrained(folder)
    return str(folder)


def test_broken_weights_give_no_tag(broken_model: str, tmp_path: Path) -> None:
    from hf_audio_tagger import export_predictions

    path = tmp_path / "clips" / "a.wav"
    path.parent.mkdir()
    path.write_bytes(wav(synthesize("Siren", 1.0, 16_000, 1)))
    settings: dict[str, Any] = {"top_k": 2, "segments": True, "on_error": "record"}
    result = build_tagger(broken_model, **settings).classify(path)[0]
    assert (result.tag, result.top, result.segments) == (None, None, None)
    assert "NaN" in str(result.error)
    with pytest.raises(ModelError, match=r"a\.wav.*NaN"):
        build_tagger(broken_model).tag(path)
    labelled = export_predictions(
        str(path.parent), tmp_path / "out", tagger=build_tagger(broken_model, on_error="record")
    )
    assert (labelled.labelled, labelled.failed) == (0, 1)
    assert not list((tmp_path / "out").rglob("*.npy"))


def wav(waveform: np.ndarray) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        writer.writeframes((waveform * 32_767).astype("<i2").tobytes())
    return file.getvalue()


class CountedFile(io.BytesIO):
    """Bytes that know how many of them were read."""

    read_bytes = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.read_bytes += len(data)
        return data


def write_repeated(path: Path, times: int) -> Path:
    """An mp4 of so many times ten seconds: the same AAC packets, encoded once."""
    second = synthesize("Siren", 10.0, 16_000, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(second[None], "fltp", "mono")
        frame.sample_rate = 16_000
        datas = [bytes(packet) for packet in (*stream.encode(frame), *stream.encode(None))]
        for place, data in enumerate(datas * times):
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, Fraction(1, 16_000)
            packet.pts = packet.dts = place * 1024
            packet.duration = 1024
            container.mux(packet)
    return path


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An hour of sound."""
    return write_repeated(tmp_path_factory.mktemp("long") / "long.mp4", times=360)


@pytest.mark.parametrize(("windows", "share"), [("first", 0.05), (4, 0.15)])
def test_only_what_is_scored_is_read(
    long_clip: Path, windows: str | int, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hf_audio_tagger.media import audio

    size = long_clip.stat().st_size
    file = CountedFile(long_clip.read_bytes())
    monkeypatch.setattr(audio, "open_source", lambda media, token: file)
    result = build_tagger("demo", windows=windows, decoder="pyav").classify(long_clip)[0]
    assert result.tag == "Siren"
    assert 0 < file.read_bytes < share * size


MEMORY = """
import sys
from hf_audio_tagger import build_tagger

def peak_mb():  # not ru_maxrss: it begins at the parent's peak
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024

tagger = build_tagger("demo", windows="all", segments=True, decoder="pyav")
tagger.classify(sys.argv[1])
before = peak_mb()
for path in sys.argv[2:]:
    assert tagger.classify(path)[0].tag == "Siren"
print(peak_mb() - before)
"""


@pytest.mark.campaign  # takes ten seconds
@pytest.mark.timeout(120)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_memory_is_bounded_by_windows_in_flight(long_clip: Path, tmp_path: Path) -> None:
    """An hour at 16 kHz is 230 MB of samples: whoever held them all would be seen."""
    short = write_repeated(tmp_path / "short.mp4", times=20)  # more than a batch of windows
    command = [sys.executable, "-c", MEMORY, str(short), str(long_clip)]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=True, env=one_thread)
    assert float(done.stdout.split()[-1]) < 150
