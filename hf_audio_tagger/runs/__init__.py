"""Long runs over many clips, which can be resumed.

    summary = tag_dataset("clips/", "tagged/", build_tagger(on_error="record"))
    load_dataset("tagged/")

One engine runs all tasks: it locks the folder, calls the task's `plan`, runs the remaining jobs with an
executor, and calls the task's `finish`. To add a task, write a file with a class that implements
`engine.Task` and a function that passes it to `run_task`.

The tagging task splits the rows into shards. A worker tags a shard batch by batch and renames it when it is
complete, so that DEST has only complete shards, and the next run adds the missing ones. A run that is stopped
but not killed (Ctrl-C, too many failures, an error elsewhere) keeps the rows of unfinished shards as shorter
shards. The labelling task writes a file and a journal line for each clip.
"""

from ..results.facts import Summary as Summary
from .engine import RunPlan as RunPlan
from .engine import Watcher as Watcher
from .estimate import Estimate as Estimate
from .estimate import estimate_run as estimate_run
from .label_results import LabelSummary as LabelSummary
from .labelling import export_predictions as export_predictions
from .progress import Progress as Progress
from .tagging import load_result as load_result
from .tagging import preview as preview
from .tagging import tag_dataset as tag_dataset
