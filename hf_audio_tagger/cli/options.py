"""Options that several commands share, and those that are made of a tagger's settings."""

import inspect
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from types import UnionType
from typing import Annotated, Any, get_args

import typer

from ..settings import ABOUT, IS_COUNT, Settings
from .console import quiet_libraries
from .report import exit_codes

SOURCES, RUN, HUB = "Source", "The run", "The Hub"
PANELS = (SOURCES, "Model", "Sound", "Columns", RUN, HUB)  # in the order of --help


def option(panel: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=panel, **more)


Processes = Annotated[
    int | None,
    option(RUN, "--num-proc", min=1, metavar="N", help="Processes.", show_default="one for each GPU, or one"),
]
FollowLinks = Annotated[
    bool, option(SOURCES, "--follow-links", help="Also read files outside of a folder that its links name.")
]
Sample = Annotated[
    int | None,
    option(SOURCES, "--sample", min=1, metavar="N", help="Only N rows drawn from all over, always the same."),
]
AsJson = Annotated[
    bool, option(RUN, "--json", help="Print the summary as JSON on standard output, for scripts.")
]


def takes_tagger(*without: str, **defaults: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace a command's parameter `tagger` by an option for each setting.

    Args:
        without: settings that the command has no option for.
        defaults: of settings whose default in this command differs from that in Python.
    """
    names = [name for name, about in ABOUT.items() if about.panel is not None and name not in without]
    names.sort(key=lambda name: PANELS.index(str(ABOUT[name].panel)))

    def expand(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def build_and_call(context: typer.Context, **given: Any) -> None:
            quiet_libraries(hub_bars=True)  # a dataset or model may take long to download
            settings = {name: parse_value(name, given.pop(name)) for name in names}
            with exit_codes(context):
                from ..tagger import build_tagger

                command(tagger=build_tagger(**settings), **given)

        expanded = [inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)]
        for name, parameter in inspect.signature(command).parameters.items():
            if name == "tagger":
                expanded += [setting_option(one, defaults) for one in names]
            else:
                expanded.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
        build_and_call.__signature__ = inspect.Signature(expanded)  # type: ignore[attr-defined]
        build_and_call.__annotations__ = {one.name: one.annotation for one in expanded}
        return build_and_call

    return expand


def setting_option(name: str, defaults: dict[str, Any]) -> inspect.Parameter:
    about, types = ABOUT[name], value_types(name)
    default = defaults.get(name, getattr(Settings, name))
    kind: Any = str if str in types else next(one for one in types if one is not type(None))
    flag = ["--" + name.replace("_", "-")] if kind is bool else []
    more: dict[str, Any] = {"min": 1} if about.check is IS_COUNT else {}
    if default is None:
        kind |= None
        more["show_default"] = about.none
    more["help"] = about.help[0].upper() + about.help[1:]
    annotation = Annotated[kind, option(str(about.panel), *flag, **more)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def value_types(name: str) -> tuple[Any, ...]:
    (declared,) = (one.type for one in fields(Settings) if one.name == name)
    return get_args(declared) if isinstance(declared, UnionType) else (declared,)


def parse_value(name: str, given: Any) -> Any:
    """The value of an option; a number where the setting takes text and whole numbers."""
    is_number = isinstance(given, str) and given.isdigit() and int in value_types(name)
    return int(given) if is_number else given
