"""Plots of a tagged dataset: its most frequent tags, and one clip over time.

    from hf_audio_tagger.plot import plot_tags, plot_timeline

    plot_tags(ds).savefig("tags.png")
    plot_timeline(ds, 0)  # the first row's clip; a notebook shows it

Both return a matplotlib `Figure` that is created without pyplot: no global state changes, and unused figures
are garbage-collected.
"""

try:
    import matplotlib  # noqa: F401
except ImportError as error:
    raise ImportError('hf_audio_tagger.plot needs matplotlib: pip install "hf-audio-tagger[plot]"') from error

from .tags import plot_tags
from .timeline import plot_timeline

__all__ = ["plot_tags", "plot_timeline"]
