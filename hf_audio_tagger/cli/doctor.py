"""`hf-audio-tagger doctor`: check the installation, with remedies."""

import textwrap
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from ..text import safe_json
from .console import mark, quiet_libraries, stdout
from .wording import SETTINGS, use_options

if TYPE_CHECKING:
    from ..doctor import Finding

SUBJECT_COLUMNS = 17  # "openvino bfloat16"
INDENT = " " * (len("  ✓ ") + SUBJECT_COLUMNS + 1)  # of details and remedies


def doctor(
    model: Annotated[
        str | None,
        typer.Option(help="The model to look for: an id, a folder, a family.", show_default="build_tagger's"),
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Its branch, tag or commit on the Hub.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    skip_speed: Annotated[
        bool, typer.Option("--skip-speed", help="Do not time the model's engines and dtypes.")
    ] = False,
) -> None:
    """Check this machine: libraries, decoders, devices, the model, its speed; a remedy for what is wrong.

    Exits with 0 if tagging works here: the libraries load, PyAV decodes, the packaged model
    tags, and the model is in the cache or can be downloaded. Anything else may be missing.
    """
    quiet_libraries()
    from ..doctor import examine

    console, findings = stdout(), []
    for title, section in examine(model, revision, speed=not skip_speed):
        if not as_json:
            console.print(title, style="bold")
        for finding in section:  # shown as soon as it is known
            findings.append({"section": title, **asdict(finding)})
            if not as_json:
                print_finding(console, finding)
    states = Counter(finding["state"] for finding in findings)
    works = not states["error"]
    if as_json:
        typer.echo(safe_json({"works": works, "findings": findings}, indent=2))
    else:
        faults = " and ".join(
            f"{count} {state}{'s' * (count != 1)}"
            for state in ("error", "warning")
            if (count := states[state])
        )
        ready = "Ready" if works else "Not ready"
        console.print(f"\n{ready}{f': {faults} above' if faults else ''}.", style="bold")
    if not works:
        raise typer.Exit(1)


def print_finding(console: Console, finding: "Finding") -> None:
    line = Text("  ").append_text(mark(console, finding.state))
    line.append(f" {finding.subject:<{SUBJECT_COLUMNS}} {wrap(console, finding.detail)}")
    console.print(line, soft_wrap=True)
    if finding.remedy and finding.state != "ok":
        remedy = INDENT + wrap(console, use_options(finding.remedy, SETTINGS))
        console.print(Text(remedy, "dim" if finding.state == "note" else "cyan"), soft_wrap=True)


def wrap(console: Console, text: str) -> str:
    """Indented lines on a terminal; one line for a file or a pipe, where it may be searched."""
    if not console.is_terminal:
        return text
    width = max(20, console.width - len(INDENT))
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return f"\n{INDENT}".join(lines)
