"""All shards of a run as the one file that DEST is."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ..atomic_files import open_atomic, write_file
from ..digests import digest_values
from .plain_rows import write_lines
from .run_folder import RunFolder
from .shard_ledger import identify_file
from .shards import read_batches, read_groups, shard_paths

BATCH_ROWS = 256  # of a shard that are read at once


def is_joined(folder: RunFolder) -> bool:
    """True where DEST is not a file, or is one that has not changed since it was made of these shards."""
    shards = shard_paths(folder.shards)
    if folder.file is None or not shards:
        return True
    try:
        return bool(json.loads(folder.written.read_bytes()) == read_state(folder.file, shards))
    except (FileNotFoundError, ValueError, RecursionError):
        return False


def join_shards(folder: RunFolder) -> None:
    """Write the file that DEST is from all shards."""
    file, shards = folder.file, shard_paths(folder.shards)
    assert file is not None
    with open_atomic(file, folder.state) as output:
        if file.suffix == ".jsonl":
            for path in shards:
                for table in read_batches(path, BATCH_ROWS):
                    write_lines(output, table)
        else:
            with pq.ParquetWriter(output, pq.read_schema(shards[0]), write_page_checksum=True) as writer:
                for path in shards:
                    for table in read_groups(path):
                        writer.write_table(table)
    write_file(folder.written, json.dumps(read_state(file, shards)).encode())


def read_state(file: Path, shards: Sequence[Path]) -> dict[str, Any]:
    """By what a change of the joined file or of its shards is noticed; another inode is another file."""
    info = file.stat()
    return {
        "file": [info.st_size, info.st_mtime_ns, info.st_ino],
        "shards": digest_values(*map(identify_file, shards)),
    }
