"""The campaigns in short forms, and what they notice of a package that was broken on purpose."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.outcome import Figure
from campaigns import __main__ as command
from campaigns import commands, disk, fuzz, hostile, kill, names, remote
from campaigns.asked import Asked
from campaigns.child import Limits, Worker, ask_all
from campaigns.materials import write_clips
from campaigns.mutants import ATTACKS, DAMAGE, mutant_of
from campaigns.report import Broken, Report, keep
from campaigns.seeds import KINDS, whole_seeds
from hf_audio_tagger import pipeline as listen
from hf_audio_tagger import tagger
from hf_audio_tagger.media.audio import open_sound

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("one_thread_everywhere")]

ROOM = Limits(seconds=60.0, grown_mb=1_000.0)
VICTIM = 3  # the mutant that a broken package fails at


# fuzz


def test_seeds_are_whole_and_small() -> None:
    seeds = whole_seeds()
    assert {seed.name for seed in seeds} >= {kind.name for kind in KINDS if kind.codec in ("aac", "flac")}
    assert max(len(seed.data) for seed in seeds) < 50_000
    heard = fuzz.hear_cells("pyav", fuzz.How("first", "mean", False), [seed.data for seed in seeds])
    for seed, (tag, error) in zip(seeds, heard, strict=True):
        assert error is None, seed.name
        assert (tag == "EMPTY") == (seed.name == "mp4-without-sound")


def test_a_number_and_a_seed_are_always_the_same_mutant() -> None:
    seeds = whole_seeds()
    made = [mutant_of(seeds, 1, number) for number in range(1_500)]
    assert made[::50] == [mutant_of(seeds, 1, number) for number in range(0, 1_500, 50)]
    assert made[0] != mutant_of(seeds, 2, 0)
    whole = {seed.data for seed in seeds}
    assert not [one.file_name for one in made if one.data in whole]
    assert {way for one in made for way in one.ways} == DAMAGE.keys() | ATTACKS.keys()
    assert {one.seed_name for one in made} == {seed.name for seed in seeds}


def test_fuzz_in_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "DECODERS", ("auto",))
    monkeypatch.setattr(fuzz, "BUNDLES_PER_REAL", 8)
    report = fuzz.run(Asked(tmp_path, count=96, jobs=1))
    assert report.is_whole, report.text()
    assert report.figures[0] == Figure("mutants", 96, "by auto")
    row = report.tables[0][0]
    assert 0 not in (row["heard"], row["EMPTY"], row["refused"])
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

    monkeypatch.setattr(listen, "open_sound", broken)
    expect_one_broken(broken_fuzz(tmp_path, monkeypatch), what)


def test_fuzz_notices_a_raw_exception(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing turns what a decoder raises into the clip's error."""

    @contextmanager
    def no_boundary(name: str) -> Iterator[None]:
        if f"/{VICTIM:06d}-" in name:
            raise_raw()
        yield

    monkeypatch.setattr(listen, "convert_clip_errors", no_boundary)
    expect_one_broken(broken_fuzz(tmp_path, monkeypatch), "wrong exception")


def expect_one_broken(report: Report, what: str) -> None:
    mutant = mutant_of(whole_seeds(), 1, VICTIM)
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
    return fuzz.run(Asked(folder, count=8, jobs=1))


# Children


def test_children_that_end_are_told_and_the_next_job_goes_on(tmp_path: Path) -> None:
    def work(job: str) -> str:
        {"crash": crash, "raise": raise_raw, "leave": lambda: os._exit(3)}.get(job, lambda: None)()
        return job.upper()

    jobs = ["a", "crash", "b", "raise", "leave", "c"]
    ended = list(ask_all([Worker(work, tmp_path / "log")], jobs, ROOM))
    assert [job for job, _ in ended] == jobs
    hows = ["answered", "died", "answered", "raised", "died", "answered"]
    assert [one.how for _, one in ended] == hows
    assert [one.value for _, one in ended if one.is_answer] == ["A", "B", "C"]
    assert "SIGSEGV" in ended[1][1].value
    assert "AttributeError" in ended[3][1].value
    assert "exit code 3" in ended[4][1].value


