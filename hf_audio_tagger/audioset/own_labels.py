"""Names of sounds that are no categories of AudioSet: a model's own labels, or misspelled categories."""

from collections.abc import Sequence
from difflib import get_close_matches

from .ontology import UnknownCategoryError, index_in_lower_case, match_category
from .tag_cells import normalize_label

CLOSE = 0.8  # ratio of two texts that are one word misspelled
ENDINGS = ("s", "es", "ed", "er", "ers", "ing", "y")  # a word with one of them is another word


def check_label(name: str, own: Sequence[str] | None) -> str:
    """A name as labels are compared. `own`: the labels that there may be beside AudioSet's, if known.

    >>> check_label("siren", None), check_label("Sirens", None), check_label("door creaks", ["Door creaks"])
    ('Siren', 'sirens', 'door creaks')
    """
    label = normalize_label(name)
    if match_category(label):
        return label
    if own is not None:
        if label not in map(normalize_label, own):
            raise UnknownCategoryError(f"Neither AudioSet nor labels= has {name!r}{suggest(label, own)}")
    elif near := find_misspelled(label):
        raise UnknownCategoryError(
            f"AudioSet has no {name!r}: did you mean {near!r}? If it is a model's own label, pass all of "
            "these: labels=tagger.labels"
        )
    return label


def suggest(label: str, own: Sequence[str]) -> str:
    """The labels and categories that a name may stand for, as the end of a message."""
    names = {**index_in_lower_case(), **{normalize_label(one): one for one in own}}
    near = [str(getattr(names[close], "name", names[close])) for close in get_close_matches(label, names)]
    return f": did you mean {' or '.join(map(repr, near))}?" if near else "."


def find_misspelled(label: str) -> str | None:
    """The category that a label in lower case misspells; None for a word of its own, such as its plural."""
    names = index_in_lower_case()
    for close in get_close_matches(label, names, cutoff=CLOSE):
        short, long = sorted((label, close), key=len)
        is_form = long.startswith(short) and long[len(short) :] in ENDINGS
        if not is_form and len(label.split()) == len(close.split()):
            return names[close].name
    return None
