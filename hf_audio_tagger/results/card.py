"""The dataset card: one section that says how the tags were made, beside whatever else the card says.

Pure: text in, text out. What comes from data (tags, file names) is escaped, and what could be secret or
tells of the machine (the token, signed URLs, folders) is left out.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from huggingface_hub import CardData, DatasetCard

from .._version import __version__
from ..columns import error_column
from ..errors import ColumnError
from ..provenance import KEY, TaggerRecord, known_records, to_plain
from ..scores import EMPTY
from ..settings import DEFAULT_MODEL, is_hub_id, public_name, public_settings
from ..tagger import Tagger
from ..text import safe_text

MOST_FREQUENT = 20
COUNTED_AT_ONCE = 10_000  # rows
TASK_CATEGORIES = ("audio-classification",)
TAGS = ("audio-tagging", "hf-audio-tagger")
BOUNDS = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")  # of the Hub's size categories


@dataclass(frozen=True)
class TagCounts:
    """What a column of tags adds up to."""

    rows: int = 0
    tags: Counter[str | None] = field(default_factory=Counter)  # None: a video without a tag
    failed: int = 0

    @property
    def videos(self) -> int:
        return self.tags.total()

    @property
    def empty(self) -> int:
        return self.tags[EMPTY]

    @property
    def tagged(self) -> int:
        return self.videos - self.empty - self.tags[None]

    def most_frequent(self, count: int) -> list[tuple[str, int]]:
        """The tags of sounds, the most frequent first, those as frequent by name."""
        sounds = [(tag, times) for tag, times in self.tags.items() if tag not in (None, EMPTY)]
        return sorted(sounds, key=lambda entry: (-entry[1], entry[0]))[:count]  # type: ignore[return-value]

    def __add__(self, other: "TagCounts") -> "TagCounts":
        return TagCounts(self.rows + other.rows, self.tags + other.tags, self.failed + other.failed)


@dataclass(frozen=True)
class Pushed:
    """What went to the Hub, as far as the card tells of it."""

    repo_id: str
    config_name: str
    split: str | None  # None: all splits of a DatasetDict
    revision: str | None
    tagger: Tagger | None
    tag_column: str
    added_columns: tuple[str, ...]
    counts: Mapping[str, TagCounts]  # by split
    media: str  # one of MEDIA
    records: Sequence[TaggerRecord | None] = ()  # of the tags, as far as it is known


MEDIA = {
    "embedded": "in the Parquet files, each cell with its bytes and the name of its file",
    "by path": "not in the files: the cells say where each lies",
    "left out": "not here: these are the keys and tags of another dataset's rows",
}


def count_tags(dataset: Dataset, column: str) -> TagCounts:
    """What a column of tags adds up to, with the errors in the column beside it.

    >>> count_tags(Dataset.from_dict({"t": [["Dog"], ["EMPTY"], [], ["Dog", None]]}), "t").tagged
    2
    """
    if column not in dataset.column_names:
        there = ", ".join(map(repr, dataset.column_names)) or "none"
        raise ColumnError(
            f"The dataset has no column {column!r} of tags. It has: {there}. Tag it first, ds.map(tagger), "
            "or push it with the tagger that did: push(..., tagger=tagger)."
        )
    tags = entries_of(dataset, column)
    errors = error_column(column).name
    failed = tags[None]
    if errors in dataset.column_names:
        failed = sum(times for error, times in entries_of(dataset, errors).items() if error is not None)
    return TagCounts(len(dataset), tags, failed)


def entries_of(dataset: Dataset, column: str) -> Counter[str | None]:
    """How often each text stands in a column of lists of text. Reads that column alone."""
    found: Counter[str | None] = Counter()
    for table in dataset.select_columns([column]).with_format("arrow").iter(COUNTED_AT_ONCE):
        entries = table[column]
        if pa.types.is_null(entries.type):
            continue  # rows that were never tagged
        if pa.types.is_list(entries.type) or pa.types.is_large_list(entries.type):
            entries = pc.list_flatten(entries)
        if not (pa.types.is_string(entries.type) or pa.types.is_null(entries.type)):
            raise ColumnError(f"{column!r} should hold a list of text in each row, but holds {entries.type}.")
        for entry in pc.value_counts(entries).to_pylist():
            found[entry["values"]] += entry["counts"]
    return found


def describe(card: str, pushed: Pushed) -> str:
    """The card with the section about the tags, new or in place of the old one, and the metadata."""
    parsed = DatasetCard(card)
    line_break = "\r\n" if "\r\n" in card else "\n"
    parsed.text = with_section(parsed.text, pushed.config_name, section_of(pushed), line_break)
    metadata = parsed.data
    metadata["task_categories"] = joined(metadata.get("task_categories"), TASK_CATEGORIES)
    metadata["tags"] = joined(metadata.get("tags"), TAGS)
    write_provenance(metadata, pushed)
    metadata["size_categories"] = [size_category(rows_of(metadata.get("dataset_info")))]
    return str(parsed)


def write_provenance(metadata: CardData, pushed: Pushed) -> None:
    """Who made the tags of the splits that were pushed, as other programs read it."""
    configs = dict(metadata.get(KEY) or {})
    splits = {} if pushed.split is None else dict(configs.get(pushed.config_name) or {})
    for split in pushed.counts:
        splits.pop(split, None)
        if pushed.records:
            splits[split] = to_plain({pushed.tag_column: pushed.records})
    configs[pushed.config_name] = splits
    configs = {config: some for config, some in configs.items() if some}
    metadata.pop(KEY, None)
    if configs:
        metadata[KEY] = configs


def with_section(text: str, config_name: str, section: str, line_break: str = "\n") -> str:
    """The text with the section between its two markers; what stands outside of them is kept.

    >>> print(with_section("About.", "default", "12 tags"))
    About.
    <BLANKLINE>
    <!-- hf-audio-tagger: begin default (the next push replaces this section) -->
    12 tags
    <!-- hf-audio-tagger: end default -->
    <BLANKLINE>
    """
    begin = f"<!-- hf-audio-tagger: begin {config_name} (the next push replaces this section) -->"
    end = f"<!-- hf-audio-tagger: end {config_name} -->"
    block = f"{begin}\n{section}\n{end}".replace("\n", line_break)
    # A begin without an end, left by an edit, must not swallow the text up to the next section.
    old = re.compile(f"{re.escape(begin)}(?:(?!{re.escape(begin)}).)*?{re.escape(end)}", re.DOTALL)
    if old.search(text):
        return old.sub(lambda _: block, text, count=1)
    gap = line_break if not text or text.endswith(line_break) else 2 * line_break
    return text + gap + block + line_break


def section_of(pushed: Pushed) -> str:
    """The section's Markdown."""
    config = "" if pushed.config_name == "default" else f" of {code_text(pushed.config_name)}"
    total = sum(pushed.counts.values(), TagCounts())
    parts = [
        f"## Audio tags{config}",
        f"The column {code_text(pushed.tag_column)} says what each video sounds like.",
        table(("", ""), facts(pushed)),
        table(("Split", "Rows", "Videos", "Tagged", "EMPTY", "Failed"), counts_rows(pushed.counts)),
        f"`{EMPTY}`: the video has no audio stream. Failed: it could not be read"
        + (f", for the reason in {code_text(name)}." if (name := recorded_errors(pushed)) else "."),
    ]
    if frequent := total.most_frequent(MOST_FREQUENT):
        rows = [(escape(tag), f"{times:,}", f"{times / total.videos:.1%}") for tag, times in frequent]
        parts += ["### Most frequent tags", table(("Tag", "Videos", "Share"), rows)]
    if pushed.tagger is not None:
        values = [(f"`{name}`", code(value)) for name, value in public_settings(pushed.tagger).items()]
        python = reproducing_code(pushed, pushed.tagger)
        parts += ["### Settings", table(("Setting", "Value"), values)]
        parts += ["### The code that makes these tags", f"```python\n{python}\n```"]
    return "\n\n".join(parts)