def test_what_broke_is_kept_and_cannot_leave_its_folder(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    os.mkfifo(tmp_path / "made" / "pipe")
    (tmp_path / "made" / "file").write_text("x")
    files = {"../../a\x1b.mp4": b"data"}
    place = keep(Broken("../x/y", "hang", "why", "again", files, [tmp_path / "made"]), tmp_path / "kept")
    assert place.parent == tmp_path / "kept"
    assert sorted(path.name for path in place.iterdir()) == [".._.._a_.mp4", "made", "reason.txt"]
    assert [path.name for path in (place / "made").iterdir()] == ["file"]
    assert "To repeat it:\n  again" in (place / "reason.txt").read_text()


@pytest.mark.parametrize("broken", [(), (Broken("x", "hang", "why \x1b[2J", "again"),)])
def test_the_exit_code_says_whether_anything_broke(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    broken: tuple[Broken, ...],
) -> None:
    monkeypatch.setattr(command, "set_environment", lambda _: None)
    monkeypatch.setattr(fuzz, "run", lambda asked: Report("a toy", broken=broken))
    assert command.main(["fuzz", "--keep", str(tmp_path)]) == len(broken)
    printed = capsys.readouterr().out
    assert ("Nothing broke." in printed) == (not broken)
    assert "\x1b" not in printed
    assert (tmp_path / "fuzz" / "x" / "reason.txt").exists() == bool(broken)
    assert not Report("", [Figure("growth", 201.0, "MB", at_most=200)]).is_whole


# kill


@pytest.fixture
def two_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kill, "FORMS", {name: kill.FORMS[name] for name in ("jsonl", "label")})
    monkeypatch.setattr(kill, "CLIPS", 9)


@pytest.mark.usefixtures("two_forms")
def test_kill_in_short(tmp_path: Path) -> None:
    report = kill.run(Asked(tmp_path, count=3))
    assert report.is_whole, report.text()
    assert report.figures[0].value >= 3


