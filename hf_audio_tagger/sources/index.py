"""Rows of an index of AudioSet's clips, told by its first bytes: one may well be named .csv and be JSON."""

from ..digests import digest_file, digest_values
from ..index.formats import find_kind
from ..index.reading import AUDIO, read_index
from .data_files import concatenate, find_data_files
from .source import Source, SourceRequest, check_utf8_names

WITHOUT_ROOT = "This is an index: to read its clips, name their folder with --root (root=)."


def open_index(request: SourceRequest) -> Source | None:
    """One index, or several that a glob names."""
    files = find_data_files(request.path)
    try:
        if not files or any(find_kind(file) is None for file in files):
            return None
    except OSError:  # the opener of data files says which
        return None
    request.check_options("an index of clips", "root", "files")
    check_utf8_names(*files)
    rows = concatenate(request.name, [read_index(file, request.root, request.files) for file in files])
    digests = [(file.name, digest_file(file)) for file in files]
    notes = () if AUDIO in rows.column_names else (WITHOUT_ROOT,)
    return Source(request.name, rows, digest_values(request.files, *digests), notes=notes)
