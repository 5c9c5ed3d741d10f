"""One clip's windows, cut into chunks: a short one first, then full batches. The last has the clip's end."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from .cells import Media
from .errors import ColumnError, MediaError, ModelError
from .media.audio import open_sound
from .media.failures import convert_clip_errors
from .memo.windows import Key, make_window_key
from .models.family import AudioModel
from .windows import Window, cut_windows, estimate_count

BATCH_UNIT_SECONDS = 10  # `batch_size` counts windows of about this length, or as many shorter ones


@dataclass(frozen=True)
class PipelineOptions:
    """How clips are decoded, cut and batched."""

    windows: str | int  # "first", "all", or how many spread evenly
    hop_samples: int  # from window to window, at the model's rate
    channels: str
    decoder: str
    batch_size: int  # of windows of about ten seconds, in a micro-batch
    decode_threads: int
    token: str | bool | None = field(default=None, repr=False)  # for media on the Hub


@dataclass(frozen=True)
class ClipEnd:
    """A clip is finished: all its windows are scored, or it has no audio stream, or there is an error."""

    clip: int
    has_sound: bool = True
    error: MediaError | ColumnError | ModelError | None = None


@dataclass(frozen=True)
class Chunk:
    """Consecutive windows of one clip. The last chunk has the clip's end; the file is then closed."""

    clip: int
    name: str
    windows: list[Window]  # left out once it waits for its scores
    spans: list[tuple[float, float]]  # start and end of each window, in seconds
    keys: list[Key]  # of each window: equal for the same samples
    end: ClipEnd | None = None
    share: float = 0.0  # of its clip, as far as its length is known; the shares of all chunks add up to 1
    sound_seconds: float = 0.0  # in no chunk before


@dataclass
class Extent:
    """How far a clip's windows have been cut."""

    expected: int | None = None  # windows
    shared: float = 0.0  # of the clip, in the chunks so far
    end_seconds: float = 0.0  # of the last window so far

    def take_share(self, count: int) -> float:
        """The share of some windows; nothing for those beyond the length that the container states."""
        share = min(count / self.expected, 1.0 - self.shared) if self.expected else 0.0
        self.shared += share
        return share

    def measure(self, spans: Sequence[tuple[float, float]]) -> float:
        """The seconds of sound in windows with these spans and in none before."""
        seconds = 0.0
        for start, end in spans:
            seconds += max(0.0, end - max(start, self.end_seconds))
            self.end_seconds = max(self.end_seconds, end)
        return seconds


def windows_per_unit(model: AudioModel, options: PipelineOptions) -> int:
    """The windows in ten seconds at the model's own hop; a smaller hop does not increase the number."""
    return max(1, round(BATCH_UNIT_SECONDS * model.rate_hz / max(options.hop_samples, model.hop_samples)))


def decode_chunks(
    clip: int, media: Media, model: AudioModel, options: PipelineOptions
) -> Generator[Chunk, None, None]:
    """One clip's windows: a short chunk first, then full batches. The file is closed before the last one."""
    held: list[Window] = []
    end, extent = ClipEnd(clip), Extent()

    def make_chunk(end: ClipEnd | None, share: float) -> Chunk:
        spans = [window.find_span(model.rate_hz) for window in held]
        keys = [make_window_key(window.samples) for window in held]
        return Chunk(clip, media.name, held, spans, keys, end, share, extent.measure(spans))

    try:
        is_first, is_all = options.windows == "first", options.windows == "all"
        opening = open_sound(media, options.decoder, options.channels, is_first, is_all, options.token)
        with convert_clip_errors(media.name), opening as sound:
            if sound is None:
                end = ClipEnd(clip, has_sound=False)
            else:
                windows = cut_windows(sound, media.name, model, options.windows, options.hop_samples)
                extent.expected = estimate_count(sound, model, options.windows, options.hop_samples)
                unit = windows_per_unit(model, options)
                held = list(islice(windows, unit))
                while following := list(islice(windows, 1)):
                    yield make_chunk(None, extent.take_share(len(held)))
                    held = following + list(islice(windows, options.batch_size * unit - 1))
    except (MediaError, ColumnError) as error:
        held, end = [], ClipEnd(clip, error=error)
    yield make_chunk(end, 1.0 - extent.shared)
