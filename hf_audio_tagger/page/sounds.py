"""Numbers of sounds: every label of a report, and all categories of the ontology above it."""

from typing import Any

from ..audioset.ontology import Category, match_category, ontology

MOST_SOUNDS = 65_535  # numbers of two bytes, of which the last means none
NO_SOUND = 65_535
NOT_AUDIOSET = "not AudioSet's"
GROUPS = (*(root.name for root in ontology.roots), NOT_AUDIOSET)


class Sounds:
    """Numbers labels as they come."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.parents: list[list[int]] = []
        self.groups: list[int] = []
        self.left_out = 0  # labels beyond the most that the page can number
        self.families: dict[int, frozenset[int]] = {}

    def __len__(self) -> int:
        return len(self.parents)

    def number(self, label: str) -> int:
        """The number of a label; `NO_SOUND` beyond the most.

        >>> sounds = Sounds()
        >>> sounds.number("Dog") == sounds.number("/m/0bt9lr") == sounds.number("dog")
        True
        >>> sounds.number("My own")
        3
        """
        if (known := self.numbers.get(label)) is not None:
            return known
        if category := match_category(label):  # as `has_sound` compares labels
            number = self.add_category(category)
        else:
            number = self.add(label, [], len(GROUPS) - 1)
        self.numbers[label] = number
        return number

    def add_category(self, category: Category) -> int:
        if (known := self.numbers.get(category.name)) is not None:
            return known
        parents = [self.add_category(parent) for parent in category.parents]
        group = GROUPS.index(category.path().split(" > ")[0])
        return self.add(category.name, [one for one in parents if one != NO_SOUND], group)

    def add(self, name: str, parents: list[int], group: int) -> int:
        if len(self) >= MOST_SOUNDS:
            self.left_out += 1
            return NO_SOUND
        self.numbers[name] = len(self)
        self.parents.append(parents)
        self.groups.append(group)
        return len(self) - 1

    def find_family(self, number: int) -> frozenset[int]:
        """A sound and all above it."""
        if number not in self.families:
            above = (self.find_family(parent) for parent in self.parents[number])
            self.families[number] = frozenset({number}).union(*above)
        return self.families[number]

    def as_list(self, clips: list[int], seconds: list[float]) -> list[dict[str, Any]]:
        """For the page, with counts of each sound as a tag."""
        names = {number: name for name, number in reversed(self.numbers.items())}  # the first name of each
        return [
            {
                "name": names[number],
                "parents": self.parents[number],
                "group": self.groups[number],
                "clips": clips[number],
                "seconds": round(seconds[number], 3),
            }
            for number in range(len(self))
        ]
