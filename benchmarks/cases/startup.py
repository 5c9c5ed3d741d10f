"""From the start of a process to an import, and to its first tag, in turns. Files are in the page cache."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from statistics import median

from ..child import QUIET_AND_OFFLINE, ROOT
from ..outcome import Figure, Outcome, Row
from .bench import Bench

ROUNDS = {"tiny": 1, "quick": 2}  # of a scale; others: five
TORCH, AST_CLASS = "import torch", "import torch; from transformers import ASTForAudioClassification"
IMPORT, BUILD = "import hf_audio_tagger", "from hf_audio_tagger import build_tagger; build_tagger()"
TAG = "from hf_audio_tagger import build_tagger; build_tagger({model!r}).tag({clip!r})"
COMMAND = "from hf_audio_tagger.cli import app; app({words!r}, standalone_mode=False)"
SHELL = "YAMNet on the shell"
FIRST_TAGS = (
    ("YAMNet", TORCH, 1.5),
    (SHELL, TORCH, 1.5),
    ("demo", AST_CLASS, 1.15),
    ("AST-base", AST_CLASS, 1.15),
)
LISTED = ("av", "datasets", "numpy", "pandas", "torch", "transformers")
MEASURE = "import sys\n{statement}\nprint(*[name for name in {names} if name in sys.modules])"


@dataclass(frozen=True)
class Start:
    seconds: float
    cpu_seconds: float
    peak_mb: float
    loaded: str


def startup(bench: Bench) -> Outcome:
    models = {"YAMNet": "yamnet", "demo": "demo", "AST-base": bench.weights}
    clip = bench.warm
    statements = {IMPORT: IMPORT, BUILD: BUILD, TORCH: TORCH, "import torch and AST's class": AST_CLASS}
    statements |= {f"first tag, {name}": TAG.format(model=model, clip=clip) for name, model in models.items()}
    statements[f"first tag, {SHELL}"] = COMMAND.format(words=["tag", str(clip), "--model", "yamnet"])
    starts: dict[str, list[Start]] = {}
    for turn in range(1 + ROUNDS.get(bench.scale.name, 5)):
        for name, statement in statements.items():
            if turn:  # the first fills the page cache and writes compiled modules
                starts.setdefault(name, []).append(run(statement))
            else:
                run(statement)
    by_statement = {statement: starts[name] for name, statement in statements.items()}
    table: list[Row] = [
        {
            "from the start of a process to": name,
            "s": median(one.seconds for one in found),
            "CPU s": median(one.cpu_seconds for one in found),
            "peak MB": round(max(one.peak_mb for one in found)),
            "loaded": found[0].loaded,
        }
        for name, found in starts.items()
    ]
    empty = median(one.seconds for one in (run("pass") for _ in range(3)))
    imported = median(one.seconds for one in starts[IMPORT]) - empty
    figures = [Figure("import hf_audio_tagger", imported, "s", at_most=0.3)]
    for name, beside, most in FIRST_TAGS:
        pairs = zip(starts[f"first tag, {name}"], by_statement[beside], strict=True)
        what = "torch" if beside == TORCH else "torch and AST's class"
        ratio = median(ours.seconds / theirs.seconds for ours, theirs in pairs)
        figures.append(Figure(f"first tag, {name}, over importing {what}", ratio, "times", at_most=most))
    return Outcome(table, figures)


def run(statement: str) -> Start:
    """A statement in a process of its own."""
    code = MEASURE.format(statement=statement, names=LISTED)
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **QUIET_AND_OFFLINE},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout as output:
        text = output.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, statement)
    peak_mb = usage.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)
    loaded = ", ".join(text.splitlines()[-1].split()) or "none"
    return Start(seconds, usage.ru_utime + usage.ru_stime, peak_mb, loaded)
