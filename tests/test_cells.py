"""Every kind of cell that a dataset may hold, through the tagger."""

import functools
import http.server
import json
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Audio, Dataset, Features, IterableDataset, List, Value, Video, load_dataset
from datasets.features import video as video_feature

from hf_audio_tagger import build_tagger, export_predictions
from hf_audio_tagger.cells import NULL_MEDIA, SamplesMedia, parse_cell
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.demo.videos import write_video
from hf_audio_tagger.errors import ColumnError, MediaError
from hf_audio_tagger.media.decoders import unavailable_reason
from hf_audio_tagger.runs import tag_dataset

NAMES = ("Siren", "White noise", "Dial tone")
needs_torchcodec = pytest.mark.skipif(
    bool(unavailable_reason("torchcodec")), reason="torchcodec does not load"
)
STORED = {"bytes": Value("binary"), "path": Value("string")}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("cells")
    for place, name in enumerate(NAMES):
        write_video(folder / f"{place}.mp4", synthesize(name, 3.0, 44_100, 11), 44_100)
    return [str(folder / f"{place}.mp4") for place in range(len(NAMES))]


@pytest.fixture(scope="module")
def contents(files: list[str]) -> list[bytes]:
    return [Path(file).read_bytes() for file in files]


@pytest.fixture(scope="module")
def sounds() -> list[dict[str, Any]]:
    return [{"array": synthesize(name, 3.0, 16_000, 11), "sampling_rate": 16_000} for name in NAMES]


def tags(dataset: Any, **settings: Any) -> list[list[str]]:
    mapped = dataset.map(build_tagger("demo", **settings))
    return [row["video_audio_tags"] for row in mapped.remove_columns([dataset.column_names[0]])]


EACH = [[name] for name in NAMES]


def table(column: str, values: list[Any], feature: Any) -> Dataset:
    return Dataset.from_dict({column: values}, features=Features({column: feature}))


