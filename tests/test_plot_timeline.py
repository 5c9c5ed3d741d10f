"""The picture of one clip over time."""

import tracemalloc
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Audio, Dataset, DatasetDict, List, Video
from figures import FOREIGN, LONG_NAMES, cut_texts, legend, overlaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sound_files import needs_torchcodec
from torchaudio.compliance.kaldi import fbank

from hf_audio_tagger import build_tagger, ontology
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.demo.videos import write_video
from hf_audio_tagger.errors import ColumnError, MediaError, SettingsError
from hf_audio_tagger.plot import plot_timeline
from hf_audio_tagger.plot.overview import read_overview
from hf_audio_tagger.plot.timeline import draw_time

WINDOW_SECONDS = 10.24  # and a frame's rest, 15 ms
RATE_HZ = 16_000


def lanes(figure: Figure) -> dict[str, list[tuple[float, float]]]:
    """Label and spans (start and end) of each lane, from the top down."""
    axes = figure.axes[2]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    spans = [
        [(box.x0, box.x1) for box in (path.get_extents() for path in lane.get_paths())]
        for lane in axes.collections
    ]
    return dict(zip(labels, spans, strict=True))


def times(axes: Axes) -> list[str]:
    """The labels on the axis of time."""
    axes.get_figure(root=True).draw_without_rendering()  # type: ignore[union-attr]
    low, high = axes.get_xlim()
    return [label.get_text() for label in axes.get_xticklabels() if low <= label.get_position()[0] <= high]


def segment(start: float, end: float, label: str = "Dog", score: float = 0.5) -> dict[str, Any]:
    return {"start": start, "end": end, "label": label, "score": score}


def read_mel(figure: Figure) -> np.ndarray:
    """The log-mel in decibels, (bands, columns)."""
    image: Any = figure.axes[1].images[0]
    return np.array(image.get_array())


