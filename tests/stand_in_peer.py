"""A stand-in for an environment with py-data-juicer: a Python that finds a package of a few functions.

Its operators: `add_mapper` (adds to "number"), `odd_filter`, `slow_mapper` (waits for a minute),
`wrong_mapper` (raises), `new_mapper` (makes new samples), `own_mapper` (says which modules it finds).
"""

import sys
from pathlib import Path

OPERATORS = """
import json, os, subprocess, sys, time
import yaml


class Operator:
    def __init__(self, name, options):
        self._name, self.options, self.process = name, options, True

    def run(self, rows):
        given = list(rows)
        kept = globals()[self._name](rows, **self.options)
        return given if self.process is None else kept


class Filter(Operator): ...


class Names:
    def __init__(self, *names):
        self.modules = dict.fromkeys(names)


OPERATORS = Names("add_mapper", "odd_filter", "slow_mapper", "wrong_mapper", "new_mapper", "own_mapper")
NON_STATS_FILTERS = TAGGING_OPS = Names()


def load_ops(steps):
    named = [next(iter(step.items())) for step in steps]
    return [(Filter if "filter" in name else Operator)(name, options) for name, options in named]


def add_mapper(rows, amount=1):
    return [{**row, "number": row["number"] + amount} for row in rows]


def odd_filter(rows):
    for row in rows:
        row.setdefault("__dj__stats__", {})["odd"] = row["number"] % 2 / 3
    return [row for row in rows if row["number"] % 2]


def slow_mapper(rows, file):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with open(file + ".part", "w") as out:
        out.write(f"{os.getpid()} {child.pid}")
    os.rename(file + ".part", file)
    time.sleep(60)


def wrong_mapper(rows):
    print("loading", flush=True)
    raise ValueError("sample 3 has \\x1b[31mno text")


def new_mapper(rows):
    return [{"text": row["text"] * 2} for row in rows]


def own_mapper(rows):
    import operator
    found = {"found": operator.__file__, "paths": sys.path, "venv": os.environ.get("VIRTUAL_ENV")}
    return [{**row, **found} for row in rows]
"""

EXECUTOR = """
import json
from data_juicer import ops


class Samples(list):
    def process(self, operator, open_monitor):
        return Samples(operator.run(self))


class DefaultExecutor:
    def __init__(self, config):
        self.config = config
        self.exporter = self.dataset_builder = self

    def run(self, skip_return):
        assert self.config.skip_op_error is False
        samples = self.load_dataset()
        for operator in ops.load_ops(self.config.process):
            samples = operator.run(samples)
        self.export(samples)

    def load_dataset(self):
        with open(self.config.dataset_path) as file:
            return Samples(json.loads(line) for line in file)

    def export(self, samples):
        with open(self.config.export_path, "w") as file:
            file.writelines(json.dumps(row) + "\\n" for row in samples)
"""

CONFIG = """
from types import SimpleNamespace

import yaml


def init_configs(arguments):
    with open(arguments[1]) as file:
        return SimpleNamespace(**yaml.safe_load(file))
"""

PREFLIGHT = """
def pre_instantiation_check(steps):
    for step in steps:
        [(name, options)] = step.items()
        if "wrong" in options:
            raise ValueError(f"[{name}] Unknown parameter 'wrong'")
"""


def write_stand_in(folder: Path) -> str:
    """Write the package and a Python that finds it; the path of that Python."""
    files = {
        "data_juicer/__init__.py": "",
        "data_juicer/ops.py": OPERATORS,
        "data_juicer/config.py": CONFIG,
        "data_juicer/core/__init__.py": "",
        "data_juicer/core/preflight.py": PREFLIGHT,
        "data_juicer/core/executor/__init__.py": "",
        "data_juicer/core/executor/default_executor.py": EXECUTOR,
        "py_data_juicer-1.6.1.dist-info/METADATA": "Name: py-data-juicer\nVersion: 1.6.1\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{folder}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return str(python)
