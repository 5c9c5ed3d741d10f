"""The package's structure: what imports what, and how long files are.

Imports inside functions and for types count too.
"""

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "hf_audio_tagger"
NAME = PACKAGE.name
MOST_LINES = 400  # of a file: a longer one has two subjects

# Each room may import from those in the lines above its own, and from itself.
LAYERS = (
    "_version choices errors text digests demo compat atomic_files disk file_locks",
    "checks scores cells media_paths stores",
    "columns memo media_column activity thresholds label_texts",
    "rows process",
    "media audioset executors",
    "index models",
    "windows measures",
    "chunks",
    "decode_ahead",
    "pipeline",
    "settings",
    "tagger",
    "provenance speed",
    "sources",
    "results clips",
    "predictions",
    "neighbors evaluation",
    "page",
    "hub",
    "runs",
    "plot recipes doctor",
    "cli",
)
LEVELS = {room: level for level, rooms in enumerate(LAYERS) for room in rooms.split()}


def find_modules() -> dict[str, Path]:
    """Every module by its name within the package; the package itself and `__main__` are above all rooms."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name not in ("", "__main__"):
            found[name] = path
    return found


MODULES = find_modules()


def find_imports(name: str) -> Iterator[str]:
    """The modules of the package that a module imports; the package itself is ""."""
    path = MODULES[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            modules = [alias.name.split(".") for alias in node.names]
            yield from (".".join(parts[1:]) for parts in modules if parts[0] == NAME)
        if not isinstance(node, ast.ImportFrom):
            continue
        parts = (node.module or "").split(".") if node.module else []
        if node.level:
            parts = [*package[: len(package) - node.level + 1], *parts]
        elif parts[0] == NAME:
            parts = parts[1:]
        else:
            continue
        target = ".".join(parts)
        for alias in node.names:
            inner = f"{target}.{alias.name}".strip(".")
            yield inner if inner in MODULES else target


IMPORTS = {name: sorted(set(find_imports(name)) - {name}) for name in MODULES}


def get_room(name: str) -> str:
    return name.split(".")[0]


def test_every_room_has_a_layer() -> None:
    rooms = {get_room(name) for name in MODULES}
    without = sorted(rooms - LEVELS.keys())
    assert not without, f"Give them a place in LAYERS, above all that they import: {', '.join(without)}"
    unknown = sorted(LEVELS.keys() - rooms)
    assert not unknown, f"LAYERS names what is not in the package: {', '.join(unknown)}"


def test_the_readme_shows_the_same_layers() -> None:
    """The Architecture section has them in a block that begins with ```rooms: a line a layer, names first."""
    readme = (ROOT / "README.md").read_text("utf-8")
    block = re.search(r"^```(?:text\n)?rooms\b[^\n]*\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    if block is None:
        pytest.skip("the README has no block of rooms")
    lines = [line for line in block[1].splitlines() if line.strip()]
    shown = [sorted(re.split(r"\s{2,}", line.strip())[0].split()) for line in lines]
    assert shown == [sorted(layer.split()) for layer in LAYERS]


def is_upward(name: str, target: str) -> bool:
    if not target:
        return True
    room, other = get_room(name), get_room(target)
    return room != other and LEVELS[other] >= LEVELS[room]


def test_nothing_imports_upwards() -> None:
    """A room in the same layer counts as above; the package itself is above all."""
    upward = [
        f"{name} imports {target or 'the package itself'}"
        for name, targets in IMPORTS.items()
        for target in targets
        if is_upward(name, target)
    ]
    assert not upward, "A room may import from the layers below its own only:\n" + "\n".join(upward)


def test_no_module_imports_itself_by_way_of_others() -> None:
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        circle = error.args[1][::-1]  # graphlib lists the imported module first
        pytest.fail("A circle: " + " imports ".join(circle))


@pytest.mark.parametrize("folder", [NAME, "tests", "benchmarks", "campaigns", "tools"])
def test_no_file_is_too_long(folder: str) -> None:
    lengths = {path: path.read_text("utf-8").count("\n") for path in (ROOT / folder).rglob("*.py")}
    long = {
        str(path.relative_to(ROOT)): lines for path, lines in sorted(lengths.items()) if lines > MOST_LINES
    }
    assert not long, f"Split them by subject; {MOST_LINES} lines are the most: {long}"
