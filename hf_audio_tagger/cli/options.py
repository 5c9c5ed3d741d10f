"""Options that several commands share, and those that are made of a tagger's settings."""

import inspect
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import typer

from ..errors import SettingsError
from ..settings import ABOUT, DEFAULTS, FIELDS, IS_COUNT
from .console import quiet_libraries
from .report import exit_codes

if TYPE_CHECKING:
    from ..executors.cluster import RayCluster

SOURCES, RUN, HUB = "Source", "The run", "The Hub"
PANELS = (SOURCES, "Model", "Sound", "Columns", RUN, HUB)  # in the order of --help


def option(panel: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=panel, **more)


Processes = Annotated[
    int | None,
    option(RUN, "--num-proc", min=1, metavar="N", help="Processes.", show_default="one for each GPU, or one"),
]
Ray = Annotated[
    str | None,
    option(
        RUN,
        "--ray",
        metavar="WHERE",
        help="Run on a Ray cluster: auto, HOST:PORT, or local. All nodes must see SOURCE and DEST; "
        "--num-proc is then workers in it.",
        show_default="this machine",
    ),
]
Shard = Annotated[
    str | None,
    option(
        RUN,
        "--shard",
        metavar="I/N",
        help="Do only the share I (from 1) of N commands that do the run together in one DEST; the last one "
        "to end finishes it.",
        show_default="all",
    ),
]
Split = Annotated[str | None, option(SOURCES, "--split", help="Needed where there are several.")]
FollowLinks = Annotated[
    bool, option(SOURCES, "--follow-links", help="Also read files outside of a folder that its links name.")
]
Root = Annotated[
    str | None, option(SOURCES, "--root", metavar="DIR", help="Of an index: the folder of its clips.")
]
Files = Annotated[
    str | None,
    option(
        SOURCES,
        "--files",
        metavar="NAME",
        help="Of an index: how its clips are called in there, such as '{id}_{bos:.3f}.flac'.",
        show_default="by the kind of index",
    ),
]
Sample = Annotated[
    int | None,
    option(SOURCES, "--sample", min=1, metavar="N", help="Only N rows drawn from all over, always the same."),
]
AsJson = Annotated[
    bool, option(RUN, "--json", help="Print the summary as JSON on standard output, for scripts.")
]
FAST = "fast"
Fast = Annotated[
    bool,
    option(
        "Model", "--fast", help="Take the engine and dtype that are the fastest here; a few tags may differ."
    ),
]

Quiet = Annotated[
    bool, option(RUN, "--quiet", "-q", help="Show no settings and no bar; errors and the summary stay.")
]


def read_cluster(ray: str | None) -> "RayCluster | None":
    """The cluster that --ray names."""
    from ..executors.cluster import RayCluster

    return None if ray is None else RayCluster(ray)


def takes_tagger(*without: str, **defaults: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace a command's parameter `tagger` by an option for each setting.

    Args:
        without: settings that the command has no option for.
        defaults: of settings whose default in this command differs from that in Python, or that are fixed.
    """
    fixed = {name: value for name, value in defaults.items() if name in without}
    names = [name for name, about in ABOUT.items() if about.panel is not None and name not in without]
    names.sort(key=lambda name: PANELS.index(str(ABOUT[name].panel)))

    def expand(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def build_and_call(context: typer.Context, **given: Any) -> None:
            quiet_libraries(hub_bars=True)  # a dataset or model may take long to download
            settings = {**fixed, **{name: parse_value(name, given.pop(name)) for name in names}}
            with exit_codes(context):
                from ..tagger import build_tagger

                if given.pop(FAST):
                    settings |= choose_fastest(context, settings)
                command(tagger=build_tagger(**settings), **given)

        keyword = inspect.Parameter.KEYWORD_ONLY
        expanded = [
            inspect.Parameter("context", keyword, annotation=typer.Context),
            inspect.Parameter(FAST, keyword, annotation=Fast, default=False),
        ]
        for name, parameter in inspect.signature(command).parameters.items():
            if name == "tagger":
                expanded += [setting_option(one, defaults) for one in names]
            else:
                expanded.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
        build_and_call.__signature__ = inspect.Signature(expanded)  # type: ignore[attr-defined]
        build_and_call.__annotations__ = {one.name: one.annotation for one in expanded}
        return build_and_call

    return expand


def choose_fastest(context: typer.Context, settings: dict[str, Any]) -> dict[str, Any]:
    """The fastest engine and dtype for the other settings. Refused if one of the two is given, too."""
    from ..speed import fastest_settings

    sources = [context.get_parameter_source(name) for name in ("engine", "dtype")]
    if any(source is not None and source.name == "COMMANDLINE" for source in sources):
        raise SettingsError("--fast chooses --engine and --dtype: leave these out, or --fast.")
    return {**fastest_settings(**settings)}


def setting_option(name: str, defaults: dict[str, Any]) -> inspect.Parameter:
    about, types = ABOUT[name], value_types(name)
    default = defaults.get(name, DEFAULTS[name])
    kind: Any = next(one for one in (str, bool, int, float) if one in types)
    flag = ["--" + name.replace("_", "-")] if kind is bool else []
    more: dict[str, Any] = {"min": 1} if about.check is IS_COUNT else {}
    if default is None:
        kind |= None
        more["show_default"] = about.none
    more["help"] = about.help[0].upper() + about.help[1:]
    annotation = Annotated[kind, option(str(about.panel), *flag, **more)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def value_types(name: str) -> tuple[Any, ...]:
    """The types that a setting takes; str for a choice."""
    declared = FIELDS[name].type
    parts = get_args(declared) if get_origin(declared) in (Union, UnionType) else (declared,)
    return tuple(str if get_origin(part) is Literal else part for part in parts)


def parse_value(name: str, given: Any) -> Any:
    """The value of an option; a number where the setting takes text and numbers."""
    types = value_types(name)
    for kind in (int, float):
        if isinstance(given, str) and kind in types:
            with suppress(ValueError):
                return kind(given)
    return given
