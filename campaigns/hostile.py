"""`hostile`: servers, file names, files that are none, and recipes, all of which mean harm.

Each case ends in a bounded time with an error of ours that says which, or well. Servers are on this machine,
the package's waits are shorten in the children, and nothing beyond loopback can be reached from there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.outcome import Figure, Row

from .child import JobResult, Limits, Worker, ask_all
from .names import FOLDERS, NAMES, SPECIALS, name_fault, special_fault
from .options import Options
from .remote import WEIGHTS_ATTACKS, attacks, clip_fault, prepare, routes, weights_fault
from .report import Broken, Report, safe_name
from .servers import serving
from .stand_in import warm

MOST_GROWTH_MB = 200.0
# By kind. A server's is more than all shorten waits of the package together; a name is four commands.
SECONDS = {"clip": 25.0, "weights": 25.0, "name": 60.0, "special": 60.0, "recipe": 8.0}

RECIPES: Mapping[str, str] = {
    "alias bomb": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(
        f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n"
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "process: *i\ndataset_path: *h\n",
    "alias of itself": "dataset_path: a.jsonl\nprocess: &a [*a]\n",
    "deep nesting": "process: " + "[" * 20_000,
    "deep mapping": "process: " + "{a: " * 5_000,
    "python object": "dataset_path: !!python/object/apply:os.system ['touch owned']\n",
    "huge number": "dataset_path: a.jsonl\nnp: " + "9" * 100_000 + "\n",
    "no UTF-8": "dataset_path: \udcff\udcfe\n",
    "control characters": "dataset_path: \x1b[2J\n",
    "merge keys": "a: &a {<<: {x: 1}}\nb: &b {<<: [*a, *a]}\nprocess: {<<: *b}\n",
    "long line": "dataset_path: " + "a" * 3_000_000 + "\n",
}


@dataclass(frozen=True)
class Case:
    kind: str
    what: str

    @property
    def name(self) -> str:
        return f"{self.kind}: {self.what}"


def run(options: Options) -> Report:
    """The campaign."""
    warm()
    cases = [case for case in all_cases() if options.only in (None, case.name)][: options.count]
    results: dict[Case, JobResult] = {}
    with serving(routes()) as url:
        attack = partial(find_fault, url=url, folder=options.folder)
        logs = [options.folder / f"worker-{number}.log" for number in range(options.jobs)]
        for kind, seconds in SECONDS.items():
            of_kind = (case for case in cases if case.kind == kind and not options.is_over)
            is_remote = kind in ("clip", "weights")
            workers = [Worker(attack, log, prepare if is_remote else None) for log in logs]
            results.update(ask_all(workers, of_kind, Limits(seconds, MOST_GROWTH_MB)))
    return make_report(results, options)


def all_cases() -> list[Case]:
    return [
        *(Case("clip", name) for name in attacks()),
        *(Case("weights", name) for name in WEIGHTS_ATTACKS),
        *(Case("name", name) for name in NAMES),
        *(Case("special", name) for name in {**SPECIALS, **FOLDERS}),
        *(Case("recipe", name) for name in RECIPES),
    ]


def find_fault(case: Case, url: str, folder: Path) -> str | None:
    """What is wrong with how the package dealt with a case; None if nothing is."""
    home = folder / safe_name(case.name)
    faults = {
        "clip": lambda: clip_fault(case.what, url),
        "weights": lambda: weights_fault(case.what, url),
        "name": lambda: name_fault(case.what, home),
        "special": lambda: special_fault(case.what, home),
        "recipe": lambda: recipe_fault(case.what, home),
    }
    return faults[case.kind]()


def recipe_fault(what: str, home: Path) -> str | None:
    from hf_audio_tagger import TaggerError
    from hf_audio_tagger.recipes import run_recipe

    home.mkdir(parents=True)
    (home / "recipe.yaml").write_bytes(RECIPES[what].encode("utf-8", "surrogateescape"))
    try:
        run_recipe(home / "recipe.yaml", lambda _: None)
    except TaggerError:
        return "its code was run" if Path("owned").exists() else None
    return "it was taken for a recipe"


def make_report(results: Mapping[Case, JobResult], options: Options) -> Report:
    faults = {
        case: one.value if one.is_answer else f"the case {one.how}: {one.value}"
        for case, one in results.items()
        if not one.is_answer or one.value is not None
    }
    broken = [
        Broken(
            case.name,
            case.kind,
            why,
            f"python -m campaigns hostile --only '{case.name}'",
            folders=kept(case, options),
        )
        for case, why in faults.items()
    ]
    unfinished = [one for one in results.values() if not one.is_answer]
    figures = [
        Figure("cases", len(results), ""),
        *(Figure(f"that {how}", sum(one.how == how for one in unfinished), "", at_most=0) for how in HOWS),
        Figure("dealt with wrongly", len(broken) - len(unfinished), "", at_most=0),
        Figure("time", options.elapsed, "s"),
    ]
    rows: list[Row] = [
        {
            "kind": kind,
            "cases": sum(case.kind == kind for case in results),
            "broken": sum(case.kind == kind for case in faults),
        }
        for kind in SECONDS
    ]
    return Report("hostile", figures, [rows], broken)


HOWS = ("raised", "died", "hung", "grew")


def kept(case: Case, options: Options) -> list[Path]:
    home = options.folder / safe_name(case.name)
    return [home] if home.is_dir() else []
