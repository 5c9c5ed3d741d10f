"""Labels in a user's own words: a list, texts for each label, or a file of these, in a form that hashes.

| given | what is compared with the sound |
|---|---|
| `["siren", "bell"]`, or `"siren,bell"` | each label, within the template |
| `{"dog": ["a dog barks", "a puppy whines"], "bell": "a bell rings"}` | the texts as they are |
| a file of text, a label a line | each label, within the template |
| a .csv file, a row of label,text for each text | the texts as they are |
"""

import csv
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .choices import NO_LABELS
from .errors import SettingsError

Labels = str | os.PathLike[str] | Sequence[str] | Mapping[str, str | Sequence[str]]  # as users pass them
FrozenLabels = tuple[str, ...] | tuple[tuple[str, tuple[str, ...]], ...]  # labels, or each with its texts

TEMPLATE = "This is a sound of {}."  # as in transformers' zero-shot pipeline
HEADER = ("label", "text")  # of a .csv file, may be left out
FILE_NAME = re.compile(r"[^,\"]*\.\w{1,5}|\.{0,2}[/\\][^,\"]*|~[^,\"]*")  # what is meant as a file's name
EXPECTED = (
    "a list of labels, a dict of label to one or several texts, or a file with a label a line or, if .csv, "
    "with rows of label,text"
)


def freeze_labels(labels: Any) -> FrozenLabels:
    """Check labels and give them a form that hashes; files are read.

    >>> freeze_labels(["siren", "bell"])
    ('siren', 'bell')
    >>> freeze_labels({"dog": ["a dog barks", "a puppy whines"]})
    (('dog', ('a dog barks', 'a puppy whines')),)
    >>> freeze_labels("espresso machine, crowd booing")
    ('espresso machine', 'crowd booing')
    """
    named = "labels"
    if isinstance(labels, os.PathLike) or (isinstance(labels, str) and is_file_name(labels)):
        path = Path(labels).expanduser()
        named, labels = f"labels: {path}", read_labels_file(path)
    elif isinstance(labels, str):
        labels = next(csv.reader([labels], skipinitialspace=True), [])
    if isinstance(labels, Mapping):
        labels = list(labels.items())
    if not isinstance(labels, Sequence) or isinstance(labels, bytes):
        raise SettingsError(f"labels must be {EXPECTED}; got {labels!r:.200}.")
    given = list(labels)
    if not given:
        raise SettingsError(f"{named} must name at least one label; there is none.")
    texts = [None if isinstance(one, str) else split_pair(one, named) for one in given]
    names = [one if pair is None else pair[0] for one, pair in zip(given, texts, strict=True)]
    frozen = tuple(check_text(name, named, "a label") for name in names)
    check_names(frozen, named)
    pairs = [pair for pair in texts if pair is not None]
    if not pairs:
        return frozen
    if len(pairs) < len(given):
        raise SettingsError(f"{named} must have texts for each label or for none.")
    return tuple((name, check_texts(name, pair[1], named)) for name, pair in zip(frozen, pairs, strict=True))


def is_file_name(text: str) -> bool:
    """Whether text names a file: one that exists, or that is spelled like one, or whose folder exists.

    >>> is_file_name("nowhere.txt"), is_file_name("./nowhere"), is_file_name("AC/DC song")
    (True, True, False)
    """
    path = os.path.expanduser(text)
    folder = os.path.dirname(path)
    is_in_folder = "," not in text and bool(folder) and os.path.isdir(folder)
    return is_in_folder or os.path.isfile(path) or bool(FILE_NAME.fullmatch(text))


