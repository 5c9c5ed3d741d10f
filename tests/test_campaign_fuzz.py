"""The campaign `fuzz` in a short form, and what it notices of a package that was broken on purpose."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.outcome import Figure
from campaigns import fuzz
from campaigns.mutants import ATTACKS, DAMAGE, make_mutant
from campaigns.options import Options
from campaigns.report import Report
from campaigns.seeds import KINDS, make_seeds
from hf_audio_tagger import chunks, tagger
from hf_audio_tagger.media.audio import open_sound

pytestmark = [
    pytest.mark.campaign,
    pytest.mark.timeout(120),
    pytest.mark.usefixtures("one_thread_everywhere"),
]

VICTIM = 3  # the mutant that a broken package fails at


def test_seeds_are_whole_and_small() -> None:
    seeds = make_seeds()
    assert {seed.name for seed in seeds} >= {kind.name for kind in KINDS if kind.codec in ("aac", "flac")}
    assert max(len(seed.data) for seed in seeds) < 50_000
    results = fuzz.tag_cells(
        "pyav", fuzz.BundleSettings("first", "mean", False), [seed.data for seed in seeds]
    )
    for seed, (tag, error) in zip(seeds, results, strict=True):
        assert error is None, seed.name
        assert (tag == "EMPTY") == (seed.name == "mp4-without-sound")


def test_a_number_and_a_seed_are_always_the_same_mutant() -> None:
    seeds = make_seeds()
    made = [make_mutant(seeds, 1, number) for number in range(1_500)]
    assert made[::50] == [make_mutant(seeds, 1, number) for number in range(0, 1_500, 50)]
    assert made[0] != make_mutant(seeds, 2, 0)
    whole = {seed.data for seed in seeds}
    assert not [one.file_name for one in made if one.data in whole]
    assert {way for one in made for way in one.ways} == DAMAGE.keys() | ATTACKS.keys()
    assert {one.seed_name for one in made} == {seed.name for seed in seeds}


def test_fuzz_in_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "DECODERS", ("auto",))
    monkeypatch.setattr(fuzz, "BUNDLES_PER_REAL", 8)
    report = fuzz.run(Options(tmp_path, count=96, jobs=1))
    assert report.is_whole, report.text()
    assert report.figures[0] == Figure("mutants", 96, "by auto")
    row = report.tables[0][0]
    assert 0 not in (row["tagged"], row["EMPTY"], row["refused"])
    assert sum(int(row[kind] or 0) for kind in fuzz.OUTCOMES) == 96
    assert not list(tmp_path.glob("**/0*-*"))  # the mutants themselves are gone


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def hang() -> None:
    time.sleep(60)


def grow() -> None:
    tagger.held = bytearray(os.urandom(1) * (200 << 20))  # type: ignore[attr-defined]


def raise_raw() -> None:
    raise AttributeError("'NoneType' object has no attribute 'channels'")


def raise_in_words() -> None:
    from hf_audio_tagger.errors import MediaError

    raise MediaError("it has no attribute 'x'.")  # nor does it name the file


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        (crash, "crash"),
        (hang, "hang"),
        (grow, "growth"),
        (raise_raw, "rows"),  # as a clip's error, in Python's words
        (raise_in_words, "rows"),
    ],
)
def test_fuzz_notices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Callable[[], None], what: str
) -> None:
    """One mutant makes a broken package fail: it is told, kept and counted, and the others are heard."""

    @contextmanager
    def broken(media: Any, *given: Any, **settings: Any) -> Iterator[Any]:
        if f"/{VICTIM:06d}-" in media.name:
            fault()
        with open_sound(media, *given, **settings) as sound:
            yield sound

    monkeypatch.setattr(chunks, "open_sound", broken)
    expect_one_broken(broken_fuzz(tmp_path, monkeypatch), what)


def test_fuzz_notices_a_raw_exception(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing turns what a decoder raises into the clip's error."""

    @contextmanager
    def no_boundary(name: str) -> Iterator[None]:
        if f"/{VICTIM:06d}-" in name:
            raise_raw()
        yield

    monkeypatch.setattr(chunks, "convert_clip_errors", no_boundary)
    expect_one_broken(broken_fuzz(tmp_path, monkeypatch), "wrong exception")


def expect_one_broken(report: Report, what: str) -> None:
    mutant = make_mutant(make_seeds(), 1, VICTIM)
    assert [(one.name, one.what) for one in report.broken] == [(f"pyav-{mutant.file_name}", what)]
    assert report.broken[0].files == {mutant.file_name: mutant.data}
    assert f"--only {VICTIM} " in report.broken[0].repeat
    row = report.tables[0][0]
    assert (row["mutants"], row[what], row["broken"]) == (8, 1, 1)
    assert not report.is_whole


def test_fuzz_notices_rows_that_are_lost_or_mixed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call = tagger.Tagger.__call__
    ways: Mapping[str, Callable[[list[Any]], list[Any]]] = {
        "lost": lambda cells: cells[:-1],
        "mixed up": lambda cells: cells[1:] + cells[:1],
    }
    for name, change in ways.items():

        def broken(self: Any, rows: Any, rank: Any = None, change: Any = change) -> Any:
            answer = call(self, rows, rank)
            is_many = len(rows["video"]) > 1
            return {key: change(list(cells)) for key, cells in answer.items()} if is_many else answer

        monkeypatch.setattr(tagger.Tagger, "__call__", broken)
        (tmp_path / name).mkdir()
        report = broken_fuzz(tmp_path / name, monkeypatch)
        assert [one.what for one in report.broken] == ["rows"], name
        assert len(report.broken[0].files) == 8  # alone, each is as it should be


def broken_fuzz(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    """Eight mutants, with limits that are quickly reached."""
    monkeypatch.setattr(fuzz, "DECODERS", ("pyav",))
    monkeypatch.setattr(fuzz, "warm_up", lambda *_: None)
    monkeypatch.setattr(fuzz, "HANG_SECONDS", 3.0)
    monkeypatch.setattr(fuzz, "MOST_GROWTH_MB", 120.0)
    return fuzz.run(Options(folder, count=8, jobs=1))
