"""Both pictures in files, in notebooks, and without what matplotlib keeps for all."""

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from figures import TAGS, pixels
from matplotlib.figure import Figure
from matplotlib.image import imread

from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.plot import plot_tags, plot_timeline


@pytest.fixture(scope="module")
def timeline() -> Figure:
    sound = {"array": synthesize("Siren", 1.0, 16_000, 3), "sampling_rate": 16_000}
    segments = [{"start": 0.0, "end": 1.0, "label": "Siren", "score": 0.5}]
    return plot_timeline({"audio": sound, "video_audio_segments": [segments]})


def test_a_png_and_a_notebook_show_it(timeline: Figure) -> None:
    for figure in (timeline, plot_tags(TAGS)):
        assert pixels(figure).std() > 0.1
        png = figure._repr_png_()  # type: ignore[attr-defined]  # what a notebook asks for
        assert np.asarray(imread(BytesIO(png))).std() > 0.1


def test_one_picture_in_a_notebook_with_pyplot() -> None:
    """IPython knows Figures once pyplot is in use; there is one PNG then too."""
    from IPython.core.formatters import DisplayFormatter
    from IPython.core.pylabtools import print_figure

    formatter = DisplayFormatter()
    for with_pyplot in (False, True):
        if with_pyplot:
            formatter.formatters["image/png"].for_type(
                Figure, lambda figure: print_figure(figure, base64=False)
            )
        data, _ = formatter.format(plot_tags(TAGS))
        assert set(data) == {"image/png", "text/plain"}


def test_settings_of_matplotlib_stay() -> None:
    before = dict(mpl.rcParams)
    plot_tags(TAGS).savefig(BytesIO())
    assert dict(mpl.rcParams) == before
    with mpl.style.context("dark_background"):
        assert pixels(plot_tags(TAGS))[0, 0, :3].max() < 0.1


@pytest.mark.timeout(60)
def test_neither_pyplot_nor_torch_is_loaded_and_a_missing_matplotlib_is_named(tmp_path: Path) -> None:
    script = """
import sys
sys.modules["matplotlib"] = None
try:
    import hf_audio_tagger.plot
except ImportError as error:
    assert 'pip install "hf-audio-tagger[plot]"' in str(error), error
else:
    raise AssertionError("no error")
del sys.modules["matplotlib"]
from hf_audio_tagger.plot import plot_tags
plot_tags([["Dog"]]).savefig(sys.argv[1])
assert not {"matplotlib.pyplot", "torch"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "tags.png")], check=True)
