"""The area of text: which frames are sampled, boxes and their areas, what a map gets."""

import pickle
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from datasets import Dataset, List, Value
from datasets.fingerprint import Hasher
from picture_files import write_pictures
from text_detectors import skip_without

from hf_audio_tagger import MediaError, SettingsError, text_area
from hf_audio_tagger.cells import FileMedia
from hf_audio_tagger.measures import text
from hf_audio_tagger.measures.text_detectors import ppocr
from hf_audio_tagger.measures.text_detectors.boxes import TextBoxes
from hf_audio_tagger.media.frames import Pictures, open_pictures
from hf_audio_tagger.media.sampled_frames import read_sampled_frames

cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")

PEERS = {"video1": 0.0672511574074074, "video3": 0.07507049953959484, "video4": 0.0}
VARIABLE = [0, 40, 60, 260, 280, 300, 380, 700, 740, 760, 800, 1000, 1040, 1300, 1500, 1540, 1580, 1660]
KINDS: dict[str, dict[str, Any]] = {
    "a.mp4": {},
    "bframes.mov": {"options": {"preset": "veryfast", "bf": "3"}},
    "variable.mp4": {"frames": 18, "times": VARIABLE, "options": {"preset": "veryfast", "bf": "2"}},
    "three.mp4": {"frames": 3},
    "a.mkv": {},
    "vp8.webm": {"codec": "libvpx", "frames": 15},
    "fragmented.mp4": {"mux": {"movflags": "frag_keyframe+empty_moov"}},
}


@pytest.mark.parametrize("name", KINDS)
def test_frames_are_at_even_distances(tmp_path: Path, name: str) -> None:
    """The first frame at a time or after, of the whole duration cut in equal parts, else the last."""
    path = write_pictures(tmp_path / name, **{"frames": 30, **KINDS[name]})
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        pts = [frame.pts for frame in container.decode(stream)]
        tick, duration = stream.time_base, (stream.duration or 0) * stream.time_base
        duration = duration or Fraction(container.duration, av.time_base)
    for most in (1, 2, 3, 7):
        count = min(most, len(pts))
        times = [duration / 2] if count == 1 else [duration * part / (count - 1) for part in range(count)]
        expected = [next((one for one in pts if one * tick >= time), pts[-1]) for time in times]
        with open_pictures(FileMedia(str(path))) as pictures:
            assert [frame.pts for frame in read_sampled_frames(pictures, most)] == expected


def test_only_the_groups_of_sampled_frames_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_pictures(tmp_path / "a.mp4", 120)  # a key frame each 12
    decoded = []
    frames = Pictures.frames
    monkeypatch.setattr(
        Pictures, "frames", lambda self: (decoded.append(frame) or frame for frame in frames(self))
    )
    with open_pictures(FileMedia(str(path))) as pictures:
        assert len(list(read_sampled_frames(pictures, 3))) == 3
    assert len(decoded) <= 3 * 12


def test_areas_are_sums_of_boxes() -> None:
    """As in Data-Juicer: overlaps count twice, and a rectangle of negative size not at all."""
    rectangles = [(0, 10, 0, 5), (5, 10, 0, 5), (9, 3, 0, 5)]
    diamond = [(5.0, 0.0), (10.0, 5.0), (5.0, 10.0), (0.0, 5.0)]
    assert TextBoxes(rectangles).area == 75
    assert TextBoxes(rectangles, [diamond]).area == 125
    assert TextBoxes().area == 0
    assert TextBoxes(rectangles[:1], [diamond]).outlines == [[(0, 0), (10, 0), (10, 5), (0, 5)], diamond]


