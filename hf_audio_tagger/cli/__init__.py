"""The shell command `hf-audio-tagger`: its commands read options, call the package and print.

To add a command, write `cli/<name>.py` with a function whose docstring is its help, and add a line to
`COMMANDS`. A command imports torch, datasets and the like inside its function: `--help` stays quick.
"""

from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .._version import __version__
from ..compat.other_libraries import set_usage_error_exit_code
from ..errors import TaggerError
from . import check, demo, doctor, evaluate, find, index, label, nearest, page, run, tag, weights
from .console import end_after_closed_pipe, fail, note, stderr
from .report import INTERRUPTED, TRACEBACK_VARIABLE, WRONG_USE, wants_traceback
from .wording import find_options, use_options

COMMANDS: dict[str, Callable[..., Any]] = {  # in the order of --help
    "demo": demo.demo,
    "doctor": doctor.doctor,
    "tag": tag.tag,
    "label": label.label,
    "report": page.report,
    "check": check.check,
    "index": index.index,
    "weights": weights.weights,
    "evaluate": evaluate.evaluate,
    "nearest": nearest.nearest,
    "find": find.find,
    "run": run.run,
}

set_usage_error_exit_code(WRONG_USE)


class Commands(TyperGroup):
    """Shows this package's errors in one line; any other error is a bug and keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            note("Interrupted.")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            end_after_closed_pipe()
        except TaggerError as error:
            if wants_traceback(ctx):
                raise
            fail(use_options(str(error), find_options(ctx)))
            raise typer.Exit(WRONG_USE) from None


def show_version(is_wanted: bool) -> None:
    if is_wanted:
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
    """The console script. A bug is shown with its traceback, without the values of variables."""
    try:
        app(prog_name="hf-audio-tagger")
    except Exception:
        stderr().print_exception(suppress=[typer], show_locals=False)
        raise SystemExit(WRONG_USE) from None
