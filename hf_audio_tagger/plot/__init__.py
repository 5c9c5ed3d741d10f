"""Plots of a dataset: its most frequent tags, a clip over time, what measures saw, stats, true scores.

    from hf_audio_tagger.plot import plot_evaluation, plot_stat, plot_tags, plot_timeline

    plot_tags(ds).savefig("tags.png")
    plot_timeline(ds, 0)  # the first row's clip; a notebook shows it
    plot_stat(ds, "video_duration", 2.0).savefig("durations.png")
    plot_evaluation(evaluate(ds))
    plot_motion("clip.mp4")  # and plot_text

All return a matplotlib `Figure` that is created without pyplot: no global state changes, and unused figures
are garbage-collected.
"""

try:
    import matplotlib  # noqa: F401
except ImportError as error:
    raise ImportError('hf_audio_tagger.plot needs matplotlib: pip install "hf-audio-tagger[plot]"') from error

from .evaluation import plot_evaluation
from .motion import plot_motion
from .stats import plot_stat
from .tags import plot_tags
from .text import plot_text
from .timeline import plot_timeline

__all__ = ["plot_evaluation", "plot_motion", "plot_stat", "plot_tags", "plot_text", "plot_timeline"]
