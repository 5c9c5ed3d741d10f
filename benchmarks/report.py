"""Results as tables: on the terminal, in Markdown, and kept as JSON, one file a machine."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .outcome import Cell, Row

Results = dict[str, Any]  # {"machine": {...}, "cases": {name: {"title", "date", "load", ..., outcome}}}

YES_OR_NO = {True: "yes", False: "no", None: ""}


def make_figure_rows(figures: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Figures, as an outcome's JSON has them, as rows of a table."""
    return [
        {
            "figure": figure["name"],
            "value": f"{number(figure['value'])} {figure['unit']}".strip(),
            "aim": figure["bound"],
            "reached": YES_OR_NO[figure["reached"]],
        }
        for figure in figures
    ]


def text_table(rows: Sequence[Row]) -> str:
    """Aligned columns; numbers to the right.

    >>> print(text_table([{"who": "a", "seconds": 1.5}, {"who": "bcd", "seconds": 10.0}]))
    who  seconds
    a        1.5
    bcd       10
    """
    names = list_columns(rows)
    cells = [[number(row.get(name)) for name in names] for row in rows]
    widths = [max(len(line[place]) for line in [names, *cells]) for place in range(len(names))]
    is_right = [all(is_number(row.get(name)) for row in rows) for name in names]

    def line(values: Sequence[str]) -> str:
        padded = [
            value.rjust(width) if right else value.ljust(width)
            for value, width, right in zip(values, widths, is_right, strict=True)
        ]
        return "  ".join(padded).rstrip()

    return "\n".join(map(line, [names, *cells]))


def markdown_table(rows: Sequence[Row]) -> str:
    """
    >>> print(markdown_table([{"who": "a", "seconds": 1.5}]))
    | who | seconds |
    | --- | ---: |
    | a | 1.5 |
    """
    names = list_columns(rows)
    rule = ["---:" if all(is_number(row.get(name)) for row in rows) else "---" for name in names]
    lines = [names, rule, *([number(row.get(name)).replace("|", "\\|") for name in names] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def list_columns(rows: Sequence[Row]) -> list[str]:
    """Every column that a row has, in the order of first sight."""
    return list(dict.fromkeys(name for row in rows for name in row))


def is_number(value: Cell) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def number(value: Any) -> str:
    """Three digits, which is more than a shared machine's noise leaves.

    >>> number(0.01234), number(12345.6), number(None)
    ('0.0123', '12346', '')
    """
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return "" if value is None else str(value)


def case_text(case: Mapping[str, Any], table: Any = text_table) -> str:
    """One case's tables and notes, as text or (`table=markdown_table`) as Markdown."""
    if case["left_out"]:
        return f"Left out: {case['left_out']}"
    parts = [table(rows) for rows in (make_figure_rows(case["figures"]), case["table"]) if rows]
    parts += [f"- {note}" for note in case["notes"]]
    return "\n\n".join(parts)


def markdown(results: Results) -> str:
    machine = [f"- {name}: {value}" for name, value in results["machine"].items()]
    lines = ["# Benchmarks", "", *machine, "", "## Figures", ""]
    figures = [
        {"case": name, **row}
        for name, case in results["cases"].items()
        for row in make_figure_rows(case["figures"])
    ]
    lines += [markdown_table(figures), ""] if figures else []
    for name, case in results["cases"].items():
        when = f"{case['date']}, {case['scale']}, load average {case['load']} before the case"
        lines += [f"## {name}: {case['title']}", "", f"_{when}_", ""]
        lines += [case_text(case, markdown_table), ""]
    return "\n".join(lines)


def slug(name: str) -> str:
    """
    >>> slug("2 cores, AMD EPYC 9R14")
    '2-cores-amd-epyc-9r14'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def write(folder: Path, machine: Mapping[str, Any], cases: Mapping[str, Mapping[str, Any]]) -> Path:
    """Put cases beside those that the file of this machine has, and write it as JSON and Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{slug(machine['name'])}.json"
    known = json.loads(path.read_text())["cases"] if path.exists() else {}
    results: Results = {"machine": dict(machine), "cases": {**known, **cases}}
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    path.with_suffix(".md").write_text(markdown(results))
    return path.with_suffix(".md")
