"""Every form of a video or sound that a cell may hold, through the tagger."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Audio, Dataset, Features, IterableDataset, List, Value, Video
from datasets.features import video as video_feature
from small_clips import write_clips

from hf_audio_tagger import build_tagger
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.errors import ColumnError
from hf_audio_tagger.media.decoders import unavailable_reason

NAMES = ("Siren", "White noise", "Dial tone")
needs_torchcodec = pytest.mark.skipif(
    bool(unavailable_reason("torchcodec")), reason="torchcodec does not load"
)
STORED = {"bytes": Value("binary"), "path": Value("string")}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return write_clips(tmp_path_factory.mktemp("cells"), NAMES)


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
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
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
    assert (
        "missing.mp4: it could not be opened: it was not found (HTTP 404)"
        in (mapped["video_audio_error"][1][0])
    )


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
