"""The dataset card: one section describes how the tags were made; the rest of the card is kept.

All functions are pure. Secrets and local paths (the token, signed URLs, folders) are left out. Names and tags
are untrusted and are escaped, so that they cannot break a table or the structure of the card.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from huggingface_hub import DatasetCard
from jinja2 import Environment, PackageLoader, StrictUndefined

from .._version import __version__
from ..columns import error_column
from ..provenance import KEY, TaggerRecord, known_records, to_plain
from ..settings import DEFAULTS, is_hub_id, public_settings
from ..tagger import Tagger
from ..text import safe_text
from .facts import TagFacts

MOST_FREQUENT = 20
ADDED = {"task_categories": ["audio-classification"], "tags": ["audio-tagging", "hf-audio-tagger"]}
BOUNDS = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")  # of the Hub's size categories


@dataclass(frozen=True)
class CardReport:
    """A page of a split that lies in the repository too."""

    split: str
    path: str  # of its folder
    is_folder: bool  # else its index.html is all of it


@dataclass(frozen=True)
class PushedDataset:
    """The facts that the card shows of a pushed dataset."""

    repo_id: str
    config_name: str
    split: str | None  # None: all splits of a DatasetDict
    revision: str | None
    tagger: Tagger | None
    tag_column: str
    added_columns: tuple[str, ...]
    facts: Mapping[str, TagFacts]  # by split
    media: str  # "embedded", "by path" or "left out"
    records: Sequence[TaggerRecord | None] = ()  # of the tags, as far as known
    reports: Sequence[CardReport] = ()
    url: str = ""  # of the dataset, for links to its files


def update_card(card: str, pushed: PushedDataset) -> str:
    """The card with the section about the tags, new or in place of the old one, and the metadata."""
    parsed = DatasetCard(card)
    line_break = "\r\n" if "\r\n" in card else "\n"
    parsed.text = replace_section(parsed.text, pushed.config_name, render_section(pushed), line_break)
    metadata = parsed.data
    for name, added in ADDED.items():
        present = metadata.get(name)
        values = [present] if isinstance(present, str) else list(present or [])
        metadata[name] = values + [value for value in added if value not in values]
    configs = dict(metadata.get(KEY) or {})  # provenance of the tags, machine-readable
    before = {} if pushed.split is None else configs.get(pushed.config_name) or {}
    configs[pushed.config_name] = {
        **{split: made for split, made in before.items() if split not in pushed.facts},
        **{split: to_plain({pushed.tag_column: pushed.records}) for split in pushed.facts if pushed.records},
    }
    metadata.pop(KEY, None)
    if configs := {config: splits for config, splits in configs.items() if splits}:
        metadata[KEY] = configs
    info = metadata.get("dataset_info")  # as `push_to_hub` writes it: of one config, or a list
    infos = info if isinstance(info, list) else [info or {}]
    rows = sum(split.get("num_examples") or 0 for info in infos for split in info.get("splits") or [])
    metadata["size_categories"] = [size_category(rows)]
    return str(parsed)


def replace_section(text: str, config_name: str, section: str, line_break: str = "\n") -> str:
    """The text with the section between its two markers; the rest is kept.

    >>> print(replace_section("About.", "default", "12 tags"))
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
    # A begin marker without an end, left by an edit, must not remove the text up to the next section.
    old = re.compile(f"{re.escape(begin)}(?:(?!{re.escape(begin)}).)*?{re.escape(end)}", re.DOTALL)
    if old.search(text):
        return old.sub(lambda _: block, text, count=1)
    gap = line_break if not text or text.endswith(line_break) else 2 * line_break
    return text + gap + block + line_break


def render_section(pushed: PushedDataset) -> str:
    """The section's Markdown."""
    total = sum(pushed.facts.values(), TagFacts())
    errors = error_column(pushed.tag_column).name
    settings = public_settings(pushed.tagger) if pushed.tagger else {}
    changed = {name: value for name, value in settings.items() if value != DEFAULTS[name]}
    model = [changed.pop("model")] if "model" in changed else []
    section = TEMPLATES.get_template("card.md").render(
        pushed=pushed,
        version=__version__,
        settings=settings,
        is_hub_id=pushed.tagger is not None and is_hub_id(pushed.tagger.model),
        keeps_unknown_tags=known_records(pushed.records) and None in pushed.records,
        errors=errors if errors in pushed.added_columns else None,
        splits=pushed.facts if len(pushed.facts) == 1 else {**pushed.facts, "all": total},
        total=total,
        most_frequent=total.most_frequent(MOST_FREQUENT),
        load_call=load_call(pushed),
        build_call=format_call("build_tagger", *model, **changed),
    )
    return section.rstrip("\n")


def load_call(pushed: PushedDataset) -> str:
    """Python that loads the videos of these tags."""
    split = {} if pushed.split is None else {"split": pushed.split}
    if pushed.media != "embedded":
        return format_call("load_dataset", "path/to/the/videos", **split) + "  # where the videos are"
    config = [] if pushed.config_name == "default" else [pushed.config_name]
    revision = {} if pushed.revision is None else {"revision": pushed.revision}
    return format_call("load_dataset", pushed.repo_id, *config, **split, **revision)


def format_call(function: str, *values: Any, **named: Any) -> str:
    """A call in Python.

    >>> format_call("load_dataset", "me/clips", split="train")
    'load_dataset("me/clips", split="train")'
    """
    arguments = [*map(format_python, values), *(f"{name}={format_python(named[name])}" for name in named)]
    return f"{function}({', '.join(arguments)})"


def format_python(value: Any) -> str:
    """Like repr, with strings in double quotes."""
    return safe_text(json.dumps(value, ensure_ascii=False)) if isinstance(value, str) else repr(value)


def size_category(rows: int) -> str:
    """The Hub's size category for a number of rows.

    >>> size_category(999), size_category(1_000), size_category(5_000_000)
    ('n<1K', '1K<n<10K', '1M<n<10M')
    """
    place = max(0, len(str(rows)) - 3)
    if place == 0:
        return f"n<{BOUNDS[0]}"
    return f"{BOUNDS[place - 1]}<n<{BOUNDS[place]}" if place < len(BOUNDS) else f"n>{BOUNDS[-1]}"


def escape_markdown(text: str) -> str:
    r"""Text that Markdown shows as it is: no markup, no entity, and no address made a link.

    >>> print(escape_markdown("<b>www.a.b</b> &lt;"))
    \<b\>www\.a.b\</b\> \&lt;
    """
    shown = re.sub(r"([\\`*_\[\]<>|~&])", r"\\\1", safe_text(" ".join(text.split())))
    return re.sub(r"(?<=www)\.|:(?=//)|@", r"\\\g<0>", shown, flags=re.IGNORECASE)


TEMPLATES = Environment(
    loader=PackageLoader(__package__), trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
)
TEMPLATES.filters |= {
    "markdown": escape_markdown,
    "code": lambda text: "`" + safe_text(text).replace("`", "'") + "`",
    "python": format_python,
    "cell": lambda code: code.replace("|", "\\|"),
    "number": "{:,}".format,
    "share": "{:.1%}".format,
}
