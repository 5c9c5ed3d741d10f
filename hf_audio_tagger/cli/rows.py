"""Rows that a command reads and does not tag: the result of a run, or any source."""

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SettingsError

if TYPE_CHECKING:
    from datasets import Dataset


def open_rows(name: str, split: str | None = None) -> "Dataset":
    """The rows of what `tag` wrote or of a source, with the provenance of their tags."""
    from datasets import Dataset

    from ..provenance import add_provenance
    from ..runs import load_result
    from ..sources import open_source
    from ..stores import StorePath, is_store

    folder = StorePath(name) if is_store(name) else Path(name).expanduser()
    if (folder / ".hf_audio_tagger" / "run.json").is_file():
        return load_result(str(folder))
    source = open_source(name, split=split)
    if not isinstance(source.dataset, Dataset):
        raise SettingsError(f"{name} is a stream; this command needs a dataset.")
    return add_provenance(source.dataset, source.provenance)
