"""Pictures of a tagged dataset: its most frequent tags, and one clip over time.

    from hf_audio_tagger.plot import plot_tags, plot_timeline

    plot_tags(ds).savefig("tags.png")
    plot_timeline(ds.cast_column("video", Video(decode=False))[0])  # a notebook shows it

Rows of a `Video()` or `Audio()` column are taken undecoded: `ds[0]` alone makes `datasets` open the file,
with FFmpeg's libraries of the system.

Both return a matplotlib `Figure` that is made without pyplot: no global state is touched, and no
figure stays in memory once it is let go.
"""

try:
    import matplotlib  # noqa: F401
except ImportError as error:
    raise ImportError(
        'hf_audio_tagger.plot draws with matplotlib, which is missing: pip install "hf-audio-tagger[plot]"'
    ) from error

from .tags import plot_tags
from .timeline import plot_timeline

__all__ = ["plot_tags", "plot_timeline"]
