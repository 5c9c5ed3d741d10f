"""What runs in the environment of py-data-juicer, where nothing of this package is imported.

list FILE STEPS     write which operators there are, and what is wrong with the options of these steps
run RECIPE          as `dj-process` does
analyze RECIPE      add stats and tags, and drop nothing, as `dj-analyze` does
"""

import sys

sys.path[:] = [path for path in sys.path if path]  # a file in the current folder shall replace no module

import json  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import threading  # noqa: E402
from typing import Any  # noqa: E402


def end_with_parent() -> None:
    """Kill this process and its children when the parent is gone: its end of the pipe is closed then."""
    pipe = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)

    def watch() -> None:
        while os.read(pipe, 1):
            pass
        if hasattr(os, "killpg"):
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def list_operators(file: str, steps: str) -> None:
    from importlib.metadata import version

    import yaml
    from data_juicer.ops import OPERATORS

    names = sorted(OPERATORS.modules)
    with open(steps, encoding="utf-8") as given:
        known = [step for step in yaml.safe_load(given) if next(iter(step)) in names]
    answer = {"version": version("py-data-juicer"), "names": names, "problem": find_problem(known)}
    with open(file, "w", encoding="utf-8") as out:
        json.dump(answer, out)


def find_problem(steps: list[dict[str, Any]]) -> str | None:
    """What py-data-juicer finds wrong with options before it runs, where this version looks for it."""
    try:
        from data_juicer.core.preflight import pre_instantiation_check
    except ImportError:
        return None
    try:
        pre_instantiation_check(steps)
    except Exception as error:
        return str(error)
    return None


def run(recipe: str, only_stats: bool) -> None:
    from data_juicer.config import init_configs
    from data_juicer.core.executor.default_executor import DefaultExecutor

    config = init_configs(["--config", recipe])
    executor = DefaultExecutor(config)
    if not only_stats:
        executor.run(skip_return=True)
        return
    from data_juicer.ops import NON_STATS_FILTERS, TAGGING_OPS, Filter, load_ops

    samples = executor.dataset_builder.load_dataset()
    for step, operator in zip(config.process, load_ops(config.process), strict=True):
        name = next(iter(step))
        is_filter = isinstance(operator, Filter) and name not in NON_STATS_FILTERS.modules
        if is_filter:
            operator.process = None  # keeps all
        if is_filter or name in TAGGING_OPS.modules:
            samples = samples.process(operator, open_monitor=False)
    executor.exporter.export(samples)


if __name__ == "__main__":
    end_with_parent()
    command, *arguments = sys.argv[1:]
    if command == "list":
        list_operators(*arguments)
    else:
        run(arguments[0], only_stats=command == "analyze")
