"""``python -m benchmarks``: run the cases, print their tables, write results/."""

import argparse
import time
from datetime import date
from pathlib import Path
from typing import Any

from . import machine, report
from .cases import CASES, Bench
from .child import NotMeasuredError, Subject, ask_once
from .materials import Materials
from .outcome import Outcome
from .scale import FULL, QUICK, TINY, Scale

HERE = Path(__file__).resolve().parent


def main() -> None:
    args = parse_arguments()
    if args.list:
        print("\n".join(f"{case.name:10} {case.title}" for case in CASES.values()))
        return
    scale = QUICK if args.quick else TINY if args.tiny else FULL
    materials = Materials(args.cache)
    gpu = ask_once(Subject("gpu", {}), {"what": "name"}, materials.logs).values["name"]
    here = machine.describe(gpu)
    print("\n".join(f"{name}: {value}" for name, value in here.items()), flush=True)
    for name in args.case or CASES:
        case = run(name, Bench(materials, scale))
        print(f"\n== {name}: {case['title']} ({case['minutes']} min, load {case['load']})\n")
        print(report.case_text(case), flush=True)
        if scale is not TINY:
            written = report.write(args.out, here, {name: case})
    if scale is not TINY:
        print(f"\nWritten: {written} and .json")


def run(name: str, bench: Bench) -> dict[str, Any]:
    """One case as the results keep it. What cannot be measured says so, and the others go on."""
    load, started = machine.load(), time.perf_counter()
    try:
        outcome = CASES[name].run(bench)
    except NotMeasuredError as reason:
        outcome = Outcome(left_out=str(reason))
    return {
        "title": CASES[name].title,
        "date": date.today().isoformat(),
        "scale": scale_words(bench.scale),
        "load": load,
        "minutes": round((time.perf_counter() - started) / 60, 1),
        **outcome.as_json(),
    }


def scale_words(scale: Scale) -> str:
    return f"{scale.name}: {scale.rounds} round{'s' * (scale.rounds > 1)}, {scale.clips} clips"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--case", action="append", choices=CASES, help="this case alone; may be repeated")
    parser.add_argument("--list", action="store_true", help="name the cases and stop")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and clips, under ten minutes")
    parser.add_argument(
        "--tiny", action="store_true", help="a toy model: shows that all runs, writes nothing"
    )
    parser.add_argument("--cache", type=Path, default=HERE / "cache", help="media, weights and the peer")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="where results are written")
    return parser.parse_args()


if __name__ == "__main__":
    main()