def read_labels_file(path: Path) -> Any:
    """The labels of a file, in one of the other forms."""
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        hint = f" A label that is spelled like a file stands in quotes, '\"{path}\"', or in a list."
        hint = hint if isinstance(error, FileNotFoundError) else ""
        raise SettingsError(f"labels: {path} cannot be read ({error.strerror or error}).{hint}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"labels: {path} is not text in UTF-8.") from error
    if path.suffix.lower() != ".csv":
        return [line for line in text.splitlines() if line.strip()]
    return read_rows(text, path)


def read_rows(text: str, path: Path) -> Any:
    """Rows of label,text; a label may have several. Rows of a label alone are labels without texts."""
    reader = csv.reader(text.splitlines(keepends=True), skipinitialspace=True)
    rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))]
    if rows and tuple(map(str.casefold, rows[0][1])) in (HEADER, HEADER[:1]):
        del rows[0]
    for line, row in rows:
        if len(row) != len(rows[0][1]) or len(row) > len(HEADER):
            raise SettingsError(
                f"labels: {path}, line {line}: a row must be label,text, or each a label alone; a text with "
                f"commas stands in quotes. Got {','.join(row)!r:.100}."
            )
    if rows and len(rows[0][1]) == 1:
        return [row[0] for _, row in rows]
    found: dict[str, list[str]] = {}
    for _, (label, one) in rows:
        found.setdefault(label, []).append(one)
    return found


def split_pair(given: Any, named: str) -> tuple[Any, Any]:
    """A label and its texts."""
    if isinstance(given, Sequence) and not isinstance(given, (str, bytes)) and len(given) == len(HEADER):
        return given[0], given[1]
    raise SettingsError(f"{named} must be {EXPECTED}; among them is {given!r:.100}.")


def check_texts(label: str, texts: Any, named: str) -> tuple[str, ...]:
    given = [texts] if isinstance(texts, str) else texts
    if not isinstance(given, Sequence) or isinstance(given, bytes) or not given:
        raise SettingsError(f"{named} must have one or several texts for {label!r}; got {texts!r:.100}.")
    checked = tuple(check_text(one, named, f"a text of {label!r}") for one in given)
    if twice := find_twice(checked):
        raise SettingsError(f"{named} must differ, and {label!r} has the text {twice!r} twice.")
    return checked


def check_text(text: Any, named: str, kind: str) -> str:
    if not isinstance(text, str) or not text.strip():
        raise SettingsError(f"{named} must be {EXPECTED}; {kind} is {text!r:.100}.")
    return text.strip()


def check_names(labels: Sequence[str], named: str) -> None:
    if twice := find_twice(labels):
        raise SettingsError(f"{named} must differ, and {twice!r} is there twice.")
    for label in labels:
        if label in NO_LABELS:
            raise SettingsError(
                f"{named} must not have {label!r}, which is the tag of a clip {NO_LABELS[label]}."
            )


def find_twice(texts: Sequence[str]) -> str | None:
    """A text that is there twice."""
    seen: set[str] = set()
    return next((text for text in texts if text in seen or seen.add(text)), None)  # type: ignore[func-returns-value]


def check_template(template: str, labels: FrozenLabels | None) -> None:
    """Refuse a template without a place for the label, or without effect."""
    if "{}" not in template:
        raise SettingsError(
            f"template must have {{}} where the label goes, as in {TEMPLATE!r}; got {template!r:.100}."
        )
    if labels is None or not isinstance(labels[0], str):
        reason = "there are none" if labels is None else "labels= gives each label its texts"
        raise SettingsError(f"template= is put around the labels of labels=, and {reason}; leave it out.")


def name_labels(labels: FrozenLabels) -> tuple[str, ...]:
    """The labels alone.

    >>> name_labels((("dog", ("a dog barks",)), ("bell", ("a bell rings",))))
    ('dog', 'bell')
    """
    return tuple(one if isinstance(one, str) else one[0] for one in labels)


def write_texts(labels: FrozenLabels, template: str) -> tuple[tuple[str, ...], ...]:
    """The texts of each label.

    >>> write_texts(("dog", "bell"), "This is a sound of {}.")
    (('This is a sound of dog.',), ('This is a sound of bell.',))
    """
    return tuple((template.replace("{}", one),) if isinstance(one, str) else one[1] for one in labels)


def show_labels(labels: FrozenLabels | None) -> list[str] | dict[str, list[str]] | None:
    """Labels as JSON has them, in a form that `freeze_labels` takes.

    >>> show_labels((("dog", ("a dog barks", "a puppy whines")),))
    {'dog': ['a dog barks', 'a puppy whines']}
    """
    if labels is None:
        return None
    shown: dict[str, list[str]] = {}
    for one in labels:
        if isinstance(one, str):
            return list(name_labels(labels))
        shown[one[0]] = list(one[1])
    return shown
