"""Run the notebooks and store them with their outputs: python -m tools.run_notebooks [NAME...]

Each notebook runs in a new empty folder, without a network, with empty caches and without progress bars. What
differs from run to run is removed (times, addresses of objects, warnings): a second run of the same notebook
changes little. A notebook that shows an absolute path or this machine's name is not stored.
"""

import asyncio
import os
import re
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from hf_audio_tagger.atomic_files import write_file

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
CELL_SECONDS = 120
PICTURE_DPI = 80
MOST_BYTES = 1_000_000  # of a file; web pages show no larger ones
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
WIDGET = "application/vnd.jupyter.widget-view+json"  # a progress bar, where ipywidgets is installed
ADDRESS = re.compile(r" at 0x[0-9a-f]+")
EMBEDDED = re.compile(r"base64,[A-Za-z0-9+/=\s]+")
# An absolute path, and no URL: https://host/home/ has a letter or a slash before.
MACHINE_PATH = re.compile(
    r"(?<![\w./:])/(?:tmp|home|root|Users|work|private|var|mnt|opt|usr|workspace)/|\b[A-Z]:\\"
)


def find_notebooks(names: Sequence[str] = ()) -> list[Path]:
    """The notebooks with these names, or all of them."""
    found = sorted(FOLDER.glob("*.ipynb"))
    unknown = set(names) - {path.stem for path in found}
    if unknown:
        existing = ", ".join(path.stem for path in found)
        sys.exit(f"No notebook is named {', '.join(sorted(unknown))}; there are {existing}.")
    return [path for path in found if not names or path.stem in names]


def run_notebooks(paths: Sequence[Path], scratch: Path) -> dict[str, Any]:
    """Execute notebooks side by side; returns each by its name, clean. Raises where a cell does."""
    notebooks = {path.stem: nbformat.read(path, as_version=4) for path in paths}

    async def run_all() -> None:
        await asyncio.gather(*(execute(one, scratch / name) for name, one in notebooks.items()))

    asyncio.run(run_all())
    for notebook in notebooks.values():
        clean(notebook)
    return notebooks


async def execute(notebook: Any, scratch: Path) -> None:
    """Run one notebook with this very Python, in an empty folder below `scratch`."""
    folder = scratch / "folder"
    folder.mkdir(parents=True)
    matplotlibrc = scratch / "matplotlibrc"
    matplotlibrc.write_text(f"figure.dpi: {PICTURE_DPI}\n")
    environment = {
        **os.environ,
        "HF_HOME": str(scratch / "hf_home"),
        "HF_AUDIO_TAGGER_CACHE": str(scratch / "weights"),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "IPYTHONDIR": str(scratch / "ipython"),
        "MATPLOTLIBRC": str(matplotlibrc),
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }
    manager = AsyncKernelManager(
        kernel_name="python3",
        kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),  # none that is installed elsewhere
        connection_file=str(scratch / "kernel.json"),
    )
    client = NotebookClient(
        notebook,
        km=manager,
        timeout=CELL_SECONDS,
        record_timing=False,
        extra_arguments=["--HistoryManager.enabled=False"],
        resources={"metadata": {"path": str(folder)}},
    )
    await client.async_execute(env=environment, cwd=str(folder))


def clean(notebook: Any) -> None:
    """Remove what another run would write differently."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [clean_output(output) for output in cell.outputs if not is_noise(output)]


def is_noise(output: Any) -> bool:
    """True for progress bars and warnings."""
    return output.get("name") == "stderr" or WIDGET in output.get("data", {})


def clean_output(output: Any) -> Any:
    if "text/plain" in output.get("data", {}):
        output.data["text/plain"] = ADDRESS.sub("", output.data["text/plain"])
    return output


def find_private(notebook: Any) -> Iterator[str]:
    """Yield each line of an output that names a path or the name of the machine that ran it."""
    names = [name for name in (socket.gethostname(), str(Path.home())) if len(name) > 3]
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            shown = [output.get("text", ""), *map(str, output.get("data", {}).values())]
            for line in EMBEDDED.sub("", "\n".join(shown)).splitlines():
                if MACHINE_PATH.search(line) or any(name in line for name in names):
                    yield f"{cell.get('id')}: {line[:200]}"


def store(path: Path, notebook: Any) -> None:
    """Write a notebook that has run, unless it shows what it should not or is too large."""
    if private := list(find_private(notebook)):
        sys.exit(f"{path.name} is not stored; its outputs name this machine:\n" + "\n".join(private))
    data = (nbformat.writes(notebook, indent=1) + "\n").encode()
    if len(data) > MOST_BYTES:
        sys.exit(f"{path.name} is not stored: it has {len(data):,} bytes, of at most {MOST_BYTES:,}.")
    write_file(path, data)
    print(f"{path.name}: {len(data):,} bytes")


def main() -> None:
    paths = find_notebooks(sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="notebooks_") as scratch:
        notebooks = run_notebooks(paths, Path(scratch))
    for path in paths:
        store(path, notebooks[path.stem])


if __name__ == "__main__":
    main()
