"""Windows: which are heard, what they cost, and that the answer is transformers' own."""

import io
import os
import re
import shutil
import subprocess
import sys
import wave
from collections.abc import Iterator
from contextlib import nullcontext
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

from hf_audio_tagger import build_tagger
from hf_audio_tagger.cells import FileMedia, Media, SamplesMedia
from hf_audio_tagger.demo import CHECKPOINT
from hf_audio_tagger.demo.sounds import LABELS, synthesize
from hf_audio_tagger.demo.videos import write_video
from hf_audio_tagger.errors import ModelError
from hf_audio_tagger.media.decoders.samples import SamplesSound
from hf_audio_tagger.models import ModelSpec, get_model
from hf_audio_tagger.models.model import ModelOutput
from hf_audio_tagger.pipeline import ClipEnd, PipelineOptions, run_pipeline
from hf_audio_tagger.windows import Window, cut_windows, slide_windows, spread_starts

WINDOW, HOP = 164_080, 163_840  # AST: 1,024 frames at 16 kHz, and the next 1,024


def sequence(*labels: str, seconds: float = 10.0, rate_hz: int = 16_000) -> np.ndarray:
    return np.concatenate(
        [synthesize(label, seconds, rate_hz, 500 + seed) for seed, label in enumerate(labels)]
    )


def cell(waveform: np.ndarray, rate_hz: int = 16_000) -> dict[str, Any]:
    return {"array": waveform, "sampling_rate": rate_hz}


def transformers_scores(waveform: np.ndarray) -> np.ndarray:
    """Sigmoids of the demo model by transformers alone."""
    extractor = AutoFeatureExtractor.from_pretrained(CHECKPOINT)
    model = AutoModelForAudioClassification.from_pretrained(CHECKPOINT).eval()
    with torch.no_grad():
        logits = model(**extractor(waveform, sampling_rate=16_000, return_tensors="pt")).logits
    return torch.sigmoid(logits.double())[0].numpy()


# --- what is heard


def test_scores_are_a_straightforward_recomputation_with_transformers() -> None:
    waveform = sequence("Siren", "Dial tone", "Clicking", seconds=9.0)
    windows = [waveform[start : start + WINDOW] for start in range(0, len(waveform), HOP)]
    scores = np.stack([transformers_scores(window) for window in windows])
    tagger = build_tagger("demo", windows="all", top_k=len(LABELS), segments=True)
    result = tagger.classify(cell(waveform))[0]
    assert result.top is not None
    assert result.segments is not None
    mean = dict(zip(tagger.labels, scores.mean(axis=0), strict=True))
    assert [label for label, _ in result.top] == sorted(mean, key=lambda label: -mean[label])
    assert max(abs(score - mean[label]) for label, score in result.top) < 1e-4
    leaders = [tagger.labels[int(row.argmax())] for row in scores]
    assert [segment.label for segment in result.segments] == [label for label, _ in groupby(leaders)]
    first = build_tagger("demo", top_k=len(LABELS)).classify(cell(waveform))[0]
    assert first.top is not None
    assert (
        max(abs(score - dict(zip(tagger.labels, scores[0], strict=True))[name]) for name, score in first.top)
        < 1e-4
    )


def test_two_sounds_give_two_segments_with_the_border_within_a_window(tmp_path: Path) -> None:
    path = tmp_path / "two.mp4"
    write_video(path, sequence("Siren", "White noise", rate_hz=44_100), 44_100)
    result = build_tagger("demo", windows="all", segments=True).classify(path)[0]
    assert result.segments is not None
    assert [segment.label for segment in result.segments] == ["Siren", "White noise"]
    siren, noise = result.segments
    assert siren.start == 0
    assert abs(siren.end - 10.0) < 10.24
    assert siren.end == noise.start
    assert abs(noise.end - 20.0) < 0.1
    fine = build_tagger("demo", windows="all", hop_seconds=2.0, segments=True).classify(path)[0]
    assert fine.segments is not None
    assert {segment.label for segment in fine.segments} >= {"Siren", "White noise"}