def facts(pushed: Pushed) -> list[tuple[str, str]]:
    model = [] if pushed.tagger is None else model_facts(pushed.tagger)
    if known_records(pushed.records) and None in pushed.records:
        model.append(
            ("Kept", "some rows kept the tags that they came with; which model made these is unknown")
        )
    return [*model, ("Package", f"hf-audio-tagger {__version__}"), ("Media", MEDIA[pushed.media])]


def model_facts(tagger: Tagger) -> list[tuple[str, str]]:
    name = escape(public_name(tagger.model))
    if is_hub_id(tagger.model):
        name = f"[{name}](https://huggingface.co/{tagger.model})"
        return [("Model", name), ("Revision", code(tagger.revision or "main"))]
    return [("Model", name)]


def recorded_errors(pushed: Pushed) -> str | None:
    name = error_column(pushed.tag_column).name
    return name if name in pushed.added_columns else None


def counts_rows(counts: Mapping[str, TagCounts]) -> list[tuple[str, ...]]:
    named = dict(counts)
    if len(counts) > 1:
        named["all"] = sum(counts.values(), TagCounts())
    return [
        (
            escape(name),
            *(f"{number:,}" for number in (one.rows, one.videos, one.tagged, one.empty, one.failed)),
        )
        for name, one in named.items()
    ]


