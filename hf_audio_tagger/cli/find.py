"""`hf-audio-tagger find`: the clips of a tagged dataset that sound like words, or like another clip."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from .console import quiet_libraries, stdout
from .nearest import EMBEDDING_COLUMN
from .options import AsJson, Split
from .report import finish

if TYPE_CHECKING:
    from datasets import Dataset


def find(
    tagged: Annotated[
        str,
        typer.Argument(
            metavar="TAGGED",
            help="Rows that were tagged with --embeddings: what `tag` wrote, or any other SOURCE.",
        ),
    ],
    text: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="What is looked for, in words; or several, for the mean."),
    ] = None,
    k: Annotated[int, typer.Option("--k", "-k", min=1, metavar="N", help="How many rows.")] = 20,
    without: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="What must not be there; may be repeated.")
    ] = None,
    like: Annotated[
        str | None, typer.Option(metavar="CLIP", help="A clip that is alike, beside or instead of words.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="The model that made the embeddings.", show_default="what the rows' metadata say"),
    ] = None,
    column: Annotated[str, typer.Option(help="The column of embeddings.")] = EMBEDDING_COLUMN,
    split: Split = None,
    as_json: AsJson = False,
) -> None:
    """Find the N clips that sound most like a text, or like a clip, best first.

    The model that made the embeddings must have a text side for words.
    """
    quiet_libraries()
    from ..neighbors.find import find
    from ..results.tagged_rows import open_rows

    ds = open_rows(tagged, split)
    found = find(ds, text or None, k, without=without or None, like=like, model=model, column=column)
    rows = describe(found, column)
    finish({"rows": len(ds), "found": rows}, 0, as_json, lambda: show(rows))


def describe(found: "Dataset", column: str) -> list[dict[str, Any]]:
    """Of each row its place, score, paths, and the tags beside the embeddings of a column."""
    from ..columns import Column
    from ..media_paths import read_paths
    from ..neighbors.find import ROW, SCORE

    rows = [
        {"row": row, "score": round(score, 4)}
        for row, score in zip(found[ROW][:], found[SCORE][:], strict=True)
    ]
    media = find_media_column(found)
    others = {"video": read_paths(found, media)} if media else {}
    named = [name for name in found.column_names if Column("embedding", name).name == column]
    others |= {"tags": found[named[0]][:]} if named else {}
    for name, values in others.items():
        for row, value in zip(rows, values, strict=True):
            row[name] = value
    return rows


def find_media_column(found: "Dataset") -> str | None:
    from ..errors import ColumnError
    from ..media_column import pick_column

    stored = found.with_format("arrow")
    try:
        return pick_column(
            found.column_names, None, lambda: found.features, lambda name: stored[name][:].to_pylist()
        )
    except ColumnError:  # rows without their videos
        return None


def show(rows: list[dict[str, Any]]) -> None:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("score", justify="right")
    table.add_column("row", justify="right")
    names = [name for name in ("video", "tags") if rows and name in rows[0]]
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        values = [escape(show_value(row[name])) for name in names]
        table.add_row(f"{row['score']:.3f}", f"{row['row']:,}", *values)
    stdout().print(table)


def show_value(value: Any) -> str:
    return (
        ", ".join(map(show_value, value)) if isinstance(value, list) else "" if value is None else str(value)
    )