@pytest.mark.parametrize("seconds", [0.5, 5.0, 10.24, 10.255])
def test_all_windows_of_a_clip_of_one_window_are_the_first(seconds: float) -> None:
    waveform = synthesize("Music", seconds, 16_000, 3)
    settings = {"top_k": 5, "embeddings": True}
    heard = [
        build_tagger("demo", windows=w, **settings).classify(cell(waveform))[0] for w in ("first", "all", 3)
    ]
    for other in heard[1:]:
        assert (other.tag, other.top) == (heard[0].tag, heard[0].top)
        assert other.embedding is not None
        assert np.array_equal(other.embedding, heard[0].embedding)


def test_spread_windows_hear_all_of_the_clip() -> None:
    labels = ("Siren", "White noise", "Dial tone", "Clicking", "Church bell")
    waveform = sequence(*labels, seconds=20.0)
    result = build_tagger("demo", windows=5, segments=True).classify(cell(waveform))[0]
    assert result.segments is not None
    assert tuple(segment.label for segment in result.segments) == labels
    starts = [segment.start for segment in result.segments]
    assert np.allclose(starts, [20 * n + 10 - WINDOW / 32_000 for n in range(5)], atol=0.01)


def test_embeddings_are_the_mean_of_what_enters_the_classifier() -> None:
    waveform = sequence("Siren", "Clicking", seconds=10.24)
    model = AutoModelForAudioClassification.from_pretrained(CHECKPOINT).eval()
    extractor = AutoFeatureExtractor.from_pretrained(CHECKPOINT)
    pooled = []
    for start in (0, HOP):
        window = waveform[start : start + WINDOW]
        with torch.no_grad():
            inputs = extractor(window, sampling_rate=16_000, return_tensors="pt")
            pooled.append(model.audio_spectrogram_transformer(**inputs).pooler_output[0].numpy())
    embedding = build_tagger("demo", windows="all", embeddings=True).classify(cell(waveform))[0].embedding
    assert embedding is not None
    assert embedding.dtype == np.float32
    assert np.abs(embedding - np.mean(pooled, axis=0)).max() < 1e-4


# --- where windows lie


@pytest.mark.parametrize(
    ("length", "size", "hop", "expected"),
    [
        (5, 10, 10, [(0, 5)]),
        (10, 10, 10, [(0, 10)]),
        (25, 10, 10, [(0, 10), (10, 10), (20, 5)]),
        (21, 10, 10, [(0, 10), (10, 10)]),  # one sample makes no frame of two
        (3, 10, 5, [(0, 3)]),  # less than what two windows share
        (5, 10, 5, [(0, 5)]),
        (25, 10, 5, [(0, 10), (5, 10), (10, 10), (15, 10)]),  # nothing unheard is left
        (26, 10, 5, [(0, 10), (5, 10), (10, 10), (15, 10), (20, 6)]),
        (30, 10, 15, [(0, 10), (15, 10)]),  # a gap between windows
        (37, 10, 15, [(0, 10), (15, 10), (30, 7)]),
        (1, 10, 10, [(0, 2)]),  # padded to a frame
    ],
)
@pytest.mark.parametrize("block", [1, 3, 7, 100])
def test_sliding_windows(
    length: int, size: int, hop: int, expected: list[tuple[int, int]], block: int
) -> None:
    clip = np.arange(1, length + 1, dtype=np.float32)
    blocks = [clip[start : start + block] for start in range(0, length, block)]
    windows = list(slide_windows(blocks, size, hop, frame=2))
    assert [(window.start_sample, len(window.samples)) for window in windows] == expected
    for window in windows:
        there = clip[window.start_sample : window.start_sample + len(window.samples)]
        assert np.array_equal(window.samples[: len(there)], there)


def test_spread_starts_lie_inside_and_in_order() -> None:
    assert spread_starts(total=1000, size=100, hop=100, count=1) == [450]
    assert spread_starts(total=1000, size=100, hop=100, count=10) is None
    for total in (0, 1, 99, 100):  # a window holds the whole clip
        assert spread_starts(total=total, size=100, hop=100, count=1) is None
    assert spread_starts(total=101, size=100, hop=100, count=1) == [0]
    for count in (2, 3, 9):
        starts = spread_starts(total=1000, size=100, hop=100, count=count)
        assert starts is not None
        assert len(starts) == count
        assert starts == sorted(starts)
        assert starts[0] >= 0
        assert starts[-1] <= 900


