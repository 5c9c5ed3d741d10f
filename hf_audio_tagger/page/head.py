"""The head of a report: facts, how the tags were made, and what the page leaves out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from .._version import __version__
from ..provenance import Provenance, known_records
from ..settings import ABOUT
from .columns import CLIPS_PER_PART
from .pictures import COLUMNS, HEIGHT, WIDTH
from .sounds import GROUPS
from .tagged import format_time
from .writing import CLIPS_IN_A_PART, Writer

FORMAT = 1  # of the files
PACKAGES = ("datasets", "transformers", "torch", "av")

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class About:
    """What is known of the tags beside the rows."""

    title: str
    rows: int
    media: str
    run: Pairs
    settings: Pairs
    versions: Pairs
    notes: Sequence[str]


def describe_tags(provenance: Provenance, tag_column: str, times: str | None) -> tuple[Pairs, Pairs, Pairs]:
    """The run, the settings and the versions, as far as they are recorded."""
    records = provenance.get(tag_column, ())
    named = known_records(records)
    run: Pairs = [("Model", one.model) for one in named]
    if named and None in records:
        run.append(("Kept", "some clips kept tags whose model is unknown"))
    if times is not None:
        run.append(("Tagged", times))
    run.append(("Page made", format_time(datetime.now())))
    settings = describe_settings(named[0].settings) if len(named) == 1 else []
    versions = [
        ("hf-audio-tagger, of the tags", one) for one in dict.fromkeys(one.package_version for one in named)
    ]
    versions.append(("hf-audio-tagger, of this page", __version__))
    return run, settings, versions + list_packages()


def describe_settings(settings: Mapping[str, Any]) -> Pairs:
    return [(name, describe_value(name, value)) for name, value in settings.items()]


def describe_value(name: str, value: Any) -> str:
    """A setting's value in words; where it is None, what that means."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return str(ABOUT[name].none) if name in ABOUT else ""
    return str(value)


def list_packages() -> Pairs:
    """Versions of the packages here."""
    found: Pairs = []
    for name in PACKAGES:
        try:
            found.append((f"{name}, here", version(name)))
        except PackageNotFoundError:
            continue
    return found


def make_head(
    writer: Writer, failures: Sequence[Mapping[str, Any]], about: About, map_note: str | None
) -> dict[str, Any]:
    """What head.js holds."""
    columns = writer.columns
    tagged, empty, failed, untagged = columns.count_states()
    agreement = None if writer.agreement is None else writer.agreement.as_dict()
    notes = list(about.notes)
    if writer.sounds.left_out:
        notes.append(
            f"{writer.sounds.left_out:,} labels are left out: the page numbers {len(writer.sounds):,}."
        )
    if writer.failed_previews:
        notes.append(f"Of {writer.failed_previews:,} clips no preview could be made.")
    return {
        "format": FORMAT,
        "title": about.title,
        "facts": {
            "rows": about.rows,
            "clips": len(columns),
            "seconds": columns.sum_seconds(),
            "tagged": tagged,
            "empty": empty,
            "failed": failed,
            "untagged": untagged,
        },
        "run": about.run,
        "settings": about.settings,
        "versions": about.versions,
        "notes": notes,
        "columns_per_part": CLIPS_PER_PART,
        "clips_per_part": CLIPS_IN_A_PART,
        "has_text": len(columns) > 0,
        "has_map": map_note is not None,
        "map_note": map_note,
        "media": about.media,
        "sheet": {"columns": COLUMNS, "width": WIDTH, "height": HEIGHT} if writer.posters else None,
        "groups": list(GROUPS),
        "sounds": writer.sounds.as_list(*columns.count_tags()),
        "failures": list(failures),
        "agreement": agreement,
    }
