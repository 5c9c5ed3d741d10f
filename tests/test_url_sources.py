"""Tables and folders of media behind a URL: in a store, here one in memory, and on a web server."""

import io
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from remote_site import Site, ranges, running, status
from small_runs import TAGGER

from hf_audio_tagger.runs import tag_dataset
from hf_audio_tagger.sources import SourceError, open_source
from hf_audio_tagger.stores import systems

pytestmark = pytest.mark.timeout(60)


def encode(**columns: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


@pytest.fixture
def store() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    system.pipe_file("/bucket/rows/0.parquet", encode(video=["a.mp4", "b.mp4"], n=[0, 1]))
    system.pipe_file("/bucket/rows/1.parquet", encode(video=["c.mp4"], n=[2]))
    for name in ("a.mp4", "more/b.wav", ".hidden/c.mp4", "notes.txt"):
        system.pipe_file(f"/bucket/clips/{name}", b"content")
    yield system
    system.store.clear()


def read_rows(source: Any) -> list[dict[str, Any]]:
    rows = source.stream().take(100) if source.is_stream else source.rows(0, 100)
    found: list[dict[str, Any]] = rows.to_pylist()
    return found


# In a store


@pytest.mark.parametrize("streaming", [False, True])
def test_a_glob_of_tables(store: Any, streaming: bool) -> None:
    source = open_source("memory://bucket/rows/*.parquet", streaming=streaming)
    assert [row["n"] for row in read_rows(source)] == [0, 1, 2]
    assert source.name == "memory://bucket/rows/*.parquet"
    cells = source.tagger_cells(pa.chunked_array([["a.mp4", "s3://other/b.mp4"]]), 0)
    assert cells.to_pylist() == ["memory://bucket/rows/a.mp4", "s3://other/b.mp4"]


def test_rows_that_change_are_another_source(store: Any) -> None:
    before = open_source("memory://bucket/rows/1.parquet")
    assert open_source("memory://bucket/rows/1.parquet").fingerprint == before.fingerprint
    store.pipe_file("/bucket/rows/1.parquet", encode(video=["c.mp4"], n=[3]))
    after = open_source("memory://bucket/rows/1.parquet")
    assert after.fingerprint != before.fingerprint
    assert read_rows(after)[0]["n"] == 3


@pytest.mark.parametrize("name", ["memory://bucket/clips", "memory://bucket/clips/"])
def test_a_folder_of_clips(store: Any, name: str) -> None:
    source = open_source(name)
    assert [row["file_name"] for row in read_rows(source)] == ["a.mp4", "more/b.wav"]
    paths = [row["audio"]["path"] for row in read_rows(source)]
    assert paths == ["memory://bucket/clips/a.mp4", "memory://bucket/clips/more/b.wav"]


def test_a_folder_with_metadata(store: Any) -> None:
    store.pipe_file("/bucket/clips/more/metadata.csv", b"file_name,city\nb.wav,Oslo\nc.wav,Rome\n")
    rows = read_rows(open_source("memory://bucket/clips"))
    assert [(row["file_name"], row["city"]) for row in rows] == [
        ("more/b.wav", "Oslo"),
        ("more/c.wav", "Rome"),
    ]
    assert rows[0]["audio"]["path"] == "memory://bucket/clips/more/b.wav"
    store.pipe_file("/bucket/clips/more/metadata.csv", b"file_name\n../../secret.wav\n")
    with pytest.raises(SourceError, match=r"'\.\./\.\./secret\.wav' is not in the metadata file's folder"):
        open_source("memory://bucket/clips")


def test_a_glob_of_clips(store: Any) -> None:
    rows = read_rows(open_source("memory://bucket/clips/*.mp4"))
    assert [row["video"]["path"] for row in rows] == ["memory://bucket/clips/a.mp4"]


def test_the_tags_of_an_earlier_run_in_a_store_are_known(store: Any) -> None:
    first = tag_dataset(open_source("memory://bucket/rows/0.parquet"), "memory://bucket/out.parquet", TAGGER)
    assert first.rows == 2
    again = open_source("memory://bucket/out.parquet")
    ((column, makers),) = again.provenance.items()
    assert (column, [one and one.model for one in makers]) == ("video_audio_tags", ["demo"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("memory://bucket/none.parquet", "memory://bucket/none.parquet: there is no such file"),
        ("memory://bucket/none*.parquet", "no file has such a name"),
        ("memory://bucket/none", "there are no media files here, nor below"),
        ("memory://bucket/rows", r"To read its data files: 'memory://bucket/rows/\*\*/\*\.parquet'"),
        ("memory://bucket/clips/*.txt", "these cannot be read as one table"),
        ("nosuch://bucket/a.parquet", "nosuch://bucket cannot be opened"),
        ("ftp://me:word@127.0.0.1:1/clips/", "^ftp://127.0.0.1:1: the store cannot be reached"),
    ],
)
def test_what_is_not_there_is_told(store: Any, name: str, message: str) -> None:
    with pytest.raises(Exception, match=message) as error:
        open_source(name)
    assert not isinstance(error.value, OSError)


# On a web server


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    systems.make_system.cache_clear()
    with running(Site()) as site:
        yield site


def test_a_table_at_a_signed_address(site: Site) -> None:
    url = site.add("/rows.parquet?signature=secret", ranges(encode(video=["a.mp4"])))
    source = open_source(url)
    assert read_rows(source) == [{"video": "a.mp4"}]
    assert source.name == site.url("/rows.parquet")
    assert "secret" not in repr(source.base_folders)


def test_clips_at_signed_addresses_are_named_without_their_signatures() -> None:
    urls = [f"https://me:word@example.org/{name}.mp4?sig=secret{n}" for n, name in enumerate("aab")]
    rows = read_rows(open_source(urls))
    names = [f"https://example.org/{name}.mp4" for name in ("a", "a", "b")]
    assert [row["file_name"] for row in rows] == [names[0], f"{names[1]} (2)", names[2]]
    assert [row["video"]["path"] for row in rows] == urls
    assert "secret" not in open_source(urls[0]).name


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (404, "there is no such file"),
        (403, r"access is forbidden \(HTTP 403\)"),
        (503, "the server answers with HTTP 503; try again later"),
    ],
)
def test_what_a_server_refuses_is_told(site: Site, code: int, message: str) -> None:
    url = site.add("/rows.jsonl?signature=secret", status(code))
    with pytest.raises(SourceError, match=message) as error:
        open_source(url)
    assert "secret" not in str(error.value)
    with pytest.raises(SourceError, match="a web server does not list its files"):
        open_source(site.url("/clips/"))


def test_a_server_that_is_not_there_or_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systems, "SILENT_SECONDS", 0.3)
    systems.make_system.cache_clear()
    with socket.socket() as silent, socket.socket() as closed:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        closed.bind(("127.0.0.1", 0))
        for one in (silent, closed):
            with pytest.raises(SourceError, match="cannot be reached or does not answer"):
                open_source(f"http://127.0.0.1:{one.getsockname()[1]}/rows.parquet")
    systems.make_system.cache_clear()


def test_a_run_records_no_signature(site: Site, tmp_path: Path) -> None:
    url = site.add("/a.mp4?signature=secret", status(404))
    summary = tag_dataset(url, tmp_path, TAGGER)
    assert summary.failed == 1
    assert site.url("/a.mp4") in Path(str(summary.failures)).read_text()
    for path in (tmp_path / ".hf_audio_tagger").iterdir():
        assert "secret" not in path.read_text(errors="replace"), path.name
    assert "secret" not in repr(summary)
    assert "secret" not in pq.read_table(tmp_path / "data")["video_audio_error"].to_pylist()[0][0]
