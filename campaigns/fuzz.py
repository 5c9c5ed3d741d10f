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

from .asked import Asked
from .child import Ended, Limits, Worker, ask_all
from .mutants import mutant_of
from .report import Broken, Report
from .seeds import Seed, whole_seeds
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
OUTCOMES = ("heard", "EMPTY", "refused", "broken")
LONGEST_REASON = 70
COUNTED = (*FAULTS.values(), "rows")


@dataclass(frozen=True)
class Bundle:
    """Mutants that are heard in one call."""

    number: int
    mutants: tuple[int, ...]
    alone: bool = False  # without a whole file among them


ModelOutput = tuple[str | None, str | None]  # of one file: its tag, or its error


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


def run(asked: Asked) -> Report:
    """The campaign."""
    warm()
    seeds = whole_seeds()
    usable = usable_decoders()
    done = [fuzz(decoder, seeds, asked) for decoder in usable]
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
        Figure("time", asked.elapsed, "s"),
    ]
    broken = [broken for one in ours for broken in one.broken]
    tables = [decoder_table(done), container_table(ours), reason_table(ours)]
    return Report(f"fuzz, seed {asked.seed}", figures, tables, broken, notes)


def usable_decoders() -> list[str]:
    from hf_audio_tagger.media.decoders import unavailable_reason

    return [name for name in DECODERS if not unavailable_reason(name)]


def fuzz(decoder: str, seeds: Sequence[Seed], asked: Asked) -> Fuzzed:
    """All mutants through one decoder; where a bundle breaks, each of its mutants alone."""
    ready = partial(warm_up, decoder, asked)
    workers = [
        Worker(partial(hear_bundle, decoder, asked), asked.folder / f"{decoder}-{place}.log", ready)
        for place in range(asked.jobs)
    ]
    limits = Limits(HANG_SECONDS, MOST_GROWTH_MB)
    heard: dict[int, ModelOutput] = {}
    broken: dict[int, Broken] = {}
    suspects: list[tuple[Bundle, Ended]] = []
    for bundle, ended in ask_all(workers, bundles(decoder, asked), limits):
        if ended.is_answer:
            heard.update(zip(bundle.mutants, ended.value, strict=True))
        else:
            suspects.append((bundle, ended))
    for bundle, together in suspects:
        alone = [Bundle(bundle.number, (number,), alone=True) for number in bundle.mutants]
        for one, ended in ask_all(workers[:1], alone, limits):
            if ended.is_answer:
                heard[one.mutants[0]] = ended.value[0]
            else:
                broken[one.mutants[0]] = broken_of(decoder, one, ended, seeds, asked)
        if not broken.keys() & set(bundle.mutants):
            heard.pop(bundle.mutants[0])
            broken[bundle.mutants[0]] = broken_of(decoder, bundle, together, seeds, asked)
    outcomes = Counter((seeds[number % len(seeds)].name, outcome_of(one)) for number, one in heard.items())
    outcomes.update((seeds[number % len(seeds)].name, "broken") for number in broken)
    reasons = Counter(reason_of(error) for _, error in heard.values() if error is not None)
    grown_mb = max(worker.most_grown_mb for worker in workers)
    return Fuzzed(decoder, outcomes, reasons, tuple(broken.values()), grown_mb)


