"""Options that several commands share: the same name, the same words of help."""

from typing import Annotated, Any

import typer

SOURCES, MODEL, HEARING, COLUMNS, RUN, HUB = (
    "Source",
    "Model",
    "What is heard",
    "Columns",
    "The run",
    "The Hub",
)


def option(panel: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=panel, **more)


Revision = Annotated[str | None, option(MODEL, help="Branch, tag or commit of a Hub model.")]
Weights = Annotated[
    str | None,
    option(MODEL, help="File or URL for yamnet or vggish.", show_default="that in the cache folder"),
]
Engine = Annotated[str, option(MODEL, help='"torch", or "openvino" for CPUs.')]
Device = Annotated[
    str | None, option(MODEL, help='Such as "cpu" or "cuda:1".', show_default="CUDA, else CPU")
]
Dtype = Annotated[str, option(MODEL, help="float32, bfloat16, float16 or auto.")]
BatchSize = Annotated[
    int, option(MODEL, min=1, help="Stretches of ten seconds that the model hears at once.")
]
Channels = Annotated[str, option(HEARING, help='"mean" of all channels, or the "first".')]
Decoder = Annotated[str, option(HEARING, help="auto, torchcodec, pyav or decord.")]
Processes = Annotated[
    int | None,
    option(RUN, "--num-proc", min=1, metavar="N", help="Processes.", show_default="one for each GPU, or one"),
]
FollowLinks = Annotated[
    bool, option(SOURCES, "--follow-links", help="Read also what links in a folder name outside of it.")
]
AsJson = Annotated[
    bool, option(RUN, "--json", help="Print the summary as JSON on standard output, for scripts.")
]
