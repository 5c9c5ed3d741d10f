"""Long runs over many clips, which are resumed where they ended.

    summary = tag_dataset("clips/", "tagged/", build_tagger(on_error="record"), num_proc=4)
    load_dataset("tagged/")

One engine runs all tasks: it locks the folder, lets the task plan the jobs that are left, hands these to an
executor, and lets the task finish. To add a task, write a file with a class of the shape of `engine.Task`
and a function that passes it to `run_task`.

The task that tags cuts the rows into shards. A worker tags a shard batch by batch and renames it when it is
whole, so that DEST holds whole shards only, and the next run begins with what is missing. A run that ends
early and can still act (Ctrl-C, too many failures, an error elsewhere) keeps the rows of its unfinished
shards as shorter ones. The task that labels writes a file for each clip, and a line in a journal.

| file | its subject |
|---|---|
| `engine.py`, `progress.py`, `failure_limit.py` | what all tasks share |
| `run_folder.py`, `lock.py`, `record.py` | DEST: its places, one run at a time, what may be resumed |
| `tagging.py`, `tag_plan.py`, `tag_shard.py`, `stamps.py`, `join.py`, `summary.py` | the task that tags |
| `shards.py`, `shard_writer.py`, `shard_ledger.py` | shards: read, written, known to be whole |
| `labelling.py`, `label_clips.py`, `collection.py`, `journal.py` | the task that labels |
| `plain_rows.py`, `typed_json.py` | rows as JSON Lines; JSON with checked types |
"""

from ..results.facts import Summary as Summary
from .labelling import LabelSummary as LabelSummary
from .labelling import export_predictions as export_predictions
from .progress import Progress as Progress
from .progress import RunPlan as RunPlan
from .progress import Watcher as Watcher
from .tagging import load_result as load_result
from .tagging import preview as preview
from .tagging import tag_dataset as tag_dataset
