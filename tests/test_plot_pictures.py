"""`plot_motion` and `plot_text`: what they draw is what the measures saw."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from datasets import Dataset
from matplotlib.patches import Polygon
from picture_files import write_pictures

from hf_audio_tagger import MediaError, SettingsError, motion_score, text_area
from hf_audio_tagger.measures import text
from hf_audio_tagger.measures.text_detectors.boxes import TextBoxes
from hf_audio_tagger.plot import plot_motion, plot_text

pytest.importorskip("cv2", reason="OpenCV is not installed")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture that stands still for a second, and then moves to the right, three pixels a frame."""
    random = np.random.default_rng(5)
    texture = np.repeat(random.integers(0, 255, (12, 40), np.uint8), 8, 0).repeat(8, 1)
    offsets = [0] * 25 + [3 * index for index in range(25)]
    pictures = [np.repeat(np.roll(texture, offset, 1)[:, :128, None], 3, 2) for offset in offsets]
    return write_pictures(tmp_path_factory.mktemp("plot") / "a_$x$.mp4", 50, pictures=pictures)


def test_the_scores_and_the_strongest_frames_are_drawn(clip: Path) -> None:
    measure = motion_score(sampling_fps=25)
    figure = plot_motion({"video": str(clip)}, measure=measure, frames=2)
    scores, *frames = figure.axes
    [line] = scores.lines[:1]
    times, values = line.get_data()
    assert np.mean(values) == pytest.approx(measure.compute(clip))
    assert times[0] == pytest.approx(0.04)
    assert times[-1] == pytest.approx(49 / 25)
    assert np.all(values[times < 1.0] < 0.5)
    assert len(frames) == 2
    strongest = sorted(values)[-2:]
    assert sorted(float(axes.get_title().split(": ")[1]) for axes in frames) == pytest.approx(
        strongest, abs=0.01
    )
    for axes in frames:
        assert axes.images[0].get_array().shape == (96, 128)
        [arrows] = axes.collections
        assert np.median(arrows.U) > 0.5  # to the right
        assert abs(np.median(arrows.V)) < 0.5
    assert scores.get_title(loc="left").startswith("a_$x$.mp4: mean score ")
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_boxes_are_drawn_on_the_sampled_frames(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = TextBoxes([(10, 42, 20, 44)], [[(60, 10), (80, 20), (70, 40), (50, 30)]])
    fake = SimpleNamespace(check=lambda: None, find_text=lambda picture, languages: boxes)
    monkeypatch.setitem(text.DETECTORS, "ppocr", fake)
    figure = plot_text(
        Dataset.from_dict({"videos": [[], [str(clip)]]}), 1, measure=text_area(frames=5), title="words"
    )
    shown = figure.axes[:5]
    assert [axes.images[0].get_array().shape for axes in shown] == [(96, 128, 3)] * 5
    assert [axes.get_title()[:6] for axes in shown] == ["0.00 s", "0.52 s", "1.00 s", "1.52 s", "1.96 s"]
    for axes in shown:
        outlines = [patch.get_xy()[:4].tolist() for patch in axes.patches if isinstance(patch, Polygon)]
        assert outlines == [
            [[10, 20], [42, 20], [42, 44], [10, 44]],
            [list(map(float, one)) for one in boxes.quadrilaterals[0]],
        ]
    ratio = (32 * 24 + 500) / (128 * 96)
    assert figure.get_suptitle() == f"words: ratio of text {ratio:.3f} (ppocr)"


def test_what_cannot_be_drawn_is_an_error(clip: Path, tmp_path: Path) -> None:
    one = write_pictures(tmp_path / "one.mp4", 1)
    with pytest.raises(MediaError, match=r"one\.mp4: it has a single frame"):
        plot_motion(one)
    with pytest.raises(SettingsError, match="one clip, not a dataset"):
        plot_motion(Dataset.from_dict({"video": [str(clip)]}))
    with pytest.raises(SettingsError, match="video must be an index of the row's 2 videos"):
        plot_motion({"videos": [str(clip), str(one)]}, video=2)
    with pytest.raises(SettingsError, match="frames must be a whole number"):
        plot_motion(clip, frames=0)