@pytest.mark.usefixtures("two_forms")
def test_a_lost_worker_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is killed while it writes, and the run goes on to its end without it."""

    def kill_a_writer(command: commands.Command, round: kill.Round) -> None:
        while not list(round.dest.parent.rglob(".shard-*.tmp")):
            assert not command.is_over
        command.kill(command.workers()[0])
        round.kills["worker"] += 1

    monkeypatch.setattr(kill, "kill_sometime", kill_a_writer)
    report = kill.run(Asked(tmp_path, only="0"))
    assert report.is_whole, report.text()
    assert report.figures[0].value == 1


def test_a_labelling_run_removes_what_a_killed_one_was_writing(tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "clips", 2)
    left = [".hf_audio_tagger/.label.json.7.tmp", "audio_pred/.a.npy.7.tmp", ".audio_pred.json.7.tmp"]
    for path in [tmp_path / "out" / name for name in left]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    make, _ = kill.FORMS["label"]
    ended = commands.run_to_end(make(clips, clips, tmp_path / "out"), tmp_path / "log")
    assert ended.code == 0, ended.told()
    assert commands.leftovers(tmp_path / "out") == []


def test_kill_notices_rows_that_change_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two_forms: None
) -> None:
    """A package whose answers depend on how often it was asked before."""
    call, calls = tagger.Tagger.__call__, tmp_path / "calls"
    enough = 4  # of a run of 9 clips that nobody kills: shards of 5, batches of 3

    def broken(self: Any, rows: Any, rank: Any = None) -> Any:
        with open(calls, "ab") as file:
            file.write(b"x")
        answer = call(self, rows, rank)
        place = answer.column_names.index("video_audio_tags")
        wrong = pa.array([["wrong"]] * len(answer), answer.schema.field(place).type)
        is_early = calls.stat().st_size <= enough
        return answer if is_early else answer.set_column(place, "video_audio_tags", wrong)

    monkeypatch.setattr(tagger.Tagger, "__call__", broken)
    report = kill.run(Asked(tmp_path, count=1, only="0"))
    assert [one.name for one in report.broken] == ["round-0-jsonl"]
    assert "'wrong'" in report.broken[0].why
    assert (report.broken[0].folders[0] / "out.jsonl").exists()
    assert not report.is_whole


def test_results_that_differ_are_told() -> None:
    rows = [{"a": 1}, {"a": 2}]
    assert commands.difference(rows, [*rows]) is None
    assert commands.difference(rows[:1], rows) == "1 rows, and uninterrupted 2"
    assert commands.difference([*rows, rows[0]], rows) == "3 rows, and uninterrupted 2"
    assert "row 1 is {'a': 3}" in str(commands.difference([rows[0], {"a": 3}], rows))
    scores = np.ones((3, 2), np.float32)
    labelled = {"predictions": list[str]()}, {"a.npy": scores}, ""
    assert commands.difference((labelled[0], {"a.npy": scores + np.float32(1e-6)}, ""), labelled) is None
    for other in ({"a.npy": scores + 1}, {"a.npy": scores[:2]}, {}, {"a.npy": scores, "b.npy": scores}):
        assert "npy" in str(commands.difference((labelled[0], other, ""), labelled))
    for index, failures in (({}, ""), (labelled[0], "a failure")):
        assert "audio_pred.json" in str(commands.difference((index, labelled[1], failures), labelled))


def test_what_is_not_whole_or_left_behind_is_told(tmp_path: Path) -> None:
    for dest in (tmp_path / "out", tmp_path / "out.jsonl"):
        shards = (dest if not dest.suffix else commands.state_of(dest)) / "data"
        shards.mkdir(parents=True)
        pq.write_table(pa.table({"a": [1, 2]}), shards / "shard-00000.parquet")
        assert (commands.half_written(dest), commands.leftovers(dest)) == ([], [])
        assert not kill.is_writing(dest)
        (shards / "shard-00001.parquet").write_bytes((shards / "shard-00000.parquet").read_bytes()[:-9])
        (shards / ".shard-00002.parquet.7.tmp").touch()
        assert commands.half_written(dest) == [str(shards / "shard-00001.parquet")]
        assert commands.leftovers(dest) == [str(shards / ".shard-00002.parquet.7.tmp")]
        assert kill.is_writing(dest)


# disk


@pytest.mark.parametrize("may_mount", [True, False])
def test_disk_in_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, may_mount: bool) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no mounting today")

    if not may_mount:
        monkeypatch.setattr(disk, "mounts", refuse)
    monkeypatch.setattr(disk, "CLIPS", 12)
    report = disk.run(Asked(tmp_path, jobs=1, only="jsonl-10%"))
    assert report.is_whole, report.text()
    assert [figure.value for figure in report.figures[:2]] == [1, 1]
    if not may_mount:
        assert "no mounting today" in report.notes[0]


@pytest.mark.parametrize(
    ("code", "said", "fault"),
    [
        (2, "The disk is full (No space left on device).", None),
        (2, "Reading or writing failed (File too large).", None),
        (3, "All of it found room.", None),
        (2, "Two workers were lost.", "does not say so"),
        (70, "OSError: No space left on device", "exit code 70"),
        (1, "Traceback (most recent call last): No space left on device", "exit code 1"),
        (-9, "", "SIGKILL"),
    ],
)
def test_disk_notices_how_a_run_ends(tmp_path: Path, code: int, said: str, fault: str | None) -> None:
    (tmp_path / "log").write_text(said)
    place = disk.Place(tmp_path, tmp_path / "disk")
    kind = disk.Kind("toy", lambda place: [], lambda place: place.disk / "out")
    faults = disk.faults_when_full(commands.Command(0, tmp_path / "log", code), place, kind)
    assert len(faults) == (fault is not None)
    assert fault is None or fault in faults[0]


# hostile

SHORT = {
    "clip": ("a good server", "404", "a gzip bomb"),
    "weights": ("404",),
    "name": ("html",),
    "special": ("pipe",),
    "recipe": ("python object", "deep nesting"),
}


def only(cases: Mapping[str, tuple[str, ...]]) -> Callable[[], list[hostile.Case]]:
    return lambda: [hostile.Case(kind, what) for kind, some in cases.items() for what in some]


def test_hostile_in_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = set(hostile.all_cases())
    monkeypatch.setattr(hostile, "all_cases", only(SHORT))
    assert set(hostile.all_cases()) < known
    report = hostile.run(Asked(tmp_path, jobs=1))
    assert report.is_whole, report.text()
    assert report.figures[0].value == 8


def test_hostile_notices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that waits for ever, that follows a server anywhere, and that hears what is not there."""

    @contextmanager
    def broken(media: Any, *given: Any, **settings: Any) -> Iterator[Any]:
        if media.name.endswith("/401"):
            time.sleep(60)
        if media.name.endswith("/404"):
            with suppress(OSError):
                socket.create_connection(("127.0.0.2", 9), timeout=1)
        clip = remote.good_clip() if media.name.endswith("/500") else None
        with open_sound(media if clip is None else type(media)(str(tmp_path / "clip.mp4")), *given) as sound:
            yield sound

    (tmp_path / "clip.mp4").write_bytes(remote.good_clip())
    monkeypatch.setattr(listen, "open_sound", broken)
    monkeypatch.setattr(hostile, "SECONDS", {"clip": 3.0})
    monkeypatch.setattr(hostile, "all_cases", only({"clip": ("401", "404", "500")}))
    report = hostile.run(Asked(tmp_path, jobs=1))
    why = {one.name: one.why for one in report.broken}
    assert "no answer after 3 s" in why["clip: 401"]
    assert why["clip: 404"] == "it went on to 127.0.0.2"
    assert why["clip: 500"].startswith("it was heard as")


def test_what_reaches_the_terminal_is_noticed(tmp_path: Path) -> None:
    def fault(said: str, code: int = 0) -> str | None:
        (tmp_path / "log").write_text(said)
        return names.fault_on_screen(commands.Command(0, tmp_path / "log", code), kill.DONE)

    assert fault("all is well: ü 音 █\n") is None
    for bad in ("\x1b[2J", "\u202e", "\x9b", "\x08"):
        assert "reaches the terminal" in str(fault(f"a{bad}b"))
    assert "exit code 70" in str(fault("", 70))
    assert fault("Traceback (most recent call last):") is not None
