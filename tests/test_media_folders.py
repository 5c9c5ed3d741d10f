"""Media folders from anywhere: names that are not UTF-8, links that lead out. No row is lost on the way."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hf_audio_tagger import build_tagger, export_predictions
from hf_audio_tagger.cli import app
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.demo.videos import write_video
from hf_audio_tagger.runs import load_result, tag_dataset
from hf_audio_tagger.sources import open_source
from hf_audio_tagger.sources.source import Source, SourceError

pytestmark = pytest.mark.timeout(60)

RENAME = "its name is not UTF-8, and no dataset can hold it; rename it"
TAGGER = build_tagger("demo", on_error="record", device="cpu")


@pytest.fixture(scope="module")
def siren(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("siren") / "siren.mp4"
    write_video(path, synthesize("Siren", 0.7, 16_000, 1), 16_000)
    return path


def place(data: Path, folder: Path, *names: bytes) -> Path:
    """Copies of a file under names of any bytes."""
    for name in names:
        path = os.path.join(os.fsencode(folder), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            Path(os.fsdecode(path)).write_bytes(data.read_bytes())
        except (OSError, UnicodeError):
            pytest.skip("this file system takes UTF-8 names alone")
    return folder


def rows(source: Source) -> list[dict[str, Any]]:
    assert source.row_count is not None
    return source.rows(0, source.row_count).to_pylist()


def names_and_paths(source: Source) -> dict[str, str | None]:
    return {row["file_name"]: row["video"] and row["video"]["path"] for row in rows(source)}


def write_metadata(folder: Path, rows: list[list[str]]) -> None:
    lines = "".join(json.dumps({"file_names": names}) + "\n" for names in rows)
    (folder / "metadata.jsonl").write_text(lines)


def invoke(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


# Names that are not UTF-8


def test_a_name_that_is_not_utf8_is_a_row_of_its_own(siren: Path, tmp_path: Path) -> None:
    odd = (b"lat\xe9in.mp4", b"d\xe9r/a.mp4", rb"lat\xe9in.mp4", b"plain.mp4")
    source = open_source(place(siren, tmp_path, *odd))
    assert names_and_paths(source) == {
        r"d\xe9r/a.mp4": None,
        r"lat\xe9in (2).mp4": None,  # another file has the name that it would be shown by
        r"lat\xe9in.mp4": str(tmp_path / r"lat\xe9in.mp4"),
        "plain.mp4": str(tmp_path / "plain.mp4"),
    }
    assert source.fingerprint == open_source(tmp_path).fingerprint


def test_tag_and_label_record_such_names_and_go_on(siren: Path, tmp_path: Path) -> None:
    folder = place(siren, tmp_path / "in", b"lat\xe9in.mp4", b"plain.mp4")
    tagged = tag_dataset(folder, tmp_path / "tagged", TAGGER)
    assert (tagged.tagged, tagged.failed) == (1, 1)
    result = load_result(tmp_path / "tagged").to_dict()
    assert dict(zip(result["file_name"], result["video_audio_tags"], strict=True)) == {
        r"lat\xe9in.mp4": [None],
        "plain.mp4": ["Siren"],
    }
    reason = rf"lat\xe9in.mp4: {RENAME}."
    assert result["video_audio_error"] == [[reason], [None]]
    [failure] = Path(str(tagged.failures)).read_text().splitlines()
    assert json.loads(failure) == {"row": 0, "video": 0, "path": None, "error": reason}
    labelled = export_predictions(folder, tmp_path / "labelled", tagger=TAGGER)
    assert (labelled.clips, labelled.labelled, labelled.failed) == (2, 1, 1)
    assert json.loads((tmp_path / "labelled" / "audio_failures.jsonl").read_text())["error"] == reason


def test_on_error_raise_names_the_file_and_the_remedy(siren: Path, tmp_path: Path) -> None:
    folder = place(siren, tmp_path / "in", b"lat\xe9in.mp4")
    done = invoke("tag", folder, "--dry-run", "--model", "demo", "--on-error", "raise")
    assert (done.exit_code, rf"lat\xe9in.mp4: {RENAME}." in done.stderr) == (2, True)


def test_a_folder_that_cannot_be_read_has_a_note(
    siren: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(siren, tmp_path, b"plain.mp4", b"closed/a.mp4")
    scandir = os.scandir

    def refusing(path: str) -> Any:
        if os.path.basename(path) == "closed":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    source = open_source(tmp_path)
    assert list(names_and_paths(source)) == ["plain.mp4"]
    assert source.notes == ("Folders that cannot be read are left out: closed.",)


def test_metadata_name_such_files_as_they_are_shown(siren: Path, tmp_path: Path) -> None:
    place(siren, tmp_path, b"lat\xe9in.mp4", b"a.mp4")
    write_metadata(tmp_path, [[r"lat\xe9in.mp4", "a.mp4"], []])
    source = open_source(tmp_path)
    assert rows(source)[0]["videos"] == [None, {"bytes": None, "path": str(tmp_path / "a.mp4")}]
    tag_dataset(source, tmp_path / "out", TAGGER)
    result = load_result(tmp_path / "out")
    assert list(result["video_audio_tags"]) == [[None, "Siren"], []]
    assert list(result["video_audio_error"]) == [[rf"lat\xe9in.mp4: {RENAME}.", None], []]
    assert source.notes == ()


def test_metadata_below_such_a_folder_are_refused_with_the_remedy(siren: Path, tmp_path: Path) -> None:
    place(siren, tmp_path, b"d\xe9r/a.mp4")
    write_metadata(Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), b"d\xe9r"))), [["a.mp4"]])
    with pytest.raises(SourceError, match=r"d\\xe9r/metadata.jsonl: its name is not UTF-8.*rename it"):
        open_source(tmp_path)


@pytest.mark.parametrize("name", [b"d\xe9r", b"r\xe9.jsonl"])
def test_a_source_with_such_a_name_is_refused_with_the_remedy(
    siren: Path, tmp_path: Path, name: bytes
) -> None:
    path = os.fsdecode(os.path.join(os.fsencode(tmp_path), name))
    if name.endswith(b"jsonl"):
        Path(path).write_text('{"video": "a.mp4"}\n')
    else:
        place(siren, Path(path), b"a.mp4")
    with pytest.raises(SourceError, match="rename it"):
        open_source(path)
    done = invoke("tag", path, "--out", tmp_path / "out", "--model", "demo")
    assert (done.exit_code, "rename it" in done.stderr) == (1, True)


@pytest.mark.parametrize("text", [b'{"file_name": "lat\xe9in.mp4"}', b'{"file_name": "lat\\udce9in.mp4"}'])
def test_metadata_that_are_not_utf8_raise(siren: Path, tmp_path: Path, text: bytes) -> None:
    place(siren, tmp_path, b"lat\xe9in.mp4")
    (tmp_path / "metadata.jsonl").write_bytes(text + b"\n")
    with pytest.raises(SourceError, match=r"metadata.jsonl"):
        open_source(tmp_path)


# Links


@pytest.fixture
def linked(siren: Path, tmp_path: Path) -> Path:
    """A folder with a clip, links inside and out of it, and loops; what lies outside."""
    folder = place(siren, tmp_path / "in", b"plain.mp4", b"sub/deep.mp4")
    outside = place(siren, tmp_path / "outside", b"far.mp4", b"more/far.mp4")
    (outside / "secret.txt").write_text("secret")
    links = {
        "inside.mp4": "plain.mp4",
        "p.mp4": outside / "secret.txt",
        "q.mp4": "../outside/far.mp4",
        "chain.mp4": "q.mp4",
        "gone.mp4": "nothing.mp4",
        "inner": "sub",
        "loop": ".",
        "up": "..",
        "far": outside,
    }
    for name, target in links.items():
        (folder / name).symlink_to(target)
    return folder


def test_links_that_leave_the_folder_are_not_read(linked: Path, tmp_path: Path) -> None:
    source = open_source(linked)
    assert names_and_paths(source) == {
        "chain.mp4": None,
        "gone.mp4": str(linked / "gone.mp4"),
        "inside.mp4": str(linked / "inside.mp4"),
        "p.mp4": None,  # so that a push has nothing to embed
        "plain.mp4": str(linked / "plain.mp4"),
        "q.mp4": None,
        "sub/deep.mp4": str(linked / "sub" / "deep.mp4"),
    }
    assert source.notes == (
        "Links to folders are not followed without --follow-links (follow_links=True): far, up.",
    )
    tag_dataset(source, tmp_path / "out", TAGGER)
    result = load_result(tmp_path / "out")
    found = dict(zip(result["file_name"], result["video_audio_tags"], strict=True))
    assert found == {
        **{name: [None] for name in ("chain.mp4", "gone.mp4", "p.mp4", "q.mp4")},
        **{name: ["Siren"] for name in ("inside.mp4", "plain.mp4", "sub/deep.mp4")},
    }
    errors = dict(zip(result["file_name"], result["video_audio_error"], strict=True))
    assert errors["p.mp4"] == [
        "p.mp4: it is a link that leaves the folder; to read it: --follow-links (follow_links=True)."
    ]


@pytest.mark.parametrize("is_list", [False, True])
def test_what_becomes_a_link_or_ceases_to_be_one_is_tagged_again(
    siren: Path, tmp_path: Path, is_list: bool
) -> None:
    folder, dest = place(siren, tmp_path / "in", b"a.mp4", b"b.mp4"), tmp_path / "out"
    column = "videos" if is_list else "video"
    if is_list:
        write_metadata(folder, [["a.mp4", "b.mp4"]])

    def run(follow_links: bool = False) -> tuple[int, str | None, str | None]:
        """How many rows were tagged, then the last clip's path, which a push would embed, and tag."""
        summary = tag_dataset(open_source(folder, follow_links=follow_links), dest, TAGGER)
        row = load_result(dest).with_format("arrow")[:].to_pylist()[-1]
        cell = row[column][-1] if is_list else row[column]
        return summary.processed_now, cell and cell["path"], row["video_audio_tags"][-1]

    rows, path = 1 if is_list else 2, str(folder / "b.mp4")
    assert run() == (rows, path, "Siren")
    (folder / "b.mp4").unlink()
    (folder / "b.mp4").symlink_to(siren)
    assert run() == (1, None, None)
    assert run() == (0, None, None)
    assert run(follow_links=True) == (1, path, "Siren")
    assert run() == (1, None, None)
    (folder / "b.mp4").unlink()
    place(siren, folder, b"b.mp4")
    assert run() == (1, path, "Siren")


