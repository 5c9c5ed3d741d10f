"""The shell's face: `hf-audio-tagger`. Commands read options, call the package and print.

One file a command. To add one, write `cli/<name>.py` with a function whose docstring is its help,
import the module below and give it a line in `COMMANDS`. A command module imports torch, datasets
and the like inside its function, so that `hf-audio-tagger --help` stays quick.
"""

import os
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .._version import __version__
from ..compat.typer_internals import set_usage_error_exit_code
from ..errors import TaggerError
from . import demo, doctor, label, run, tag
from .console import fail, note, stderr

COMMANDS: dict[str, Callable[..., Any]] = {  # in the order of --help
    "demo": demo.demo,
    "doctor": doctor.doctor,
    "tag": tag.tag,
    "label": label.label,
    "run": run.run,
}

TRACEBACK_VARIABLE = "HF_AUDIO_TAGGER_TRACEBACK"
INTERRUPTED = 130  # what shells expect after Ctrl-C
WRONG_USE = 1  # also for a mistyped option, where click says 2; here 2 is a run that could not go on

set_usage_error_exit_code(WRONG_USE)


class Commands(TyperGroup):
    """Errors of ours are told in one line; anything else is a bug and keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            note("Interrupted.")
            raise typer.Exit(INTERRUPTED) from None
        except TaggerError as error:
            if wants_traceback(ctx):
                raise
            fail(str(error))
            raise typer.Exit(1) from None


def wants_traceback(ctx: Any) -> bool:
    return bool(ctx.params.get("traceback")) or os.environ.get(TRACEBACK_VARIABLE, "0") not in ("", "0")


def show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"hf-audio-tagger {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # a traceback may be posted, and locals may hold tokens
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def hf_audio_tagger(
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help=f"Show where an error arose (or set {TRACEBACK_VARIABLE}=1).")
    ] = False,
) -> None:
    """Add what a video sounds like to a Hugging Face dataset."""


for name, command in COMMANDS.items():
    app.command(name)(command)


def main() -> None:
    """The console script. What is no error of ours is shown with where it arose, and no values: see above."""
    try:
        app(prog_name="hf-audio-tagger")
    except Exception:
        stderr().print_exception(suppress=[typer], show_locals=False)
        raise SystemExit(WRONG_USE) from None
