"""Tags beside a dataset's own labels: how often they agree, and the clips where they differ most."""

import heapq
from collections import Counter
from typing import Any

from .clips import TAGGED, Clip
from .sounds import NO_SOUND, Sounds

MOST_DIFFERING = 1_000


class Agreement:
    """Counts clips that are alone in their rows, and have labels and a tag.

    A tag agrees with a label that it is, or is below.
    """

    def __init__(self, column: str, sounds: Sounds) -> None:
        self.column, self.sounds = column, sounds
        self.compared = self.agreeing = 0
        self.labelled: Counter[int] = Counter()
        self.tagged: Counter[int] = Counter()
        self.both: Counter[int] = Counter()
        self.differing: list[tuple[float, int]] = []  # a heap of the most, with the clip's negative number

    def add(self, clip: Clip) -> bool:
        """Compare a clip; true where its tag is none of its labels."""
        if not clip.labels or clip.state != TAGGED or clip.tag is None or not clip.is_alone:
            return False
        tag = self.sounds.number(clip.tag)
        labels = {number for one in clip.labels if (number := self.sounds.number(one)) != NO_SOUND}
        if tag == NO_SOUND or not labels:
            return False
        agrees = bool(labels & self.sounds.find_family(tag))
        self.compared += 1
        self.agreeing += agrees
        self.labelled.update(labels)
        self.tagged[tag] += 1
        self.both.update(labels & {tag})
        if not agrees:
            difference = self.measure(clip, labels)
            entry = -1.0 if difference is None else difference, -clip.number
            if len(self.differing) < MOST_DIFFERING:
                heapq.heappush(self.differing, entry)
            else:
                heapq.heappushpop(self.differing, entry)
        return not agrees

    def measure(self, clip: Clip, labels: set[int]) -> float | None:
        """How much higher the tag scores than its labels, or what is below these; None without scores."""
        score = clip.score
        if score is None:
            return None
        best = 0.0
        for label, one in clip.top:
            number = self.sounds.number(label)
            if one is not None and number != NO_SOUND and labels & self.sounds.find_family(number):
                best = max(best, one)
        return min(1.0, max(0.0, score - best))

    def as_dict(self) -> dict[str, Any] | None:
        """For the page; None where nothing was compared."""
        if not self.compared:
            return None
        numbers = sorted(self.labelled | self.tagged, key=lambda one: (-self.labelled[one], one))
        differing = sorted(self.differing, key=lambda one: (-one[0], -one[1]))
        return {
            "column": self.column,
            "compared": self.compared,
            "agreeing": self.agreeing,
            "sounds": [[one, self.labelled[one], self.tagged[one], self.both[one]] for one in numbers],
            "differing": [[-clip, None if value < 0 else round(value, 4)] for value, clip in differing],
        }