def test_boxes_are_rectangles_around_pixels_of_text_enlarged() -> None:
    """Of 20 x 10 pixels; each side moves by twice the area over the perimeter."""
    probabilities = np.zeros((64, 96), np.float32)
    probabilities[20:30, 40:60] = 0.9
    probabilities[50:52, 2:60] = 0.9  # too thin
    probabilities[2:12, 70:90] = 0.4  # not sure enough
    [corners] = ppocr.find_boxes(probabilities, 128, 192)  # a picture twice as large
    margin = 2 * 20 * 10 / (2 * (20 + 10))
    low, high = np.min(corners, 0), np.max(corners, 0)
    expected_low = np.round(2 * np.array([40 - margin, 20 - margin]))
    expected_high = np.round(2 * np.array([60 + margin, 30 + margin]))
    assert np.abs(low - expected_low).max() <= 2
    assert np.abs(high - expected_high).max() <= 2
    turned = np.zeros((64, 96), np.float32)
    cv2.fillPoly(turned, [np.array([[20, 20], [60, 40], [55, 50], [15, 30]])], 0.9)
    [corners] = ppocr.find_boxes(turned, 64, 96)
    assert len({round(x) for x, _ in corners}) == 4  # no side is level


@pytest.fixture
def bright(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector that takes a bright column at the left for text."""

    def find_text(picture: np.ndarray, languages: tuple[str, ...]) -> TextBoxes:
        width = int((picture[..., 0] > 128).all(axis=0).sum())
        return TextBoxes([(0, width, 0, picture.shape[0])])

    fake = SimpleNamespace(check=lambda: None, find_text=find_text)
    monkeypatch.setitem(text.DETECTORS, "ppocr", fake)


@pytest.fixture(scope="module")
def columns(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Videos in which a quarter, then a half of each frame is bright, in several containers."""
    folder = tmp_path_factory.mktemp("columns")
    pictures = [np.zeros((64, 64, 3), np.uint8) for _ in range(20)]
    for index, picture in enumerate(pictures):
        picture[:, : 16 if index < 12 else 32] = 255
    written = {}
    for name in ("a.mp4", "b.mkv", "c.mov"):
        path = write_pictures(folder / name, 20, size=(64, 64), pictures=pictures, options={"crf": "1"})
        written[name] = str(path)
    written["text.mp4"] = str(folder / "text.mp4")
    Path(written["text.mp4"]).write_bytes(b"this is no video" * 100)
    return written


@pytest.mark.usefixtures("bright")
def test_a_map_adds_the_mean_over_the_frames(columns: dict[str, str]) -> None:
    rows = Dataset.from_dict({"videos": [[columns["a.mp4"], columns["b.mkv"]], [], [columns["c.mov"]]]})
    there = rows.map(text_area())
    assert there["video_ocr_area_ratio"][:] == [[1 / 3, 1 / 3], [], [1 / 3]]
    assert there.features["video_ocr_area_ratio"] == List(Value("float64"))
    assert rows.map(text_area(frames=1), batched=True)["video_ocr_area_ratio"][:] == [
        [0.25, 0.25],
        [],
        [0.25],
    ]
    assert text_area(frames=2).compute(Path(columns["a.mp4"]).read_bytes()) == 0.375
    failed = {"videos": [columns["text.mp4"], columns["a.mp4"]]}
    with pytest.raises(MediaError, match=r"text\.mp4"):
        text_area()(failed | {"text": "a row"})
    recorded = text_area(on_error="record")(failed | {"text": "a row"})
    assert recorded["video_ocr_area_ratio"] == [None, 1 / 3]


@pytest.mark.usefixtures("bright")
def test_a_recipe_names_its_detector(columns: dict[str, str], tmp_path: Path) -> None:
    import json

    import yaml

    from hf_audio_tagger.recipes import run_recipe

    rows = [[columns["a.mp4"]], [], [columns["text.mp4"]], [columns["b.mkv"]]]
    samples = [json.dumps({"text": str(number), "videos": row}) for number, row in enumerate(rows)]
    (tmp_path / "samples.jsonl").write_text("\n".join(samples))
    for limit, kept in ((0.3, ["1", "2"]), (0.4, ["0", "1", "2", "3"])):
        recipe = {
            "dataset_path": str(tmp_path / "samples.jsonl"),
            "export_path": str(tmp_path / "out" / "res.jsonl"),
            "np": 1,
            "process": [{"video_ocr_area_ratio_filter": {"max_area_ratio": limit}}],
        }
        (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        report = run_recipe(tmp_path / "recipe.yaml", lambda line: None, overwrite=True)
        lines = (tmp_path / "out" / "res.jsonl").read_text().splitlines()
        assert [json.loads(line)["text"] for line in lines] == kept
        assert report.counts["text area by ppocr"] == 4
        assert [failure.sample for failure in report.failures] == [2]


@pytest.mark.usefixtures("bright")
def test_settings_are_checked_hashed_and_pickled(monkeypatch: pytest.MonkeyPatch) -> None:
    for settings, message in (
        ({"detector": "tesseract"}, "detector must be one of 'ppocr', 'easyocr'; got 'tesseract'."),
        (
            {"detector": ["easyocr"]},
            "detector must be one of 'ppocr', 'easyocr'; got ['easyocr']. Did you mean 'easyocr'?",
        ),
        ({"frames": 0}, "frames must be a whole number of at least 1; got 0."),
        (
            {"languages": []},
            "languages must be a code of EasyOCR's, such as 'en', or a list of them; got [].",
        ),
        ({"languages": 3}, "languages must be a code of EasyOCR's, such as 'en', or a list of them; got 3."),
        ({"max_seconds": 0}, "max_seconds must be a number above 0; got 0."),
    ):
        with pytest.raises(SettingsError) as caught:
            text_area(**settings)
        assert str(caught.value) == message
    measure = text_area(frames=5)
    assert pickle.loads(pickle.dumps(measure)) == measure
    assert Hasher.hash(text_area(frames=3)) == Hasher.hash(text_area()) != Hasher.hash(measure)


def test_a_detector_without_its_package_is_an_error_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_audio_tagger.measures.text_detectors.ppocr.find_spec", lambda name: None)
    monkeypatch.setattr("hf_audio_tagger.measures.text_detectors.easyocr.find_spec", lambda name: None)
    ppocr.find_weights.cache_clear()
    for detector, extra in (("ppocr", "ocr"), ("easyocr", "easyocr")):
        with pytest.raises(SettingsError, match=rf"pip install \"hf-audio-tagger\[{extra}\]\""):
            text_area(detector=detector)
    ppocr.find_weights.cache_clear()


def test_weights_with_another_content_are_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "ch_PP-OCRv4_det_mobile.onnx").write_bytes(b"other weights")
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr("hf_audio_tagger.measures.text_detectors.ppocr.find_spec", lambda name: spec)
    ppocr.find_weights.cache_clear()
    with pytest.raises(SettingsError, match="needs the weights of PP-OCRv4 mobile"):
        text_area()
    ppocr.find_weights.cache_clear()


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A video with three lines of text on a plain ground, and the part of it that they cover."""
    picture = np.full((360, 640, 3), 40, np.uint8)
    for line, words in enumerate(("MOTION AND TEXT", "in every picture", "2026")):
        cv2.putText(picture, words, (60, 100 + 90 * line), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (230, 230, 230), 3)
    rows = [cv2.boundingRect((part > 100).astype(np.uint8)) for part in np.split(picture[30:300, :, 0], 3)]
    covered = sum(width * height for _, _, width, height in rows) / (640 * 360)
    path = tmp_path_factory.mktemp("lines") / "lines.mkv"
    return write_pictures(path, 3, size=(640, 360), pictures=[picture] * 3, codec="ffv1"), covered


@pytest.mark.campaign
def test_ppocr_finds_rendered_text(lines: tuple[Path, float]) -> None:
    """Its boxes are enlarged, by 1.38 times on text like this."""
    skip_without("ppocr")
    path, covered = lines
    assert 1.1 * covered < text_area(frames=1).compute(path) < 2 * covered


@pytest.mark.campaign
@pytest.mark.real_media
@pytest.mark.usefixtures("easyocr_weights")
@pytest.mark.parametrize("name", PEERS)
def test_easyocr_gives_the_peers_numbers_and_ppocr_numbers_near_them(real_media: Path, name: str) -> None:
    path = real_media / f"{name}.mp4"
    assert text_area(detector="easyocr").compute(path) == PEERS[name]
    skip_without("ppocr")
    assert text_area().compute(path) == pytest.approx(PEERS[name], abs=0.01)


@pytest.mark.campaign
@pytest.mark.usefixtures("easyocr_weights")
def test_easyocr_refuses_an_unknown_language(lines: tuple[Path, float]) -> None:
    with pytest.raises(SettingsError, match=r"languages: .*klingon"):
        text_area(detector="easyocr", languages="klingon").compute(lines[0])
