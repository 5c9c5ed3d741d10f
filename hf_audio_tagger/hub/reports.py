"""The page of a pushed dataset: what `report` writes of each split, in the repository beside the card."""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

from ..checks import invalid
from ..errors import SettingsError
from ..page.report import report as write_report
from ..results.card import CardReport
from ..tagger import Tagger
from .media_columns import Splits

FOLDER = "report"  # in the repository
MOST_IN_ONE_FILE = 2_000  # rows: a page that is one file opens after a single download
PREVIEWS, POSTERS = 100, 2_000  # of a page whose clips are pushed too
OPTIONS = tuple(
    name for name in inspect.signature(write_report).parameters if name not in ("ds", "folder", "split")
)


def check_options(report: bool | Mapping[str, Any]) -> dict[str, Any] | None:
    """The options of the page; None where none is wanted."""
    if isinstance(report, bool):
        return {} if report else None
    for name in report:
        if name not in OPTIONS:
            raise invalid("report", repr(name), f"True, or a mapping of {', '.join(OPTIONS)}", OPTIONS)
    if report.get("media") == "link":
        raise SettingsError(
            "report={'media': 'link'} would name folders of this machine: choose 'embed' or 'none'."
        )
    return dict(report)


def write_pages(
    splits: Splits,
    config_name: str,
    tag_column: str,
    tagger: Tagger | None,
    media: str,
    title: str,
    options: dict[str, Any],
    folder: Path,
) -> tuple[list[CardReport], dict[str, Path]]:
    """Write a page of each split to `folder`. Clips are in it only where the dataset has them too."""
    is_embedded = media == "embedded"
    shown = {"media": "embed", "posters": POSTERS, "previews": PREVIEWS} if is_embedded else {}
    defaults = {"media": "none", "posters": 0, "column": tag_column, "tagger": tagger, **shown}
    pages, files = [], {}
    for split, dataset in splits.items():
        parts = [FOLDER, *([] if config_name == "default" else [config_name]), split]
        own = {"title": f"{title}, {split}", "single_file": len(dataset) <= MOST_IN_ONE_FILE}
        given = {**defaults, **own, **options}
        place = folder.joinpath(*parts)
        place.parent.mkdir(parents=True, exist_ok=True)
        write_report(dataset, place, **given)
        pages.append(CardReport(split, "/".join(parts), not given["single_file"]))
        found = (path for path in sorted(place.rglob("*")) if path.is_file())
        files.update({path.relative_to(folder).as_posix(): path for path in found})
    return pages, files


def list_operations(
    api: HfApi, repo_id: str, revision: str | None, pages: Sequence[CardReport], files: Mapping[str, Path]
) -> list[CommitOperationAdd | CommitOperationDelete]:
    """What puts the pages into the repository, in place of earlier ones."""
    if not pages:
        return []
    present = api.list_repo_files(repo_id, repo_type="dataset", revision=revision)
    folders = tuple(f"{page.path}/" for page in pages)
    old = (path for path in present if path.startswith(folders) and path not in files)
    return [
        *(CommitOperationDelete(path) for path in old),
        *(CommitOperationAdd(name, str(path)) for name, path in files.items()),
    ]
