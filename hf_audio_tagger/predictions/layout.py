"""A collection's predictions on disk, in the form that torch_audioset's tools write and read.

    DIR/audio_pred.json         the model, its classes, and a record for each clip
    DIR/audio_pred/<name>.npy   a clip: float32 (patches, classes)

The arrays hold logits, as that tool's own do: its reader takes their sigmoid. So does `load_predictions`.
`per_chunk_length` is what that reader multiplies a patch's index by: the seconds from one patch's start to
the next one's. `patch_length`, of this package alone, is how long a patch is: more, where patches overlap.
"""

from pathlib import Path

INDEX_NAME = "audio_pred.json"
ARRAYS_NAME = "audio_pred"


def array_path(folder: Path, name: str) -> Path:
    """Where a clip's array is; a ValueError for a name that is none, or leads out of the folder."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"{name} is outside of the folder")
    if "\0" in name:
        raise ValueError(f"{name!r} is not a file name")
    return folder / ARRAYS_NAME / name