def test_links_are_followed_when_asked_for_and_loops_end(linked: Path) -> None:
    source = open_source(linked, follow_links=True)
    assert sorted(names_and_paths(source).items()) == sorted(
        (name, str(linked / name))
        for name in (
            *("chain.mp4", "gone.mp4", "inside.mp4", "p.mp4", "plain.mp4", "q.mp4", "sub/deep.mp4"),
            *("far/far.mp4", "far/more/far.mp4"),  # `up` leads to them too, and is left out
        )
    )
    assert source.notes == ()


@pytest.mark.campaign  # takes ten seconds
def test_a_folder_of_links_alone_still_has_its_rows(siren: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mp4").symlink_to(siren)
    done = invoke("tag", tmp_path / "in", "--out", tmp_path / "out", "--model", "demo")
    assert done.exit_code == 3, done.output
    words = ("--follow-links", "--retry-failed", "--json")
    done = invoke("tag", tmp_path / "in", "--out", tmp_path / "out", "--model", "demo", *words)
    assert done.exit_code == 0, done.output
    assert load_result(tmp_path / "out")["video_audio_tags"][0] == ["Siren"]
    done = invoke("label", tmp_path / "in", "--out", tmp_path / "labels", "--model", "demo", "--follow-links")
    assert done.exit_code == 0, done.output


def test_metadata_cannot_name_links_that_leave_the_folder(linked: Path) -> None:
    names = ("plain.mp4", "q.mp4", "far/far.mp4", "inner/deep.mp4")
    (linked / "metadata.csv").write_text("file_name\n" + "".join(f"{name}\n" for name in names))
    paths = names_and_paths(open_source(linked))
    assert [name for name, path in paths.items() if path is None] == ["q.mp4", "far/far.mp4"]
    assert None not in names_and_paths(open_source(linked, follow_links=True)).values()


def test_metadata_that_are_such_a_link_are_refused(siren: Path, tmp_path: Path) -> None:
    folder = place(siren, tmp_path / "in", b"plain.mp4")
    (tmp_path / "secret.csv").write_text("file_name,word\nplain.mp4,secret\n")
    (folder / "metadata.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(
        SourceError, match=r"metadata.csv: it is a link that leaves the folder.*--follow-links"
    ):
        open_source(folder)
    assert rows(open_source(folder, follow_links=True))[0]["word"] == "secret"


def test_the_source_itself_may_be_a_link(siren: Path, tmp_path: Path) -> None:
    folder = place(siren, tmp_path / "in", b"plain.mp4")
    (folder / "other.mp4").symlink_to(folder / "plain.mp4")
    (tmp_path / "link").symlink_to(folder)
    assert None not in names_and_paths(open_source(tmp_path / "link")).values()


def test_label_records_a_refused_link_and_follows_it_on_request(linked: Path, tmp_path: Path) -> None:
    refused = export_predictions(linked, tmp_path / "out", tagger=TAGGER)
    assert (refused.labelled, refused.failed) == (3, 4)
    followed = export_predictions(open_source(linked, follow_links=True), tmp_path / "out", tagger=TAGGER)
    assert (followed.labelled, followed.failed, followed.processed_now) == (7, 2, 6)


def test_follow_links_goes_with_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"video": "a.mp4"}\n')
    with pytest.raises(
        SourceError, match=r"a\.jsonl is one or more data files, which follow_links= does not apply to"
    ):
        open_source(tmp_path / "a.jsonl", follow_links=True)