@pytest.fixture
def undecodable(monkeypatch: pytest.MonkeyPatch) -> None:
    """datasets may not decode anything."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("datasets decoded a cell")

    monkeypatch.setattr(video_feature.Video, "decode_example", refuse)
    monkeypatch.setattr(Audio, "decode_example", refuse)


@pytest.mark.usefixtures("undecodable")
@pytest.mark.parametrize("feature", [Video(), Video(decode=False), Audio(), Value("string"), STORED])
def test_paths_in_every_kind_of_column(files: list[str], feature: Any) -> None:
    is_struct = feature is STORED
    values = [{"path": file, "bytes": None} for file in files] if is_struct else files
    assert tags(table("audio" if isinstance(feature, Audio) else "video", values, feature)) == EACH


@pytest.mark.usefixtures("undecodable")
@pytest.mark.parametrize("feature", [Video(), Audio(), STORED, Value("binary")])
def test_bytes_in_every_kind_of_column(contents: list[bytes], feature: Any) -> None:
    is_binary = isinstance(feature, Value)
    values = contents if is_binary else [{"path": "x.mp4", "bytes": content} for content in contents]
    assert tags(table("video", values, feature)) == EACH


@pytest.mark.usefixtures("undecodable")
@pytest.mark.parametrize("feature", [Video(), Value("string")])
def test_lists_give_a_tag_each_in_order(files: list[str], feature: Any) -> None:
    values = [[files[0], files[2]], [], None, [files[1]]]
    expected = [["Siren", "Dial tone"], [], [], ["White noise"]]
    assert tags(table("videos", values, List(feature))) == expected


@pytest.mark.usefixtures("undecodable")
def test_batches_of_undecoded_cells(files: list[str]) -> None:
    dataset = table("video", [*files, None], Video())
    mapped = dataset.map(build_tagger("demo"), batched=True, batch_size=2)
    assert mapped["video_audio_tags"][:] == [*EACH, []]


def test_samples_in_structs(sounds: list[dict[str, Any]]) -> None:
    feature = {"array": List(Value("float32")), "sampling_rate": Value("int64")}
    assert tags(table("audio", sounds, feature)) == EACH


def test_bare_values(files: list[str], contents: list[bytes], sounds: list[dict[str, Any]]) -> None:
    tagger = build_tagger("demo")
    for values in (
        files,
        [Path(file) for file in files],
        contents,
        [bytearray(content) for content in contents],
        [memoryview(content) for content in contents],
        [{"path": file} for file in files],
        [{"bytes": content} for content in contents],
        [{"path": file, "bytes": content} for file, content in zip(files, contents, strict=True)],
        sounds,
        [{**sound, "array": np.stack([sound["array"]] * 2)} for sound in sounds],
        [{**sound, "array": np.stack([sound["array"]] * 2, axis=1)} for sound in sounds],
        [{**sound, "array": sound["array"].astype(np.float64).tolist()} for sound in sounds],
        ["file://" + file for file in files],
    ):
        assert [tagger.tag(value) for value in values] == list(NAMES)
        assert tagger.tag(values) == list(NAMES)
    assert tagger.tag(np.array(files, dtype=object)) == list(NAMES)
    assert tagger.tag(None) == []
    assert tagger.tag([]) == []


@needs_torchcodec
def test_decoder_objects(files: list[str], contents: list[bytes]) -> None:
    from torchcodec.decoders import AudioDecoder

    tagger = build_tagger("demo")
    assert tagger.tag([AudioDecoder(file) for file in files]) == list(NAMES)
    assert tagger.tag(AudioDecoder(contents[1])) == "White noise"
    assert tagger.tag([row["video"] for row in table("video", files, Video())]) == list(NAMES)
    assert tagger.tag([row["audio"] for row in table("audio", files, Audio())]) == list(NAMES)


@needs_torchcodec
def test_frames_without_a_source_are_refused_with_advice(files: list[str]) -> None:
    from torchcodec.decoders import VideoDecoder

    for cell in (VideoDecoder(files[0]), np.zeros((2, 3, 48, 64), np.uint8)):
        with pytest.raises(ColumnError, match=r"with_format\(None\).*decode\(False\)"):
            build_tagger("demo").tag(cell)


@needs_torchcodec
@pytest.mark.parametrize("format_name", ["numpy", "torch"])
@pytest.mark.parametrize("kind", ["Video", "Audio", "string", "list"])
def test_formats_that_decode_first(files: list[str], format_name: str, kind: str) -> None:
    column, values, feature = {
        "Video": ("video", files, Video()),
        "Audio": ("audio", files, Audio()),
        "string": ("video", files, Value("string")),
        "list": ("videos", [[file] for file in files], List(Video())),
    }[kind]
    dataset = table(column, values, feature).with_format(format_name)
    mapped = dataset.map(build_tagger("demo", batched=False)).with_format(None)
    assert mapped["video_audio_tags"][:] == EACH


@needs_torchcodec
def test_streaming(files: list[str]) -> None:
    tagger = build_tagger("demo")
    for feature in (Video(), Value("string"), Video(decode=False)):
        stream = table("video", files, feature).to_iterable_dataset()
        assert [row["video_audio_tags"] for row in stream.map(tagger)] == EACH
    stream = table("video", files, Video()).to_iterable_dataset().decode(False)
    assert [row["video_audio_tags"] for row in stream.map(tagger)] == EACH
    made = IterableDataset.from_generator(lambda: ({"video": file} for file in files))
    assert [row["video_audio_tags"] for row in made.map(tagger)] == EACH


@needs_torchcodec
def test_streaming_a_broken_file(files: list[str], tmp_path: Path) -> None:
    """datasets itself fails on it before the tagger is called; with decode(False) the tagger may say so."""
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video" * 100)
    stream = table("video", [files[0], str(broken)], Video()).to_iterable_dataset()
    tagger = build_tagger("demo", on_error="record")
    with pytest.raises(RuntimeError, match=r"(?i)invalid data"):
        list(stream.map(tagger))
    rows = list(stream.decode(False).map(tagger))
    assert rows[0]["video_audio_tags"] == ["Siren"]
    assert rows[1]["video_audio_tags"] == [None]
    assert "broken.mp4" in rows[1]["video_audio_error"][0]


@pytest.mark.parametrize("feature", [Video(decode=False), Value("string")])
def test_input_columns(files: list[str], feature: Any) -> None:
    dataset = table("video", files, feature)
    assert dataset.map(build_tagger("demo"), input_columns="video")["video_audio_tags"][:] == EACH
    mapped = dataset.map(build_tagger("demo", batched=True), input_columns="video", batched=True)
    assert mapped["video_audio_tags"][:] == EACH


@needs_torchcodec
def test_input_columns_of_decoders(files: list[str]) -> None:
    mapped = table("video", files, Video()).map(build_tagger("demo"), input_columns="video")
    assert mapped["video_audio_tags"][:] == EACH


def test_an_edited_row_counts_as_edited(files: list[str]) -> None:
    tagger = build_tagger("demo")

    def edit_and_tag(row: Any) -> Any:
        row["video"] = files[2]
        return tagger(row)

    mapped = table("video", [files[0]], Value("string")).map(edit_and_tag)
    assert mapped[0] == {"video": files[2], "video_audio_tags": ["Dial tone"]}


class Handler(http.server.SimpleHTTPRequestHandler):
    """A folder over HTTP, with ranges: fsspec seeks."""

    sent = 0

    def do_GET(self) -> None:
        data = Path(self.translate_path(self.path)).read_bytes()
        first, _, last = (
            self.headers.get("Range", f"bytes=0-{len(data) - 1}").removeprefix("bytes=").partition("-")
        )
        part = data[int(first) : int(last or len(data) - 1) + 1]
        type(self).sent += len(part)
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}")
        self.end_headers()
        self.wfile.write(part)

    def do_HEAD(self) -> None:
        path = Path(self.translate_path(self.path))
        self.send_response(200 if path.is_file() else 404)
        self.send_header("Content-Length", str(path.stat().st_size if path.is_file() else 0))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site(files: list[str]) -> Iterator[str]:
    handler = functools.partial(Handler, directory=str(Path(files[0]).parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "decoder", ["auto", "pyav", pytest.param("torchcodec", marks=needs_torchcodec), "decord"]
)
def test_urls(site: str, decoder: str) -> None:
    if decoder == "decord" and unavailable_reason("decord"):
        pytest.skip("decord does not load")
    tagger = build_tagger("demo", decoder=decoder)
    assert tagger.tag([f"{site}/{place}.mp4" for place in range(3)]) == list(NAMES)


@pytest.mark.timeout(60)
def test_a_url_in_a_column_and_one_that_is_not_there(site: str) -> None:
    dataset = table("video", [f"{site}/0.mp4", f"{site}/missing.mp4"], Video())
    mapped = dataset.map(build_tagger("demo", on_error="record"))
    assert mapped["video_audio_tags"][:] == [["Siren"], [None]]
    assert "missing.mp4" in mapped["video_audio_error"][1][0]


@pytest.mark.timeout(60)
def test_only_the_beginning_is_fetched(site: str, files: list[str]) -> None:
    long = Path(files[0]).parent / "long.wav"
    import wave

    with wave.open(str(long), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(bytes(48_000 * 4 * 240))
    Handler.sent = 0
    assert build_tagger("demo", windows="first").tag(f"{site}/long.wav") == "Silence"
    assert Handler.sent < 0.4 * long.stat().st_size


def test_what_no_cell_can_be() -> None:
    for cell in (3, 0.5, object(), {"url": "x"}, np.zeros(5), [1.0, 2.0]):
        with pytest.raises(ColumnError, match=r"no video or sound"):
            parse_cell(cell)
    assert parse_cell(None) == []
    assert parse_cell({"path": None, "bytes": None}) == []
    assert parse_cell([None]) == [NULL_MEDIA]
    assert parse_cell({"array": None, "sampling_rate": 16_000}) == [NULL_MEDIA]


@pytest.mark.parametrize(
    "sound",
    [
        {"array": [], "sampling_rate": 16_000},
        {"array": [0.0] * 100, "sampling_rate": 0},
        {"array": [0.0] * 100, "sampling_rate": None},
        {"array": [0.0] * 100, "sampling_rate": 10**9},
        {"array": [0.0, np.nan] * 8_000, "sampling_rate": 16_000},
        {"array": [0.0, np.inf] * 8_000, "sampling_rate": 16_000},
        {"array": ["a", "b"], "sampling_rate": 16_000},
        {"array": np.zeros((2, 2, 2)), "sampling_rate": 16_000},
    ],
)
def test_samples_that_are_no_sound(sound: dict[str, Any]) -> None:
    assert isinstance(parse_cell(sound)[0], SamplesMedia)
    with pytest.raises(MediaError, match=r"<samples>: "):
        build_tagger("demo").tag(sound)


WRONG: list[tuple[Any, str]] = [
    ({"path": "x.mp4", "bytes": "text"}, r"x\.mp4: 'bytes' must be the bytes of a file; got str"),
    ({"path": "x.mp4", "bytes": 5}, r"x\.mp4: 'bytes' must be .* got int"),
    ({"path": "x.mp4", "bytes": [1, 2]}, r"x\.mp4: 'bytes' must be .* got list"),
    ({"path": 5}, r"<path>: 'path' must be a text; got int"),
    ({"path": 5, "bytes": b"x"}, r"<path>: 'path' must be a text; got int"),
    ({"path": np.array(["a", "b"])}, r"'path' must be a text; got ndarray"),
    ({"path": ["a.mp4"], "bytes": None}, r"'path' must be a text; got list"),
    ({"array": [[0.0], [0.0, 1.0]], "sampling_rate": 16_000}, r"<samples>: 'array' must be an array"),
    ({"array": [0.0] * 9, "sampling_rate": "fast"}, r"'sampling_rate' must be a whole number.*'fast'"),
    ({"array": [0.0] * 9, "sampling_rate": [16_000, 8_000]}, r"'sampling_rate' must be a whole number"),
    ({"array": [0.0] * 9, "sampling_rate": {}}, r"'sampling_rate' must be a whole number"),
    ({"array": [0.0] * 9, "sampling_rate": np.zeros(2)}, r"'sampling_rate' must be a whole number"),
    ({"array": [0.0] * 9, "sampling_rate": np.nan}, r"'sampling_rate' must be a whole number.*nan"),
    ({"array": [0.0] * 9, "sampling_rate": np.inf}, r"'sampling_rate' must be a whole number.*inf"),
    ({"array": [0.0] * 9, "sampling_rate": 16_000.5}, r"'sampling_rate' must be a whole number.*16000\.5"),
]
NO_SOUND: list[tuple[Any, str]] = [
    ({"array": "text", "sampling_rate": 16_000}, r"<samples>: samples must be numbers"),
    ({"array": 5, "sampling_rate": 16_000}, r"<samples>: samples must be numbers"),
    ({"array": {"a": 1}, "sampling_rate": 16_000}, r"<samples>: samples must be numbers"),
    ({"array": [None, 0.5], "sampling_rate": 16_000}, r"<samples>: samples must be numbers"),
    ({"array": np.array([0.0, "x"], object), "sampling_rate": 16_000}, r"<samples>: samples must be numbers"),
    ({"array": [1j] * 9, "sampling_rate": 16_000}, r"<samples>: samples must be numbers"),
    ({"array": [0.0] * 9, "sampling_rate": True}, r"sample rate must be"),
    ({"array": [0.0] * 9, "sampling_rate": -16_000}, r"sample rate must be .* got -16000"),
    ({"array": [0.0] * 9, "sampling_rate": 0, "path": 7}, r"<samples>: its sample rate must be .* got 0"),
    ({"array": [0.0] * 9, "sampling_rate": 0, "path": "a.wav"}, r"^a\.wav: its sample rate must be .* got 0"),
    ({"path": "", "bytes": None}, ""),
    ({"path": "a\0b.mp4"}, r"null"),
    ({"path": "/" + "a" * 300}, r"name too long"),
    (b"", r"<bytes>: it is empty \(0 bytes\)"),
]


@pytest.mark.parametrize(("cell", "reason"), [*WRONG, *NO_SOUND], ids=lambda value: repr(value)[:40])
def test_a_cell_that_is_no_video_is_one_rows_error(files: list[str], cell: Any, reason: str) -> None:
    tagger = build_tagger("demo", on_error="record", batched=True)
    tagged = tagger({"video": [files[0], cell, [files[2], cell, None], files[1], None]})
    assert tagged["video_audio_tags"] == [
        ["Siren"],
        [None],
        ["Dial tone", None, None],
        ["White noise"],
        [],
    ]
    recorded = [tagged["video_audio_error"][1][0], tagged["video_audio_error"][2][1]]
    assert re.search(reason, recorded[0], re.IGNORECASE)
    assert recorded[0] == recorded[1]
    alone = build_tagger("demo", on_error="record", batched=False)({"video": cell})
    assert alone["video_audio_tags"] == [None]
    kind = ColumnError if any(cell is wrong for wrong, _ in WRONG) else MediaError
    with pytest.raises(kind, match=f"(?i){reason}"):
        build_tagger("demo").tag(cell)


@pytest.mark.parametrize("cell", [3, 0.5, True, object(), {"url": "x"}, np.zeros(5), [1.0, 2.0], [["a.mp4"]]])
def test_a_foreign_cell_among_videos_is_one_rows_error(files: list[str], cell: Any) -> None:
    tagger = build_tagger("demo", on_error="record", batched=True)
    tagged = tagger({"video": [cell, files[0], None, cell]})
    assert tagged["video_audio_tags"] == [[None], ["Siren"], [], [None]]
    assert "is no video or sound" in tagged["video_audio_error"][0][0]
    with pytest.raises(ColumnError, match="is no video or sound"):
        build_tagger("demo", batched=True)({"video": [files[0], cell]})


def test_a_foreign_value_beside_videos_is_its_own_error(files: list[str]) -> None:
    results = build_tagger("demo", on_error="record").classify([files[0], 5, None, files[1]])
    assert [result.tag for result in results] == ["Siren", None, None, "White noise"]
    assert "type int is no video or sound" in str(results[1].error)


@pytest.mark.parametrize("on_error", ["raise", "record"])
def test_a_column_of_no_videos_is_told_at_once(on_error: str) -> None:
    """Whatever is done about single rows: a wrong column is a mistake, and every row would be recorded."""
    for values in ([1, 2], [None, 1], [[1.0], []], [{"a": 1}, {"a": 2}]):
        with pytest.raises(ColumnError, match="is no video or sound"):
            build_tagger("demo", batched=True, on_error=on_error)({"video": values})
    with pytest.raises(ColumnError, match="type int is no video"):
        Dataset.from_dict({"video": [1, 2]}).map(build_tagger("demo", on_error=on_error))


def test_a_recorded_cell_can_be_written(files: list[str]) -> None:
    """Names that are no UTF-8 are told as Arrow can hold them, whatever form they came in."""
    name = "lat\udce9in.mp4"
    rows = [
        {"video": files[0]},
        {"video": {"path": name, "bytes": b"no video"}},
        {"video": {"path": name, "bytes": "text"}},
        {"video": {"path": os.fsencode(name), "bytes": None}},
        {"video": {"array": [0.0], "sampling_rate": 0, "path": name}},
        {"video": 3},
    ]
    tagger = build_tagger("demo", on_error="record", batched=True)
    tagged = tagger({"video": [row["video"] for row in rows]})
    errors = tagged["video_audio_error"]
    assert [len(error) for error in errors] == [1] * len(rows)
    assert errors[0] == [None]
    assert all("lat\\udce9in.mp4" in error[0] for error in errors[1:5])
    assert Dataset.from_dict({"error": errors})["error"][:] == errors


def test_rates_of_any_library() -> None:
    for rate in (
        16_000,
        16_000.0,
        np.int64(16_000),
        np.float32(16_000),
        np.array(16_000),
    ):
        media = parse_cell({"array": [0.0] * 9, "sampling_rate": rate})[0]
        assert isinstance(media, SamplesMedia)
        assert media.rate_hz == 16_000
        assert type(media.rate_hz) is int


# Cells of mixed kinds, which `datasets` keeps as JSON


@pytest.fixture
def mixed(files: list[str], tmp_path: Path) -> Path:
    """Rows as a JSON Lines file may have them, some cells of which no video can be."""
    name = os.path.relpath(files[0], tmp_path)
    cells = [name, {"x": 1}, None, {"path": files[0]}, 5, [name], [7]]
    lines = [json.dumps({"id": f"row {row}", "video": cell}) for row, cell in enumerate(cells)]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    return tmp_path / "rows.jsonl"


def test_a_bad_cell_makes_no_other_cell_of_a_run_bad(mixed: Path) -> None:
    tagger = build_tagger("demo", on_error="record", batch_size=1, device="cpu")
    dest = mixed.with_name("tagged.jsonl")
    assert tag_dataset(mixed, dest, tagger).failed == 3
    given, made = ([json.loads(line) for line in path.read_text().splitlines()] for path in (mixed, dest))
    heard, failed = ["Siren"], [None]
    assert [row["video_audio_tags"] for row in made] == [heard, failed, [], heard, failed, heard, failed]
    assert [row["video"] for row in made] == [row["video"] for row in given]
    assert made[1]["video_audio_error"][0].startswith('{"x":1}: A cell of type dict is no video')


def test_a_bad_cell_makes_no_other_cell_of_a_collection_bad(mixed: Path) -> None:
    tagger = build_tagger("demo", on_error="record", device="cpu")
    labelled = export_predictions(mixed, mixed.with_name("labelled"), tagger=tagger, id_column="id")
    assert (labelled.labelled, labelled.failed) == (3, 3)


@pytest.mark.parametrize("batched", [True, False])
def test_a_bad_cell_makes_no_other_cell_of_a_map_bad(mixed: Path, files: list[str], batched: bool) -> None:
    mixed.write_text(mixed.read_text().replace(os.path.relpath(files[0], mixed.parent), files[0]))
    rows = load_dataset("json", data_files=str(mixed), split="train")
    tagged = rows.map(build_tagger("demo", on_error="record", device="cpu"), batched=batched)
    heard, failed = ["Siren"], [None]
    assert tagged["video_audio_tags"][:] == [heard, failed, [], heard, failed, heard, failed]
