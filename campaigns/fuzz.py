"""`fuzz`: damaged and lying files of every container, through the public interface, for each decoder.

Most mutants meet a stand-in for the model, which answers at once and checks what windows it is given: the
rest of the way is the real one. Every 32nd bundle is heard by the packaged model.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from benchmarks.outcome import Figure, Row

from .child import JobResult, Limits, Worker, ask_all
from .mutants import make_mutant
from .options import Options
from .report import Broken, Report
from .seeds import Seed, make_seeds
from .stand_in import StandIn, warm

FULL_COUNT = 10_000
BUNDLE = 8  # mutants in one call
HANG_SECONDS = 20.0
MOST_GROWTH_MB = 200.0
BUNDLES_PER_REAL = 32  # one in so many meets the packaged model
DECODERS = ("auto", "pyav", "torchcodec", "decord")
APART = ("decord",)  # known to crash and to grow with every clip: counted, but no failure
APART_SHARE = 10  # one bundle in so many goes to these
WINDOWS: tuple[str | int, ...] = ("first", "first", "all", 3)
# Words of Python's own errors: a reason that bears them was no reason that anybody wrote.
RAW_WORDS = re.compile(
    r"NoneType|has no attribute|not subscriptable|unsupported operand|\b[a-z_.]+\(\) (takes|got|missing)"
)
FAULTS = {"died": "crash", "hung": "hang", "grew": "growth", "raised": "wrong exception"}
OUTCOMES = ("tagged", "EMPTY", "refused", "broken")
LONGEST_REASON = 70
COUNTED = (*FAULTS.values(), "rows")


@dataclass(frozen=True)
class Bundle:
    """Mutants that are heard in one call."""

    number: int
    mutants: tuple[int, ...]
    alone: bool = False  # without a whole file among them


FileResult = tuple[str | None, str | None]  # of one file: its tag, or its error


@dataclass(frozen=True)
class Fuzzed:
    """What one decoder made of the mutants."""

    decoder: str
    outcomes: Counter[tuple[str, str]]  # by container and outcome
    reasons: Counter[str]
    broken: tuple[Broken, ...]
    grown_mb: float

    @property
    def count(self) -> int:
        return sum(self.outcomes.values())

    def outcome(self, kind: str) -> int:
        return sum(times for (_, outcome), times in self.outcomes.items() if outcome == kind)

    def faults(self, what: str) -> int:
        return sum(one.what == what for one in self.broken)


def run(options: Options) -> Report:
    """The campaign."""
    warm()
    seeds = make_seeds()
    usable = usable_decoders()
    done = [fuzz(decoder, seeds, options) for decoder in usable]
    ours = [one for one in done if one.decoder not in APART]
    notes = [
        f"{one.decoder} stands apart: its faults fail no campaign." for one in done if one.decoder in APART
    ]
    notes += [f"{name} does not load here." for name in DECODERS if name not in usable]
    figures = [
        Figure("mutants", sum(one.count for one in ours), "by " + ", ".join(one.decoder for one in ours)),
        *(Figure(what, sum(one.faults(what) for one in ours), "", at_most=0) for what in COUNTED),
        Figure(
            "growth of memory", max((one.grown_mb for one in ours), default=0.0), "MB", at_most=MOST_GROWTH_MB
        ),
        Figure("time", options.elapsed, "s"),
    ]
    broken = [broken for one in ours for broken in one.broken]
    tables = [decoder_table(done), container_table(ours), reason_table(ours)]
    return Report(f"fuzz, seed {options.seed}", figures, tables, broken, notes)


def usable_decoders() -> list[str]:
    from hf_audio_tagger.media.decoders import unavailable_reason

    return [name for name in DECODERS if not unavailable_reason(name)]


def fuzz(decoder: str, seeds: Sequence[Seed], options: Options) -> Fuzzed:
    """All mutants through one decoder; where a bundle breaks, each of its mutants alone."""
    ready = partial(warm_up, decoder, options)
    workers = [
        Worker(partial(tag_bundle, decoder, options), options.folder / f"{decoder}-{place}.log", ready)
        for place in range(options.jobs)
    ]
    limits = Limits(HANG_SECONDS, MOST_GROWTH_MB)
    files: dict[int, FileResult] = {}
    broken: dict[int, Broken] = {}
    suspects: list[tuple[Bundle, JobResult]] = []
    for bundle, result in ask_all(workers, bundles(decoder, options), limits):
        if result.is_answer:
            files.update(zip(bundle.mutants, result.value, strict=True))
        else:
            suspects.append((bundle, result))
    for bundle, together in suspects:
        alone = [Bundle(bundle.number, (number,), alone=True) for number in bundle.mutants]
        for one, result in ask_all(workers[:1], alone, limits):
            if result.is_answer:
                files[one.mutants[0]] = result.value[0]
            else:
                broken[one.mutants[0]] = describe_broken(decoder, one, result, seeds, options)
        if not broken.keys() & set(bundle.mutants):
            files.pop(bundle.mutants[0])
            broken[bundle.mutants[0]] = describe_broken(decoder, bundle, together, seeds, options)
    outcomes = Counter((seeds[number % len(seeds)].name, name_outcome(one)) for number, one in files.items())
    outcomes.update((seeds[number % len(seeds)].name, "broken") for number in broken)
    reasons = Counter(shorten_reason(error) for _, error in files.values() if error is not None)
    grown_mb = max(worker.most_grown_mb for worker in workers)
    return Fuzzed(decoder, outcomes, reasons, tuple(broken.values()), grown_mb)


def bundles(decoder: str, options: Options) -> Iterator[Bundle]:
    """The mutants in bundles, until time is over."""
    if options.only is not None:
        yield Bundle(int(options.only) // BUNDLE, (int(options.only),), alone=True)
        return
    count = FULL_COUNT if options.count is None else options.count
    step = BUNDLE * (APART_SHARE if decoder in APART else 1)
    for start in range(0, count, step):
        if options.is_over:
            return
        yield Bundle(start // BUNDLE, tuple(range(start, min(start + BUNDLE, count))))


def describe_broken(
    decoder: str, bundle: Bundle, result: JobResult, seeds: Sequence[Seed], options: Options
) -> Broken:
    """What is kept of a fault: the files that it came with."""
    mutants = [make_mutant(seeds, options.seed, number) for number in bundle.mutants]
    what = "rows" if str(result.value).startswith(RowError.__name__) else FAULTS[result.how]
    together = f"only beside the others of bundle {bundle.number}: " if len(mutants) > 1 else ""
    return Broken(
        f"{decoder}-{mutants[0].file_name}",
        what,
        f"{together}{result.value}",
        f"python -m campaigns fuzz --seed {options.seed} --only {mutants[0].number}  (decoder={decoder!r})",
        {mutant.file_name: mutant.data for mutant in mutants},
    )


# In the child


class RowError(Exception):
    """The rows that came back are not those that were asked for."""


@dataclass(frozen=True)
class BundleSettings:
    """The settings that a bundle is heard with, and whether by the packaged model."""

    windows: str | int
    channels: str
    is_real: bool


def pick_settings(bundle: Bundle, options: Options) -> BundleSettings:
    random = Random(f"{options.seed}/bundle/{bundle.number}")
    return BundleSettings(
        random.choice(WINDOWS),
        random.choice(("mean", "first")),
        bundle.number % BUNDLES_PER_REAL == BUNDLES_PER_REAL - 1,
    )


def warm_up(decoder: str, options: Options) -> None:
    """Hear every whole file, so that growth is counted from when all is loaded."""
    for number in (0, 1):
        tag_cells(
            decoder, BundleSettings("all", "mean", is_real=number == 0), [seed.data for seed in make_seeds()]
        )


def tag_bundle(decoder: str, options: Options, bundle: Bundle) -> list[FileResult]:
    """What a batch of a map says of mutants, with a whole file among them that must not suffer."""
    settings = pick_settings(bundle, options)
    random = Random(f"{options.seed}/forms/{bundle.number}")
    seeds = make_seeds()
    mutants = [make_mutant(seeds, options.seed, number) for number in bundle.mutants]
    with TemporaryDirectory(dir=options.folder) as folder:
        paths = [Path(folder) / mutant.file_name for mutant in mutants]
        cells = [write_cell(path, one.data, random) for path, one in zip(paths, mutants, strict=True)]
        if bundle.alone:
            files = tag_cells(decoder, settings, cells)
        else:
            place, whole = random.randrange(len(cells) + 1), seeds[bundle.number % len(seeds)].data
            expected = tag_cells(decoder, settings, [whole])[0]
            files = tag_cells(decoder, settings, [*cells[:place], whole, *cells[place:]])
            if files[place] != expected:
                raise RowError(f"a whole file among them is {files[place]}, and alone {expected}")
            del files[place]
    for path, (_, error) in zip(paths, files, strict=True):
        if error is not None and str(path) not in error:
            raise RowError(f"the error does not name {path.name}: {error}")
        if error is not None and RAW_WORDS.search(error):
            raise RowError(f"{path.name}: an error that nobody wrote: {error}")
    return files


def write_cell(path: Path, data: bytes, random: Random) -> Any:
    """A mutant as a dataset's cell: its path, its bytes with a name, or both in a struct."""
    form = random.randrange(3)
    if form == 2:
        return {"path": str(path), "bytes": data}
    path.write_bytes(data)
    return str(path) if form == 0 else {"path": str(path), "bytes": None}


