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
"""

from ..results.facts import Summary as Summary
from .engine import Progress as Progress
from .engine import RunPlan as RunPlan
from .engine import Watcher as Watcher
from .labelling import LabelSummary as LabelSummary
from .labelling import export_predictions as export_predictions
from .tagging import load_result as load_result
from .tagging import preview as preview
from .tagging import tag_dataset as tag_dataset
