"""`hf-audio-tagger tag` without --out: what each clip sounds like, printed as soon as it is known."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from ..activity import LOADING, Meter, measured_by
from ..errors import SettingsError
from ..text import safe_json, safe_text
from .console import fail, note, stderr
from .figures import format_duration
from .report import SOME_FAILED
from .wording import SETTINGS, use_options

if TYPE_CHECKING:
    from ..clips import ClassifiedClip
    from ..sources.source import Source
    from ..tagger import Tagger

STDIN = "-"


def read_sources(given: Sequence[str]) -> str | list[str]:
    """SOURCE, or several; each "-" stands for the paths on standard input.

    Paths are lines, or end with a null, as `find -print0` writes them.
    """
    if list(given) != [STDIN] and len(given) == 1:
        return given[0]
    sources: list[str] = []
    for one in given:
        sources += read_paths() if one == STDIN else [one]
    if not sources:
        raise SettingsError("There are no paths on standard input.")
    return sources


def read_paths() -> list[str]:
    data = sys.stdin.buffer.read()
    lines = data.split(b"\0") if b"\0" in data else data.splitlines()
    return [os.fsdecode(line) for line in lines if line.strip()]


def print_clips(
    source: "Source | str | list[str]",
    tagger: "Tagger",
    limit: int | None,
    sample: int | None,
    as_json: bool,
    quiet: bool = False,
) -> None:
    """Print a line for each label of each clip of an opened source, or a JSON object for each clip.

    Failures go to standard error, and end the command with `SOME_FAILED`.
    """
    from ..clips import classify_clips

    if tagger.embeddings and not as_json:
        raise SettingsError("--embeddings are printed with --json only, and written with --out DEST.")
    if not quiet and not isinstance(source, str | list):
        for line in source.notes:
            note(line)
    wants_top = tagger.top_k is not None or not tagger.segments
    if tagger.top_k is None and tagger.labels:  # some weights have no classifier
        tagger = replace(tagger, top_k=1)
    clips = classify_clips(source, tagger, limit=limit, sample=sample)
    failed = 0
    for clip in clips if quiet else after_status(clips):
        failed += clip.result.error is not None
        if as_json:
            print_line(safe_json(describe(clip)))
        elif clip.result.error is not None:
            fail(name_failure(clip))
        else:
            for fields in list_fields(clip, wants_top):
                print_line("\t".join(map(safe_text, fields)))
    if failed:
        raise typer.Exit(SOME_FAILED)


def after_status(clips: "Iterator[ClassifiedClip]") -> "Iterator[ClassifiedClip]":
    """The clips; until the first one, the terminal shows what is being done."""
    status = stderr().status(LOADING)

    def show(_: bool) -> None:
        now = meter.read()
        status.update(now.stage or f"Tagging: {format_duration(now.sound_seconds)} of sound")

    meter = Meter(show)
    with ExitStack() as stack:
        stack.enter_context(status)
        stack.enter_context(measured_by(meter))
        for clip in clips:
            stack.close()
            yield clip


def list_fields(clip: "ClassifiedClip", wants_top: bool) -> Iterator[list[str]]:
    """The fields of each line: the clip, the part of it if the line is of a segment, the label, the score."""
    from ..scores import EMPTY

    result = clip.result
    labels = result.top or ()
    if wants_top:
        yield from ([clip.name, label, f"{score:.3f}"] for label, score in labels)
    for one in result.segments or ():
        yield [clip.name, f"{one.start:.2f}-{one.end:.2f}", one.label, f"{one.score:.3f}"]
    if not labels and not result.segments:  # without sound, or below the threshold
        yield [clip.name, EMPTY] if result.tag == EMPTY else [clip.name]


def describe(clip: "ClassifiedClip") -> dict[str, Any]:
    """A clip as a JSON object, its results by the kinds of columns."""
    from ..columns import all_columns

    described: dict[str, Any] = {"clip": clip.name, "row": clip.row}
    if clip.result.error is not None:
        return {**described, "error": clip.result.error}
    entries = {column.kind: column.entry(clip.result) for column in all_columns("")}
    entries = {"tag": entries.pop("tags"), **entries}
    return {**described, **{kind: entry for kind, entry in entries.items() if entry is not None}}


def name_failure(clip: "ClassifiedClip") -> str:
    """A failure that names the clip, once; what to do about it in options."""
    file = os.path.basename(clip.name) or clip.name
    before, is_named, reason = str(clip.result.error).rpartition(file)
    reason = use_options(reason, SETTINGS)
    return f"{before}{file}{reason}" if is_named else f"{clip.name}: {reason}"


def print_line(text: str) -> None:
    """Print at once, also to a pipe, in what the terminal can show."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    typer.echo(text.encode(encoding, "backslashreplace").decode(encoding))