def tag_cells(decoder: str, settings: BundleSettings, cells: Sequence[Any]) -> list[FileResult]:
    """A batch as `map` gives it to a tagger; each row's tag or error."""
    from hf_audio_tagger import build_tagger, memo, models

    memo.clear()
    given: dict[str, Any] = {"windows": settings.windows, "channels": settings.channels, "decoder": decoder}
    tagger = build_tagger("demo", batched=True, on_error="record", device="cpu", **given)
    stand_in = nullcontext() if settings.is_real else patch.object(models, "get_model", StandIn)
    with stand_in:
        answer = tagger({"video": list(cells)})
    tags, errors = list(answer["video_audio_tags"]), list(answer["video_audio_error"])
    if len(tags) != len(cells) or len(errors) != len(cells):
        raise RowError(f"{len(cells)} files came back as {len(tags)} tags and {len(errors)} errors")
    return [one_of(row_tags, row_errors) for row_tags, row_errors in zip(tags, errors, strict=True)]


def one_of(tags: Sequence[str | None], errors: Sequence[str | None]) -> FileResult:
    """A row's one tag, or its one error."""
    if len(tags) != 1 or len(errors) != 1 or (tags[0] is None) == (errors[0] is None):
        raise RowError(f"a row of one file has the tags {list(tags)} and the errors {list(errors)}")
    return tags[0], errors[0]