def bundles(decoder: str, asked: Asked) -> Iterator[Bundle]:
    """The mutants in bundles, until time is over."""
    if asked.only is not None:
        yield Bundle(int(asked.only) // BUNDLE, (int(asked.only),), alone=True)
        return
    count = FULL_COUNT if asked.count is None else asked.count
    step = BUNDLE * (APART_SHARE if decoder in APART else 1)
    for start in range(0, count, step):
        if asked.is_over:
            return
        yield Bundle(start // BUNDLE, tuple(range(start, min(start + BUNDLE, count))))


def broken_of(decoder: str, bundle: Bundle, ended: Ended, seeds: Sequence[Seed], asked: Asked) -> Broken:
    """What is kept of a fault: the files that it came with."""
    mutants = [mutant_of(seeds, asked.seed, number) for number in bundle.mutants]
    what = "rows" if str(ended.value).startswith(RowError.__name__) else FAULTS[ended.how]
    together = f"only beside the others of bundle {bundle.number}: " if len(mutants) > 1 else ""
    return Broken(
        f"{decoder}-{mutants[0].file_name}",
        what,
        f"{together}{ended.value}",
        f"python -m campaigns fuzz --seed {asked.seed} --only {mutants[0].number}  (decoder={decoder!r})",
        {mutant.file_name: mutant.data for mutant in mutants},
    )


# In the child


class RowError(Exception):
    """The rows that came back are not those that were asked for."""


@dataclass(frozen=True)
class How:
    """The settings that a bundle is heard with, and whether by the packaged model."""

    windows: str | int
    channels: str
    is_real: bool


def how_of(bundle: Bundle, asked: Asked) -> How:
    random = Random(f"{asked.seed}/bundle/{bundle.number}")
    return How(
        random.choice(WINDOWS),
        random.choice(("mean", "first")),
        bundle.number % BUNDLES_PER_REAL == BUNDLES_PER_REAL - 1,
    )


def warm_up(decoder: str, asked: Asked) -> None:
    """Hear every whole file, so that growth is counted from when all is loaded."""
    for number in (0, 1):
        hear_cells(decoder, How("all", "mean", is_real=number == 0), [seed.data for seed in whole_seeds()])


def hear_bundle(decoder: str, asked: Asked, bundle: Bundle) -> list[ModelOutput]:
    """What a batch of a map says of mutants, with a whole file among them that must not suffer."""
    how = how_of(bundle, asked)
    random = Random(f"{asked.seed}/forms/{bundle.number}")
    seeds = whole_seeds()
    mutants = [mutant_of(seeds, asked.seed, number) for number in bundle.mutants]
    with TemporaryDirectory(dir=asked.folder) as folder:
        paths = [Path(folder) / mutant.file_name for mutant in mutants]
        cells = [cell_of(path, one.data, random) for path, one in zip(paths, mutants, strict=True)]
        if bundle.alone:
            heard = hear_cells(decoder, how, cells)
        else:
            place, whole = random.randrange(len(cells) + 1), seeds[bundle.number % len(seeds)].data
            expected = hear_cells(decoder, how, [whole])[0]
            heard = hear_cells(decoder, how, [*cells[:place], whole, *cells[place:]])
            if heard[place] != expected:
                raise RowError(f"a whole file among them is {heard[place]}, and alone {expected}")
            del heard[place]
    for path, (_, error) in zip(paths, heard, strict=True):
        if error is not None and str(path) not in error:
            raise RowError(f"the error does not name {path.name}: {error}")
        if error is not None and RAW_WORDS.search(error):
            raise RowError(f"{path.name}: an error that nobody wrote: {error}")
    return heard


def cell_of(path: Path, data: bytes, random: Random) -> Any:
    """A mutant as a dataset's cell: its path, its bytes with a name, or both in a struct."""
    form = random.randrange(3)
    if form == 2:
        return {"path": str(path), "bytes": data}
    path.write_bytes(data)
    return str(path) if form == 0 else {"path": str(path), "bytes": None}


def hear_cells(decoder: str, how: How, cells: Sequence[Any]) -> list[ModelOutput]:
    """A batch as `map` gives it to a tagger; each row's tag or error."""
    from hf_audio_tagger import build_tagger, memo, models

    memo.clear()
    settings: dict[str, Any] = {"windows": how.windows, "channels": how.channels, "decoder": decoder}
    tagger = build_tagger("demo", batched=True, on_error="record", device="cpu", **settings)
    stand_in = nullcontext() if how.is_real else patch.object(models, "get_model", StandIn)
    with stand_in:
        answer = tagger({"video": list(cells)})
    tags, errors = list(answer["video_audio_tags"]), list(answer["video_audio_error"])
    if len(tags) != len(cells) or len(errors) != len(cells):
        raise RowError(f"{len(cells)} files came back as {len(tags)} tags and {len(errors)} errors")
    return [one_of(row_tags, row_errors) for row_tags, row_errors in zip(tags, errors, strict=True)]


def one_of(tags: Sequence[str | None], errors: Sequence[str | None]) -> ModelOutput:
    """A row's one tag, or its one error."""
    if len(tags) != 1 or len(errors) != 1 or (tags[0] is None) == (errors[0] is None):
        raise RowError(f"a row of one file has the tags {list(tags)} and the errors {list(errors)}")
    return tags[0], errors[0]


# In words


def outcome_of(heard: ModelOutput) -> str:
    return "refused" if heard[0] is None else "EMPTY" if heard[0] == "EMPTY" else "heard"


def reason_of(error: str) -> str:
    """An error without its file's name and its numbers.

    >>> reason_of("/tmp/00012-a.mp4: its sample rate is 12 Hz.")
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
