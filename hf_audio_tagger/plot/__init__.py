"""Plots of a tagged dataset: its most frequent tags, one clip over time, and what measures saw in a clip.

    from hf_audio_tagger.plot import plot_tags, plot_timeline

    plot_tags(ds).savefig("tags.png")
    plot_timeline(ds.cast_column("video", Video(decode=False))[0])  # a notebook shows it
    plot_motion("clip.mp4")  # and plot_text

All return a matplotlib `Figure` that is created without pyplot: no global state changes, and unused figures
are garbage-collected.
"""

try:
    import matplotlib  # noqa: F401
except ImportError as error:
    raise ImportError('hf_audio_tagger.plot needs matplotlib: pip install "hf-audio-tagger[plot]"') from error

from .motion import plot_motion
from .tags import plot_tags
from .text import plot_text
from .timeline import plot_timeline

__all__ = ["plot_motion", "plot_tags", "plot_text", "plot_timeline"]
