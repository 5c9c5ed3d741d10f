"""`hf-audio-tagger doctor`: what can run here, and remedies."""

import textwrap
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from ..text import safe_json
from .console import mark, quiet_libraries, stdout

if TYPE_CHECKING:
    from ..doctor import Finding

    Sections = Iterable[tuple[str, Iterable[Finding]]]

SUBJECT_COLUMNS = 16
DETAIL_INDENT = len("  ✓ ") + SUBJECT_COLUMNS + 1


def doctor(
    model: Annotated[
        str | None,
        typer.Option(help="The model to look for: an id, a folder, a family.", show_default="build_tagger's"),
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Its branch, tag or commit on the Hub.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check this machine: libraries, decoders, devices, the model; a remedy for what is wrong.

    Exits with 0 if tagging works here: the libraries load, PyAV decodes, the packaged model
    tags, and the model is in the cache or can be downloaded. Anything else may be missing.
    """
    quiet_libraries()
    from ..doctor import examine

    if not (print_json if as_json else print_sections)(examine(model, revision)):
        raise typer.Exit(1)


def print_sections(sections: "Sections") -> bool:
    """Print each finding as soon as it is known; True if there is no error."""
    console, states = stdout(), Counter[str]()
    for title, findings in sections:
        console.print(title, style="bold")
        for finding in findings:
            states[finding.state] += 1
            print_finding(console, finding)
    counts = [(states[state], state) for state in ("error", "warning") if states[state]]
    faults = " and ".join(f"{count} {state}{'s' * (count > 1)}" for count, state in counts)
    ready = "Not ready" if states["error"] else "Ready"
    console.print(f"\n{ready}{f': {faults} above' if faults else ''}.", style="bold")
    return not states["error"]


def print_finding(console: Console, finding: "Finding") -> None:
    line = Text("  ").append_text(mark(console, finding.state))
    line.append(f" {finding.subject:<{SUBJECT_COLUMNS}} {wrap(console, finding.detail)}")
    console.print(line, soft_wrap=True)
    if finding.remedy and finding.state != "ok":
        remedy = " " * DETAIL_INDENT + wrap(console, finding.remedy)
        console.print(Text(remedy, "dim" if finding.state == "note" else "cyan"), soft_wrap=True)


def wrap(console: Console, text: str) -> str:
    """Indented lines on a terminal; one line for a file or a pipe, where it may be searched."""
    if not console.is_terminal:
        return text
    width = max(20, console.width - DETAIL_INDENT)
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return ("\n" + " " * DETAIL_INDENT).join(lines)


def print_json(sections: "Sections") -> bool:
    findings = [{"section": title, **asdict(finding)} for title, section in sections for finding in section]
    works = all(finding["state"] != "error" for finding in findings)
    typer.echo(safe_json({"works": works, "findings": findings}, indent=2))
    return works
