"""`hf-audio-tagger doctor`: what can run here, and a remedy for what cannot."""

import textwrap
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from ..text import safe_json
from .console import mark, note, quiet_libraries, stdout

if TYPE_CHECKING:
    from ..doctor import Finding

SUBJECT_COLUMNS = 16
DETAIL_INDENT = len("  ✓ ") + SUBJECT_COLUMNS + 1


def doctor(
    model: Annotated[
        str | None,
        typer.Option(help="The model to look for: an id, a folder, a family.", show_default="build_tagger's"),
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Its branch, tag or commit on the Hub.")] = None,
    fetch: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Instead, put this model of the Hub into the cache."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check this machine: libraries, decoders, devices, the model; a remedy for what is wrong.

    Exits with 0 if tagging works here: the libraries load, PyAV decodes, the packaged model
    tags, and the model is in the cache or to be had. Anything else may be missing.
    """
    quiet_libraries(hub_bars=fetch is not None)
    if fetch is not None:
        fetch_model(fetch, revision)
    elif not (print_json if as_json else print_sections)(model, revision):
        raise typer.Exit(1)


def print_sections(model: str | None, revision: str | None) -> bool:
    """Each finding as soon as it is known; whether all is ready."""
    from ..doctor import examine

    console, states = stdout(), Counter[str]()
    for title, findings in examine(model, revision):
        console.print(title, style="bold")
        for finding in findings:
            states[finding.state] += 1
            print_finding(console, finding)
    told = " and ".join(count(states[state], state) for state in ("error", "warning") if states[state])
    ready = not states["error"]
    console.print(f"\n{'Ready' if ready else 'Not ready'}{f': {told} above' if told else ''}.", style="bold")
    return ready


def print_finding(console: Console, finding: "Finding") -> None:
    line = Text("  ").append_text(mark(console, finding.state))
    line.append(f" {finding.subject:<{SUBJECT_COLUMNS}} {wrapped(console, finding.detail, DETAIL_INDENT)}")
    console.print(line, soft_wrap=True)
    if finding.remedy and finding.state != "ok":
        remedy = " " * DETAIL_INDENT + wrapped(console, finding.remedy, DETAIL_INDENT)
        console.print(Text(remedy, "dim" if finding.state == "note" else "cyan"), soft_wrap=True)


def wrapped(console: Console, text: str, indent: int) -> str:
    """Lines that hang below each other on a terminal; one line for a file or a pipe, to be searched."""
    if not console.is_terminal:
        return text
    room = max(20, console.width - indent)
    lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
    return ("\n" + " " * indent).join(lines)


def print_json(model: str | None, revision: str | None) -> bool:
    from ..doctor import examine

    found: list[tuple[str, Finding]] = [
        (title, finding) for title, findings in examine(model, revision) for finding in findings
    ]
    works = all(finding.state != "error" for _, finding in found)
    findings = [{"section": title, **asdict(finding)} for title, finding in found]
    typer.echo(safe_json({"works": works, "findings": findings}, indent=2))
    return works


def count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"


def fetch_model(model: str, revision: str | None) -> None:
    """Download, and say how the model comes from here to a machine without network."""
    from ..doctor import model_files

    note(f"Fetching {model} from {model_files.hub_host()}")
    snapshot = model_files.fetch(model, revision)
    folder = snapshot.parents[1]  # models--name--model, with blobs and refs
    console = stdout()
    console.print(
        f"{model} is in the cache, {model_files.folder_bytes(snapshot) / 1e6:.0f} MB:\n  {folder}",
        markup=False,
        soft_wrap=True,
    )
    console.print(
        "For a machine without network copy that folder with its links (rsync -a, cp -a, tar) to its cache,\n"
        "$HF_HUB_CACHE or ~/.cache/huggingface/hub, and set HF_HUB_OFFLINE=1 there.",
        style="dim",
        markup=False,
        soft_wrap=True,
    )