def options(windows: str | int) -> PipelineOptions:
    return PipelineOptions(windows, HOP, "mean", "auto", 16, 1)


@pytest.mark.parametrize("is_writeable", [False, True])
@pytest.mark.parametrize("windows", ["first", "all", 3])
def test_a_window_keeps_no_clip_alive(windows: str | int, is_writeable: bool) -> None:
    """Sound that is in memory at the model's rate is cut out of it, not looked at through it."""
    model = get_model(ModelSpec("demo"))
    clip = np.zeros((2, 60 * 16_000), np.float32)
    clip.setflags(write=is_writeable)
    sound = SamplesSound(SamplesMedia(clip, 16_000, "a clip"), "first")
    heard = list(cut_windows(sound, "a clip", model, windows, model.hop_samples))
    assert heard
    for window in heard:
        assert window.samples.flags.writeable
        whole = window.samples if window.samples.base is None else window.samples.base
        assert whole.nbytes < 2 * 4 * model.window_samples


@pytest.mark.parametrize("rate_hz", [44_100, 48_000, 22_050, 11_025, 16_000, 8_000])
def test_windows_are_cut_from_the_whole_clip_at_the_models_rate(rate_hz: int) -> None:
    from torchaudio.functional import resample

    waveform = sequence("Music", "Siren", seconds=13.0, rate_hz=rate_hz)
    whole = resample(torch.from_numpy(waveform), rate_hz, 16_000).numpy()
    sound = SamplesSound(SamplesMedia(waveform, rate_hz), "mean")
    model = get_model(ModelSpec("demo"))
    for windows in ("first", "all", 2):
        heard: list[Window] = list(cut_windows(sound, "a clip", model, windows, HOP))
        assert len(heard) == {"first": 1, "all": 3, 2: 2}[windows]
        for window in heard:
            there = whole[window.start_sample : window.start_sample + WINDOW]
            assert window.samples.shape == there.shape
            assert np.abs(window.samples - there).max() < 5e-5


class Soundless:
    """A stream that opens, and of which nothing can be decoded."""

    rate_hz, duration_seconds = 44_100, None

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        return iter(())


@pytest.mark.parametrize("windows", ["first", "all", 1, 3])
def test_a_clip_without_a_window_ends_with_an_error(
    windows: str | int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hf_audio_tagger.pipeline.open_sound", lambda *_: nullcontext(Soundless()))
    (ending,) = run_pipeline([FileMedia("nothing.mp4")], get_model(ModelSpec("demo")), options(windows))
    assert isinstance(ending, ClipEnd)
    assert re.search(r"nothing\.mp4: .*no sound can be decoded", str(ending.error))


# --- answers that are no numbers


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
    heard = dict.fromkeys(range(5), 0)
    endings = []
    for event in run_pipeline(media, Overflowing(wrong), options):  # type: ignore[arg-type]
        if isinstance(event, ClipEnd):
            endings.append(event)
        else:
            assert np.isfinite(event.output.logits).all()
            heard[event.clip] += len(event.spans)
    assert [ending.clip for ending in endings] == list(range(5))
    assert [place for place, ending in enumerate(endings) if ending.error] == [1, 3]
    assert isinstance(endings[1].error, ModelError)
    assert re.search(r"^1\.wav: .*NaN or infinite.*bfloat16", str(endings[1].error))
    assert [heard[place] for place in (0, 2, 4)] == [40] * 3


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


# --- what it costs


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
def test_only_what_is_heard_is_read(
    long_clip: Path, windows: str | int, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hf_audio_tagger.media import audio

    size = long_clip.stat().st_size
    file = CountedFile(long_clip.read_bytes())
    monkeypatch.setattr(audio, "open_source", lambda media: file)
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


@pytest.mark.timeout(120)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_memory_is_bounded_by_windows_in_flight(long_clip: Path, tmp_path: Path) -> None:
    """An hour at 16 kHz is 230 MB of samples: whoever held them all would be seen."""
    short = write_repeated(tmp_path / "short.mp4", times=20)  # more than a batch of windows
    command = [sys.executable, "-c", MEMORY, str(short), str(long_clip)]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=True, env=one_thread)
    assert float(done.stdout.split()[-1]) < 150
