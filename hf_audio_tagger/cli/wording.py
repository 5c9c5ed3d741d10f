"""Errors of the package in the words of the shell: `top_k=3` becomes `--top-k 3`.

The package's messages name an argument with an equals sign, `top_k=`, or begin with it where its value is
wrong, "top_k must be ...". Arguments that are options of the command are replaced; all others stay.
"""

import re
from collections.abc import Mapping
from typing import Any

from ..settings import ABOUT

VALUE = r"""True|\.\.\.|'[^']*'|"[^"]*"|\d+(?:\.\d+)?"""
END = r"(?=[\s,;:)]|\.(?:\s|$)|$)"  # what follows an argument in a sentence, and not in a file's name
START = r"(?<![^\s(])"
CALL = re.compile(rf"{START}build_tagger\(([^()]*)\)")
POSITIONAL = re.compile(r"""(["'])[^"']*\1""")

Options = Mapping[str, str]  # by the names of their arguments
SETTINGS: Options = {name: f"--{name.replace('_', '-')}" for name, about in ABOUT.items() if about.panel}


def find_options(context: Any) -> Options:
    """The options of the command that runs."""
    command = context.command
    subcommands = getattr(command, "commands", {})
    command = subcommands.get(context.invoked_subcommand, command)
    return {one.name: max(one.opts, key=len) for one in command.params if one.param_type_name == "option"}


def use_options(message: str, options: Options) -> str:
    """A message with options in place of arguments.

    >>> use_options('threshold= needs top_k=3.', {"threshold": "--threshold", "top_k": "--top-k"})
    '--threshold needs --top-k 3.'
    """
    if not options:
        return message
    names = "|".join(map(re.escape, sorted(options, key=len, reverse=True)))
    argument = re.compile(rf"{START}({names})=({VALUE})?{END}")
    message = CALL.sub(lambda call: write_call(call, argument, options), message)
    message = argument.sub(lambda found: write_option(options[found[1]], found[2]), message)
    begins = re.compile(rf"^({names}) (must be )(?:None or )?")
    message = begins.sub(lambda found: f"{options[found[1]]} {found[2]}", message)
    changes = re.compile(rf"(?<=[:;] )({names}) was ")  # in a list of settings that differ
    return changes.sub(lambda found: f"{options[found[1]]} was ", message)


def write_option(option: str, value: str | None) -> str:
    value = "" if value in (None, "True", "...") else str(value).strip("'\"")
    return f"{option} {value}".rstrip()


def write_call(call: re.Match[str], argument: re.Pattern[str], options: Options) -> str:
    """`build_tagger("yamnet", top_k=3)` as options; unchanged if one of its arguments is no option."""
    written = []
    for given in call[1].split(", "):
        if POSITIONAL.fullmatch(given) and "model" in options:
            written.append(write_option(options["model"], given))
        elif found := argument.fullmatch(given):
            written.append(write_option(options[found[1]], found[2]))
        else:
            return call[0]
    return " ".join(written)