def write_wav(path: Path, samples: np.ndarray, rate_hz: int = RATE_HZ, times: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        for _ in range(times):
            file.writeframes((samples * 32_767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds of one sound, then ten of another."""
    sounds = [synthesize(label, 10.0, 44_100, 3) for label in ("Siren", "Church bell")]
    path = tmp_path_factory.mktemp("pair") / "siren_then_bell.mp4"
    write_video(path, np.concatenate(sounds), 44_100)
    return path


@pytest.fixture(scope="module")
def timeline(pair: Path) -> Figure:
    return plot_timeline(str(pair), build_tagger("demo"))


def test_the_whole_clip_is_processed(timeline: Figure) -> None:
    spans = lanes(timeline)
    assert list(spans) == ["Siren", "Church bell"]
    assert spans["Siren"] == [pytest.approx((0, WINDOW_SECONDS))]
    assert spans["Church bell"] == [pytest.approx((WINDOW_SECONDS, 20), abs=0.1)]
    assert list(legend(timeline)) == ["Music", "Sounds of things"]
    assert timeline.axes[0].get_title(loc="left") == "siren_then_bell.mp4"


def test_all_three_share_the_time(timeline: Figure) -> None:
    waveform, mel, labels = timeline.axes
    assert waveform.get_xlim() == mel.get_xlim() == labels.get_xlim() == pytest.approx((0, 20), abs=0.1)
    waveform.set_xlim(5, 6)
    assert labels.get_xlim() == (5, 6)
    waveform.set_xlim(0, 20)
    assert times(labels) == ["0", "2", "4", "6", "8", "10", "12", "14", "16", "18", "20"]


def test_the_change_is_drawn_at_its_time(timeline: Figure) -> None:
    """Much of a siren lies above 2 kHz, and next to nothing of a bell."""
    power = 10 ** (read_mel(timeline) / 10)
    _, end, _, _ = timeline.axes[1].images[0].get_extent()
    seconds = (np.arange(power.shape[1]) + 0.5) * end / power.shape[1]
    high = power[45:].sum(axis=0) / power.sum(axis=0)
    assert high[(seconds > 0.1) & (seconds < 9.9)].min() > 0.1
    assert high[(seconds > 10.1) & (seconds < 19.9)].max() < 0.05


@pytest.fixture(scope="module")
def tagged(pair: Path) -> Dataset:
    tagger = build_tagger("demo", windows="all", segments=True)
    return Dataset.from_dict({"video": [str(pair)]}).cast_column("video", Video()).map(tagger)


@pytest.mark.parametrize(
    "feature", [Video(decode=False), pytest.param(Video(), marks=needs_torchcodec)], ids=str
)
def test_draws_a_row_of_a_tagged_dataset(tagged: Dataset, timeline: Figure, feature: Video) -> None:
    figure = plot_timeline(tagged.cast_column("video", feature)[0])
    of_row, of_file = lanes(figure), lanes(timeline)
    assert list(of_row) == list(of_file)
    for label, spans in of_file.items():
        assert of_row[label] == [pytest.approx(span) for span in spans]


@pytest.mark.parametrize("feature", [Video(decode=False), Video(), Audio()], ids=str)
def test_draws_the_row_of_an_index_without_decoding_it(
    tagged: Dataset, timeline: Figure, feature: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where `datasets` finds no FFmpeg: nothing asks for its decoders, whatever the format."""
    for kind in (Video, Audio):
        monkeypatch.setattr(kind, "decode_example", lambda *_, **__: pytest.fail("a row was decoded"))
    ds = tagged.cast_column("video", feature)
    drawn = lanes(timeline)
    for form in (ds, ds.with_format("numpy"), ds.with_transform(lambda _: pytest.fail("it was read"))):
        assert list(lanes(plot_timeline(form, 0))) == list(drawn)
    without = ds.remove_columns("video_audio_segments")
    assert lanes(plot_timeline(without, -1, build_tagger("demo"))) == drawn
    two = Dataset.from_dict({"video": ["/no/such.mp4", "/no/either.mp4"]}).cast_column("video", feature)
    with pytest.raises(MediaError, match="either"):
        plot_timeline(two.select([1]), 0, build_tagger("demo"))


def test_draws_bytes_of_the_row_of_an_index(pair: Path, timeline: Figure) -> None:
    cell = {"path": None, "bytes": pair.read_bytes()}
    ds = Dataset.from_dict({"sounds": [[cell, cell]]}).cast_column("sounds", List(Audio()))
    for tagger in (build_tagger("demo", column="sounds"), build_tagger("demo")):  # found by its feature
        assert lanes(plot_timeline(ds, 0, tagger, video=1)) == lanes(timeline)


@pytest.mark.parametrize(
    ("given", "index", "words"),
    [
        (Dataset.from_dict({"video": ["a"]}), 1, "index must be that of one of the dataset's 1 rows; got 1"),
        (Dataset.from_dict({"video": ["a"]}), -2, "got -2"),
        (Dataset.from_dict({"video": ["a"]}), True, "got True"),
        (Dataset.from_dict({"video": ["a"]}), "0", "got '0'"),
        (DatasetDict({"test": Dataset.from_dict({"video": ["a"]})}), 0, r"ds\['test'\]"),
        (Dataset.from_dict({"video": ["a"]}).to_iterable_dataset(), 0, "decode"),
        ({"video": "a"}, 0, "got dict|one split"),
    ],
)
def test_an_index_that_names_no_row(given: Any, index: Any, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        plot_timeline(given, index)


def test_draws_recorded_segments_without_a_model(pair: Path) -> None:
    row = {
        "videos": ["/no/such.mp4", {"path": None, "bytes": pair.read_bytes()}],
        "sound_segments": [None, [segment(0, 4), segment(4, 9, "Cat"), segment(9, 20)]],
    }
    figure = plot_timeline(row, video=1, tag_column="sound_tags", title="bytes")
    assert lanes(figure) == {"Dog": [(0, 4), (9, 20)], "Cat": [(4, 9)]}
    assert [text.get_text() for text in figure.axes[2].texts] == ["0.50"] * 3
    tagger = build_tagger("demo", column="videos", tag_column="sound_tags")
    assert lanes(plot_timeline(row, tagger, video=1)) == lanes(figure)


def test_takes_samples(timeline: Figure) -> None:
    samples = {"array": synthesize("Siren", 2.0, 44_100, 3), "sampling_rate": 44_100}
    figure = plot_timeline({"audio": samples}, build_tagger("demo"))
    assert list(lanes(figure)) == ["Siren"]
    assert figure.axes[0].get_title(loc="left") == ""


def test_marks_what_was_not_processed(pair: Path) -> None:
    figure = plot_timeline(str(pair), build_tagger("demo", windows="first"))
    assert [text.get_text() for text in figure.axes[2].texts if text.get_text() == "not processed"]
    gap: Any
    [gap] = figure.axes[2].patches
    assert gap.get_x() == pytest.approx(WINDOW_SECONDS, abs=0.02)
    assert gap.get_x() + gap.get_width() == pytest.approx(20, abs=0.1)


def test_log_mel_is_kaldi_s(tmp_path: Path) -> None:
    sound = synthesize("Music", 3.0, RATE_HZ, 1)
    path = write_wav(tmp_path / "short.wav", sound)
    figure = plot_timeline({"audio": str(path), "video_audio_segments": [[]]})
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(-1), "<i2").astype(np.float32) / 32_768
    waveform = torch.from_numpy(samples)[None]
    expected = fbank(waveform, sample_frequency=RATE_HZ, num_mel_bins=80, window_type="hanning", dither=0.0)
    shown = read_mel(figure)[:, : len(expected)]
    np.testing.assert_allclose(shown.T, expected.numpy() * 10 / np.log(10), atol=0.02)
    low, high = figure.axes[1].images[0].get_clim()
    assert shown.max() <= high
    assert high - low == 80


def test_a_tone_lies_at_its_pitch(tmp_path: Path) -> None:
    """The ticks of frequency belong to the picture above them."""
    for hz, tick in ((1000, "1 kHz"), (4000, "4 kHz")):
        tone = 0.5 * np.sin(2 * np.pi * hz * np.arange(RATE_HZ) / RATE_HZ)
        path = write_wav(tmp_path / f"{hz}.wav", tone)
        figure = plot_timeline({"audio": str(path), "video_audio_segments": [[]]})
        loudest = read_mel(figure).mean(axis=1).argmax() + 0.5
        labels = figure.axes[1].get_yticklabels()
        [place] = [label.get_position()[1] for label in labels if label.get_text() == tick]
        assert abs(loudest - place) < 1


def test_a_long_clip_is_averaged(tmp_path: Path) -> None:
    """Columns of a minute are several frames long: their mean power, and the extremes of their samples."""
    rng = np.random.default_rng(5)
    sound = rng.uniform(-1, 1, 60 * RATE_HZ) * np.linspace(0.1, 0.9, 60 * RATE_HZ)
    path = write_wav(tmp_path / "minute.wav", sound)
    figure = plot_timeline({"audio": str(path), "video_audio_segments": [[]]})
    samples = (sound * 32_767).astype("<i2").astype(np.float32) / 32_768
    image = read_mel(figure)
    columns = image.shape[1]
    assert 750 <= columns <= 1500
    width = 60 * RATE_HZ // columns
    edges = np.arange(0, len(samples), width)
    envelope: Any
    [envelope] = figure.axes[0].collections
    ys = envelope.get_paths()[0].vertices
    seconds, least, most = (
        edges / RATE_HZ,
        np.minimum.reduceat(samples, edges),
        np.maximum.reduceat(samples, edges),
    )
    for place in (0, 1, columns // 2, columns - 1):
        inside = ys[np.isclose(ys[:, 0], seconds[place])][:, 1]
        assert np.isclose(inside, most[place]).any()
        assert np.isclose(inside, least[place]).any()
    power = fbank(
        torch.from_numpy(samples)[None],
        sample_frequency=RATE_HZ,
        num_mel_bins=80,
        window_type="hanning",
        dither=0.0,
    ).exp()
    frames = width // 160
    place = columns // 2
    mean = power[place * frames : (place + 1) * frames].mean(dim=0)
    np.testing.assert_allclose(image[:, place], 10 * np.log10(mean.numpy()), atol=0.02)


class Minutes:
    """Two minutes of noise, made as they are read."""

    rate_hz = RATE_HZ
    duration_seconds: float | None = None

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        noise = np.random.default_rng(4).uniform(-1, 1, RATE_HZ).astype(np.float32)
        return (noise.copy() for _ in range(120))


@pytest.mark.timeout(60)
def test_memory_does_not_grow_with_the_clip() -> None:
    """The samples alone would take 7.7 MB."""
    tracemalloc.start()
    try:
        overview = read_overview(Minutes(), "noise")
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert overview.seconds == 120
    assert len(overview.mel_db) <= 1500
    assert peak_bytes < 6e6


@pytest.mark.parametrize(
    ("seconds", "first", "unit"),
    [
        (0.02, ["0", "0.002"], "seconds"),
        (2, ["0", "0.2"], "seconds"),
        (45, ["0", "5"], "seconds"),
        (90, ["0:00", "0:10"], "minutes:seconds"),
        (600, ["0:00", "1:00"], "minutes:seconds"),
        (5400, ["0:00:00", "0:10:00"], "hours:minutes:seconds"),
    ],
)
def test_time_in_the_form_that_suits_the_clip(seconds: float, first: list[str], unit: str) -> None:
    axes = Figure(figsize=(11, 2)).add_subplot()
    draw_time(axes, seconds)
    shown = times(axes)
    assert shown[:2] == first
    assert len(shown) <= 13
    assert not overlaps(axes.get_xticklabels())
    assert axes.get_xlabel() == unit


def test_silence_is_drawn_flat_and_dark() -> None:
    hiss = 1e-4 * np.random.default_rng(2).standard_normal(RATE_HZ).astype(np.float32)
    row = {"audio": {"array": hiss, "sampling_rate": RATE_HZ}, "video_audio_segments": [[]]}
    figure = plot_timeline(row)
    assert figure.axes[0].get_ylim()[1] > 20 * 1e-4
    darkest, brightest = figure.axes[1].images[0].get_clim()
    assert (read_mel(figure).max() - darkest) / (brightest - darkest) < 0.5


def test_many_labels_share_a_lane(pair: Path) -> None:
    names = [category.name for category in ontology.audioset_classes()][:40]
    segments = [segment(place / 2, place / 2 + 0.5, name) for place, name in enumerate(names)]
    segments.append(segment(20, 22, names[30]))
    figure = plot_timeline({"video": str(pair), "video_audio_segments": [segments]})
    labels = list(lanes(figure))
    assert len(labels) == 12
    assert labels[-1] == "29 other labels"
    assert names[30] in labels
    assert not cut_texts(figure)


def test_no_text_of_a_timeline_is_cut(pair: Path, timeline: Figure) -> None:
    names = [*LONG_NAMES, FOREIGN]
    segments = [segment(2.5 * place, 2.5 * place + 2.5, name) for place, name in enumerate(names)]
    figure = plot_timeline({"video": str(pair), "video_audio_segments": [segments]}, title="a $5 title")
    for one in (figure, timeline):
        assert not cut_texts(one)
        assert not overlaps(one.axes[2].get_yticklabels())
        assert not overlaps(one.axes[1].get_yticklabels())
        assert not overlaps(one.legends[0].get_texts())


def test_clips_that_cannot_be_drawn(clips: dict[str, Path], pair: Path) -> None:
    demo = build_tagger("demo")
    with pytest.raises(MediaError, match="no audio stream"):
        plot_timeline(str(clips["EMPTY"]), demo)
    with pytest.raises(MediaError, match=r"broken\.mp4"):
        plot_timeline({"video": str(clips["broken"]), "video_audio_segments": [None]})
    with pytest.raises(SettingsError, match="segments=True"):
        plot_timeline(str(pair))
    with pytest.raises(SettingsError, match="segments=True"):
        plot_timeline({"video": str(pair), "video_audio_tags": ["Siren"]})
    with pytest.raises(SettingsError, match="video must be"):
        plot_timeline({"videos": [str(pair)] * 2}, demo, video=2)
    with pytest.raises(SettingsError, match=r"plot_timeline\(ds, 0\)"):
        plot_timeline(Dataset.from_dict({"video": [str(pair)]}), demo)
    with pytest.raises(ColumnError, match="'film'"):
        plot_timeline({"film": str(pair.with_suffix(""))}, demo)
