"""`hf-audio-tagger nearest`: the rows of one dataset that are most like those of another."""

from pathlib import Path
from typing import Annotated

import typer

from .console import note, print_text, quiet_libraries, stdout
from .options import AsJson
from .report import count_table, finish

EMBEDDING_COLUMN = "video_audio_embedding"


def nearest(
    queries: Annotated[
        str,
        typer.Argument(
            metavar="QUERIES",
            help="Rows that were tagged with --embeddings: what `tag` wrote, or any other SOURCE.",
        ),
    ],
    base: Annotated[str, typer.Argument(metavar="BASE", help="The rows to find them in; may be the same.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="The file of neighbours, JSON lines.")
    ],
    k: Annotated[int, typer.Option("--k", "-k", min=1, metavar="N", help="Neighbours of each row.")] = 100,
    column: Annotated[str, typer.Option(help="The column of embeddings.")] = EMBEDDING_COLUMN,
    id_column: Annotated[str, typer.Option(help="The column of ids, in both.")] = "id",
    device: Annotated[
        str | None,
        typer.Option(help='Such as "cpu" or "cuda:1".', show_default="a CUDA device, else the CPU"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find the N rows of BASE nearest to each row of QUERIES, by the cosine of their embeddings.

    FILE gets a line for each row, {"ID": [["NEIGHBOUR", score], ...]}, best
    first; read_neighbors reads it in Python. No row is its own neighbour.
    """
    quiet_libraries(map_bar=True)
    from ..neighbors.files import write_neighbors
    from ..neighbors.nearest import search_neighbors
    from ..results.tagged_rows import open_rows

    found = search_neighbors(open_rows(queries), open_rows(base), k, column, id_column, device)
    write_neighbors(found.rows, out)
    if text := found.describe_left_out():
        note(text)
    counts = {
        "queries": found.queries,
        "queries left out": found.queries_left_out,
        "base": found.base,
        "base left out": found.base_left_out,
    }

    def show() -> None:
        console = stdout()
        console.print(count_table({name: f"{count:,}" for name, count in counts.items()}, 0))
        print_text(f"\nThe neighbours are in {out}", console)

    summary = {name.replace(" ", "_"): count for name, count in counts.items()}
    finish({**summary, "k": k, "out": str(out)}, 0, as_json, show)
