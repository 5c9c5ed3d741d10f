"""`hf-audio-tagger tag` of tars, and what else takes them as a source."""

import json
from pathlib import Path

import pytest
from tar_files import make_clips, make_samples, pack
from typer.testing import CliRunner, Result

from hf_audio_tagger import build_tagger
from hf_audio_tagger.cli import app
from hf_audio_tagger.runs import estimate_run, export_predictions, preview
from hf_audio_tagger.sources import open_source

TAGGER = build_tagger("demo", device="cpu", on_error="record")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return make_clips(tmp_path_factory.mktemp("clips"), 2)


@pytest.fixture
def tars(clips: list[bytes], tmp_path: Path) -> Path:
    """One with two samples, and one that is cut off in its second one."""
    samples = pack(make_samples(clips))
    (tmp_path / "0.tar").write_bytes(samples)
    (tmp_path / "1.tar").write_bytes(samples[: -len(clips[1]) - 9_000])
    return tmp_path


def tag(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["tag", *map(str, arguments), "--model", "demo", "--device", "cpu"])


def test_printed_without_out(tars: Path, clips: list[bytes]) -> None:
    """The names that a shell makes of *.tar; what breaks off goes to standard error."""
    result = tag(tars / "0.tar", tars / "1.tar")
    assert result.exit_code == 3
    first, second, third = [line.split("\t") for line in result.stdout.splitlines()]
    assert [first[0], second[0], third[0]] == ["000.mp4", "001.mp4", "000.mp4"]
    assert first[1] == TAGGER.tag(clips[0])
    assert "1.tar" in result.stderr
    assert "cut off" in result.stderr.replace("\n", " ")
    assert len(tag(tars / "0.tar", "--limit", "1").stdout.splitlines()) == 1


@pytest.mark.campaign
def test_a_run_beside_the_tars(tars: Path) -> None:
    result = tag(tars / "*.tar", "--beside", "--json")
    assert result.exit_code == 3
    summary = json.loads(result.stdout)
    assert (summary["rows"], summary["failed"], summary["broken_tars"]) == (3, 0, 1)
    assert sorted(path.name for path in tars.glob("*.parquet")) == [
        "0.tar.tags.parquet",
        "1.tar.tags.parquet",
    ]
    again = tag(tars / "*.tar", "--beside", "--retry-failed")
    assert again.exit_code == 3
    assert "broken tars" in again.stdout
    assert "1 tar breaks off" in again.stdout


@pytest.mark.campaign
def test_a_run_keeps_files_on_request(tars: Path) -> None:
    assert tag(tars / "0.tar", "--out", tars / "out", "--keep-files").exit_code == 0
    rows = open_source(str(tars / "out" / "data" / "*.parquet")).rows(0, 2)
    assert rows["mp4"][0].as_py()["path"] == "000.mp4"
    result = tag(tars / "0.tar", "--keep-files")
    assert result.exit_code == 1
    assert "--out" in result.stderr


@pytest.mark.usefixtures("_without_openvino")
def test_a_dry_run_reads_the_first_samples(tars: Path) -> None:
    source = open_source([str(tars / "0.tar")])
    assert estimate_run(source, TAGGER).rows is None
    row = preview(source, TAGGER)
    assert (row["__key__"], row["txt"]) == ("000", "t0")
    assert "bytes" not in str(row["mp4"])


def test_what_needs_rows_in_any_order_says_what_to_do(tars: Path) -> None:
    with pytest.raises(ValueError, match=r"load_dataset\(\"webdataset\""):
        export_predictions(str(tars / "0.tar"), tars / "labels", tagger=TAGGER)


def test_the_stream_is_one_of_datasets(tars: Path, clips: list[bytes]) -> None:
    both = [str(tars / "0.tar"), str(tars / "0.tar")]
    rows = list(open_source(both).dataset.decode(False))
    assert [row["__key__"] for row in rows] == ["000", "001"] * 2
    assert rows[1]["mp4"] == {"path": "001.mp4", "bytes": clips[1]}


def test_a_stream_goes_on_from_its_state(tars: Path) -> None:
    source = open_source([str(tars / "0.tar"), str(tars / "1.tar")])
    stream = source.stream()
    first = stream.take(3)["__key__"].to_pylist()
    rest = source.stream(stream.state).take(9)["__key__"].to_pylist()
    assert (first, rest) == (["000", "001", "000"], [""])
    assert source.refused.keys() == {3}
