"""Indexes of AudioSet's clips: reading and writing them, finding their clips, weights for a sampler.

ds = read_index("src_eval_segments.csv", root="clips")
check_index(ds, decode=True)

A kind of index is a reader in `tables.py` or a file of its own, which yields Arrow tables with the columns of
`columns.py`, and an entry in `READERS` of `reading.py`; `formats.py` tells it by its first bytes.
"""

from .formats import IndexFileError
from .reading import read_index

__all__ = ["IndexFileError", "read_index"]
