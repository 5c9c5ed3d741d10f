"""The numbers of all clips that filters and sorting need, about 30 bytes a clip; packed in parts."""

from array import array
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..results.reasons import NUMBER, split_error
from .clips import Clip
from .scripts import pack
from .sounds import NO_SOUND, Sounds

CLIPS_PER_PART = 100_000
SEVERAL_SOUNDS, DIFFERS, HAS_MEDIA = 1, 2, 4  # flags
NONE = 65_535  # of a reason
MOST_SOUNDS = 255  # of a clip


class Columns:
    """Gathers the numbers of clips in their order."""

    def __init__(self, sounds: Sounds) -> None:
        self.sounds = sounds
        self.states, self.flags, self.sound_counts = array("B"), array("B"), array("B")
        self.tags, self.reasons = array("H"), array("H")
        self.scores, self.seconds = array("f"), array("f")
        self.sound_numbers, self.sound_scores = array("H"), array("H")
        self.names: list[pa.Array] = []
        self.new_names: list[str] = []
        self.reason_numbers: dict[str, int] = {}
        self.reason_texts: list[str] = []
        self.reason_counts: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self.states)

    def add(self, clip: Clip, differs: bool, has_media: bool) -> None:
        parts = {label for *_, label, _ in clip.segments}
        self.states.append(clip.state)
        self.flags.append(SEVERAL_SOUNDS * (len(parts) > 1) + DIFFERS * differs + HAS_MEDIA * has_media)
        self.tags.append(NO_SOUND if clip.tag is None else self.sounds.number(clip.tag))
        self.scores.append(float("nan") if (score := clip.score) is None else score)
        self.seconds.append(float("nan") if clip.seconds is None else clip.seconds)
        self.reasons.append(NONE if clip.error is None else self.number_reason(clip.error, clip.name))
        self.add_sounds(clip)
        self.new_names.append(clip.name)
        if len(self.new_names) == CLIPS_PER_PART:
            self.names.append(pa.array(self.new_names, pa.string()))
            self.new_names = []

    def add_sounds(self, clip: Clip) -> None:
        scored = ((self.sounds.number(label), score) for label, score in clip.list_sounds().items())
        kept = list(islice((one for one in scored if one[0] != NO_SOUND), MOST_SOUNDS))
        self.sound_counts.append(len(kept))
        for number, score in kept:
            self.sound_numbers.append(number)
            is_known = score is not None and score == score
            self.sound_scores.append(round(min(1.0, max(0.0, score or 0.0)) * 65_535) if is_known else 0)

    def number_reason(self, error: str, name: str) -> int:
        """The number of a reason. Errors that differ in the clip's name and in numbers have the same."""
        _, reason = split_error(error, name)
        kind = NUMBER.sub("0", reason)
        if kind not in self.reason_numbers:
            if len(self.reason_texts) == NONE:
                return NONE
            self.reason_numbers[kind] = len(self.reason_texts)
            self.reason_texts.append(reason)
        number = self.reason_numbers[kind]
        self.reason_counts[number] += 1
        return number

    def list_failures(self) -> list[dict[str, Any]]:
        """Reasons with their counts, the most frequent first; a reason's number becomes its place here."""
        order = sorted(self.reason_counts, key=lambda one: (-self.reason_counts[one], one))
        places = np.full(NONE + 1, NONE, np.uint16)
        places[order] = np.arange(len(order))
        self.reasons = array("H", places[np.frombuffer(self.reasons, np.uint16)].tobytes())
        failures = [{"reason": self.reason_texts[one], "clips": self.reason_counts[one]} for one in order]
        self.reason_counts, self.reason_numbers, self.reason_texts = Counter(), {}, []
        return failures

    def list_parts(self) -> Iterator[dict[str, Any]]:
        """The parts for the page."""
        if self.new_names:
            self.names.append(pa.array(self.new_names, pa.string()))
            self.new_names = []
        ranks = np.zeros(0, np.uint64)
        if self.names:
            ranks = pc.rank(pa.chunked_array(self.names), tiebreaker="first").to_numpy() - 1
        ends = np.cumsum(np.frombuffer(self.sound_counts, np.uint8), dtype=np.int64)
        first_sound = 0
        for start in range(0, len(self), CLIPS_PER_PART):
            stop = min(start + CLIPS_PER_PART, len(self))
            last_sound = int(ends[stop - 1])
            yield {
                "count": stop - start,
                "state": pack(self.states[start:stop], "u1"),
                "flags": pack(self.flags[start:stop], "u1"),
                "tag": pack(self.tags[start:stop], "u2"),
                "score": pack(self.scores[start:stop], "f4"),
                "seconds": pack(self.seconds[start:stop], "f4"),
                "reason": pack(self.reasons[start:stop], "u2"),
                "name_rank": pack(ranks[start:stop], "u4"),
                "sound_counts": pack(self.sound_counts[start:stop], "u1"),
                "sounds": pack(self.sound_numbers[first_sound:last_sound], "u2"),
                "sound_scores": pack(self.sound_scores[first_sound:last_sound], "u2"),
            }
            first_sound = last_sound

    def count_tags(self) -> tuple[list[int], list[float]]:
        """For each sound the clips with it as a tag, and their seconds together."""
        tags = np.frombuffer(self.tags, np.uint16) if self.tags else np.zeros(0, np.uint16)
        seconds = np.nan_to_num(np.frombuffer(self.seconds, np.float32) if self.seconds else np.zeros(0))
        is_tagged = tags != NO_SOUND
        counts = np.bincount(tags[is_tagged], minlength=len(self.sounds))
        sums = np.bincount(tags[is_tagged], seconds[is_tagged], minlength=len(self.sounds))
        return counts.tolist(), sums.tolist()

    def count_states(self) -> list[int]:
        counts: list[int] = np.bincount(np.frombuffer(self.states or b"", np.uint8), minlength=4).tolist()
        return counts

    def sum_seconds(self) -> float | None:
        """The length of all clips together; None where none is known."""
        seconds = np.frombuffer(self.seconds, np.float32) if self.seconds else np.zeros(0, np.float32)
        known = seconds[~np.isnan(seconds)]
        return round(float(known.sum(dtype=np.float64)), 3) if len(known) else None
