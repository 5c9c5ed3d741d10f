"""The package's structure: what imports what. Imports inside functions and for types count too."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import hf_audio_tagger

PACKAGE = Path(hf_audio_tagger.__file__).parent
NAME = PACKAGE.name

# Each room may import from those in the lines above its own, and from itself.
LAYERS = (
    "_version errors text digests demo atomic_files",
    "checks compat scores cells media_paths",
    "audioset columns memo",
    "rows process",
    "media",
    "models",
    "windows pipeline",
    "settings",
    "tagger",
    "provenance",
    "sources executors",
    "results",
    "predictions hub",
    "runs",
    "plot recipes doctor",
    "cli",
)
LEVELS = {room: level for level, rooms in enumerate(LAYERS) for room in rooms.split()}


def modules() -> dict[str, Path]:
    """Every module by its name within the package; the package itself and `__main__` are above all rooms."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name not in ("", "__main__"):
            found[name] = path
    return found


MODULES = modules()


def imported_by(name: str) -> Iterator[str]:
    """The modules of ours that a module imports, wherever in it."""
    path = MODULES[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = package[: len(package) - node.level + 1]
            elif node.module and node.module.split(".")[0] == NAME:
                base = []
            else:
                continue
            module = (node.module or "").removeprefix(NAME).strip(".") if not node.level else node.module
            target = ".".join([*base, *([module] if module else [])])
            for alias in node.names:
                inner = f"{target}.{alias.name}".strip(".")
                yield inner if inner in MODULES else target
        elif isinstance(node, ast.Import):
            for alias in node.names:
                assert alias.name.split(".")[0] != NAME, f"{name} imports {alias.name} by its full name"


IMPORTS = {name: sorted(set(imported_by(name)) - {name}) for name in MODULES}


def room_of(name: str) -> str:
    return name.split(".")[0]


def test_every_room_has_a_level() -> None:
    assert sorted({room_of(name) for name in MODULES}) == sorted(LEVELS)


def test_nothing_imports_upwards() -> None:
    upwards = [
        f"{name} imports {target}"
        for name, targets in IMPORTS.items()
        for target in targets
        if not target
        or (room_of(name) != room_of(target) and LEVELS[room_of(target)] >= LEVELS[room_of(name)])
    ]
    assert not upwards


def test_no_circles() -> None:
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        raise AssertionError(" imports ".join(error.args[1])) from None
