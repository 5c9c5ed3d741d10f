"""Plots of a tagged dataset: frequent tags, one clip over time, a stat's distribution, how true scores are.

    from hf_audio_tagger.plot import plot_evaluation, plot_stat, plot_tags, plot_timeline

    plot_tags(ds).savefig("tags.png")
    plot_timeline(ds, 0)  # the first row's clip; a notebook shows it
    plot_stat(ds, "video_duration", 2.0).savefig("durations.png")
    plot_evaluation(evaluate(ds))

All return a matplotlib `Figure` that is created without pyplot: no global state changes, and unused figures
are garbage-collected.
"""

try:
    import matplotlib  # noqa: F401
except ImportError as error:
    raise ImportError('hf_audio_tagger.plot needs matplotlib: pip install "hf-audio-tagger[plot]"') from error

from .evaluation import plot_evaluation
from .stats import plot_stat
from .tags import plot_tags
from .timeline import plot_timeline

__all__ = ["plot_evaluation", "plot_stat", "plot_tags", "plot_timeline"]