def reproducing_code(pushed: Pushed, tagger: Tagger) -> str:
    """Python that makes the same tags from the same videos."""
    settings = public_settings(tagger)
    changed = {name: value for name, value in settings.items() if value != getattr(Tagger, name)}
    model = changed.pop("model", DEFAULT_MODEL)
    arguments = [] if model == DEFAULT_MODEL else [repr_double(model)]
    arguments += [f"{name}={repr_double(value)}" for name, value in changed.items()]
    lines = [
        "from datasets import load_dataset",
        f"from hf_audio_tagger import build_tagger  # {__version__}",
        "",
        f"ds = {loading_call(pushed)}",
    ]
    if pushed.media == "embedded":
        columns = ", ".join(map(repr_double, pushed.added_columns))
        lines.append(f"ds = ds.remove_columns([{columns}])  # a row that has tags would keep them")
    return "\n".join([*lines, f"ds = ds.map(build_tagger({', '.join(arguments)}))"])


def loading_call(pushed: Pushed) -> str:
    split = [] if pushed.split is None else [f"split={repr_double(pushed.split)}"]
    if pushed.media != "embedded":
        arguments = ", ".join(['"path/to/the/videos"', *split])
        return f"load_dataset({arguments})  # where the videos are"
    config = [] if pushed.config_name == "default" else [repr_double(pushed.config_name)]
    revision = [] if pushed.revision is None else [f"revision={repr_double(pushed.revision)}"]
    return f"load_dataset({', '.join([repr_double(pushed.repo_id), *config, *split, *revision])})"


def rows_of(dataset_info: Any) -> int:
    """The rows of all configs and splits, as `push_to_hub` writes them into a card."""
    infos = dataset_info if isinstance(dataset_info, list) else [dataset_info or {}]
    return sum(split.get("num_examples") or 0 for info in infos for split in info.get("splits") or [])


def size_category(rows: int) -> str:
    """The Hub's word for a number of rows.

    >>> size_category(999), size_category(1_000), size_category(5_000_000)
    ('n<1K', '1K<n<10K', '1M<n<10M')
    """
    place = max(0, len(str(rows)) - 3)
    if place == 0:
        return f"n<{BOUNDS[0]}"
    return f"{BOUNDS[place - 1]}<n<{BOUNDS[place]}" if place < len(BOUNDS) else f"n>{BOUNDS[-1]}"


def joined(there: Any, added: Iterable[str]) -> list[str]:
    """A list of the metadata with what it lacks; a single value counts as a list."""
    values = [there] if isinstance(there, str) else list(there or [])
    return values + [value for value in added if value not in values]


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table: the first column to the left, numbers to the right."""
    rows = list(rows)
    numeric = [all(re.fullmatch(r"[\d,.]+%?", row[place]) for row in rows) for place in range(len(head))]
    rule = ["---:" if is_numeric else "---" for is_numeric in numeric]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, tuple(rule), *rows))


def escape(text: str) -> str:
    """Text as Markdown shows it, in a table's cell too."""
    return re.sub(r"([\\`*_\[\]<>|~])", r"\\\1", safe_text(" ".join(text.split())))


def code(value: Any) -> str:
    """A value as code in a table's cell."""
    return code_text(repr_double(value)).replace("|", "\\|")


def code_text(text: str) -> str:
    """Text, such as a column's name, as code."""
    return "`" + safe_text(text).replace("`", "'") + "`"


def repr_double(value: Any) -> str:
    """Like repr, with strings in double quotes."""
    return safe_text(json.dumps(value, ensure_ascii=False)) if isinstance(value, str) else repr(value)
