"""`hf-audio-tagger weights`: a file of weights for a sampler."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from .console import print_text, quiet_libraries, stdout
from .options import AsJson, Split
from .report import finish, two_columns

if TYPE_CHECKING:
    from ..index.sample_weights import WeightFacts


def weights(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="An index, what `tag` wrote, or any SOURCE of `tag` with labels."
        ),
    ],
    out: Annotated[str, typer.Option("--out", "-o", metavar="FILE", help="The file of weights, one a line.")],
    column: Annotated[
        str, typer.Option(metavar="NAME", help="The labels: mids, names or tags (video_audio_tags).")
    ] = "labels",
    offset: Annotated[
        str,
        typer.Option(
            metavar="N|NAME",
            help="Added to each class's rows: a number, vipant (1), AST (0.01) or PaSST (100).",
        ),
    ] = "1",
    combine: Annotated[
        str, typer.Option(metavar="sum|max", help="The sum over a row's labels, or the most of them.")
    ] = "sum",
    split: Split = None,
    as_json: AsJson = False,
) -> None:
    """Write a weight for each row of SOURCE: the rarer its labels, the larger.

    A class that n rows have weighs 1000 / (n + offset). On a set that is
    balanced already a sum over labels does not help; the summary says by how
    much the commonest class leads before and after.
    """
    quiet_libraries()
    from ..audioset.labels import read_labels
    from ..index.sample_weights import describe_weights, sample_weights, write_weights
    from ..results.tagged_rows import open_rows

    rows = open_rows(source, split)
    made = sample_weights(rows, column, parse_offset(offset), combine)
    write_weights(made, out)
    facts = describe_weights(read_labels(rows, column), made)
    finish({**asdict(facts), "out": out}, 0, as_json, lambda: show_facts(facts, out))


def parse_offset(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def show_facts(facts: "WeightFacts", out: str) -> None:
    table = {
        "rows": f"{facts.rows:,}",
        "without labels": f"{facts.rows_without_labels:,}",
        "classes": f"{facts.classes:,}",
        "least weight": f"{facts.least:.6g}",
        "most": f"{facts.most:.6g}",
    }
    if facts.imbalance is not None:
        table["commonest over rarest class"] = f"{facts.imbalance:.1f}"
        table["among rows drawn"] = f"{facts.imbalance_drawn:.1f}"
    stdout().print(two_columns([(name, text, None) for name, text in table.items()], "right"))
    print_text(f"\nThe weights are in {out}")