# In words


def name_outcome(result: FileResult) -> str:
    return "refused" if result[0] is None else "EMPTY" if result[0] == "EMPTY" else "tagged"


def shorten_reason(error: str) -> str:
    """An error without its file's name and its numbers.

    >>> shorten_reason("/tmp/00012-a.mp4: its sample rate is 12 Hz.")
    'its sample rate is N Hz.'
    """
    return re.sub(r"\d+", "N", error.partition(": ")[2])[:LONGEST_REASON]


def decoder_table(done: Sequence[Fuzzed]) -> list[Row]:
    return [
        {
            "decoder": one.decoder,
            "mutants": one.count,
            **{kind: one.outcome(kind) for kind in OUTCOMES},
            **{what: one.faults(what) for what in COUNTED},
            "grown MB": one.grown_mb,
        }
        for one in done
    ]


def container_table(done: Sequence[Fuzzed]) -> list[Row]:
    """What became of the mutants of each container, by all decoders together."""
    outcomes = sum((one.outcomes for one in done), Counter[tuple[str, str]]())
    names = sorted({name for name, _ in outcomes})
    return [{"container": name} | {kind: outcomes[name, kind] for kind in OUTCOMES} for name in names]


def reason_table(done: Sequence[Fuzzed]) -> list[Row]:
    reasons = sum((one.reasons for one in done), Counter[str]())
    return [{"reason": reason, "times": times} for reason, times in reasons.most_common()]
