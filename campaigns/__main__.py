"""``python -m campaigns``: run one of them, print its report, keep what broke."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from .options import Options
from .report import Report, keep

HERE = Path(__file__).resolve().parent
CAMPAIGNS = ("fuzz", "kill", "disk", "hostile")


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    with TemporaryDirectory(prefix="campaigns-", ignore_cleanup_errors=True) as folder:
        set_environment(Path(folder))
        options = Options(Path(folder), args.count, args.seed, args.seconds, args.jobs, args.only)
        report: Report = import_module(f"campaigns.{args.campaign}").run(options)
        print(report.text())
        for broken in report.broken:
            keep(broken, args.keep / args.campaign)
    if report.broken:
        print(f"\nWhat broke is kept in {args.keep / args.campaign}")
    return 0 if report.is_whole else 1


def set_environment(folder: Path) -> None:
    """Before anything heavy is imported: caches of the campaign's own, and one thread, so that sums agree."""
    os.environ.update(
        HF_HOME=str(folder / "hf"),
        HF_AUDIO_TAGGER_CACHE=str(folder / "weights"),
        HF_HUB_OFFLINE="1",
        HF_DATASETS_DISABLE_PROGRESS_BARS="1",
        OMP_NUM_THREADS="1",
    )


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m campaigns", description=__doc__)
    parser.add_argument("campaign", choices=CAMPAIGNS)
    parser.add_argument("--count", type=int, metavar="N", help="mutants, kills or cases; default: all")
    parser.add_argument("--seed", type=int, default=1, help="another one gives other mutants and moments")
    parser.add_argument("--seconds", type=float, metavar="S", help="begin nothing more after so long")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes side by side")
    parser.add_argument("--only", metavar="CASE", help="one mutant, round or case, as a report names it")
    parser.add_argument(
        "--keep", type=Path, default=HERE / "broken", metavar="DIR", help="where what broke goes"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
