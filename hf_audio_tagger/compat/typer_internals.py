"""What typer has no public name for."""

import typer


def set_usage_error_exit_code(code: int) -> None:
    """The exit code of a command that was called wrongly. typer has no setting for it.

    The base class, click's UsageError, is exported by typer under no name.
    """
    usage_error = typer.BadParameter.__base__
    assert usage_error is not None
    assert usage_error.__name__ == "UsageError"
    usage_error.exit_code = code  # type: ignore[attr-defined]
