"""Frames of untrusted videos: those that OpenCV reads after a seek, and files that would take all memory."""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from picture_files import write_pictures

from hf_audio_tagger.cells import BytesMedia, FileMedia
from hf_audio_tagger.errors import MediaError
from hf_audio_tagger.media import frames as frames_module
from hf_audio_tagger.media.frames import Pictures, open_pictures
from hf_audio_tagger.media.opencv_seek import find_read_frames

pytestmark = pytest.mark.timeout(60)

BITS, SQUARE = 10, 16  # of a frame's number, as squares of black and white


def draw_number(number: int) -> np.ndarray:
    rows = np.array([[number >> bit & 1 for bit in range(row, row + 5)] for row in (0, 5)], np.uint8)
    return np.repeat(np.kron(255 * rows, np.ones((SQUARE, SQUARE), np.uint8))[..., None], 3, axis=2)


def read_number(picture: np.ndarray) -> int:
    squares = picture[..., 1].reshape(2, SQUARE, 5, SQUARE).mean(axis=(1, 3)).ravel() > 128
    return int(sum(1 << bit for bit in range(BITS) if squares[bit]))


def write_numbers(path: Path, seed: int, options: dict[str, str]) -> Path:
    """A video of a variable rate, with gaps of up to a second; each frame shows its number."""
    random = np.random.default_rng(seed)
    count = int(random.integers(30, 90))
    times = np.cumsum(random.choice([20, 33, 40, 80, 200, 1000], count))
    late = random.choice([0, 500])
    return write_pictures(
        path,
        count,
        times=(times - times[0] + late).tolist(),
        options={"preset": "veryfast", "crf": "30", **options},
        size=(5 * SQUARE, 2 * SQUARE),
        pictures=[draw_number(number) for number in range(count)],
    )


SEEKS = [
    ("mp4", 1, {"bf": "0", "g": "12"}),
    ("mp4", 2, {"bf": "3", "g": "5"}),
    ("mov", 3, {"bf": "2", "g": "12"}),
    ("mkv", 4, {"bf": "3", "g": "12"}),
    ("mkv", 5, {"bf": "1", "g": "5"}),
]
MORE_SEEKS = [
    (ending, seed, {"bf": str(seed % 4), "g": str((5, 12, 40, 250)[seed // 3 % 4])})
    for seed in range(10, 34)
    for ending in ("mp4", "mkv")
]


@pytest.mark.parametrize(
    ("ending", "seed", "options"),
    [*SEEKS, *(pytest.param(*one, marks=pytest.mark.campaign) for one in MORE_SEEKS)],
)
def test_frames_are_those_that_opencv_reads_after_a_seek(
    tmp_path: Path, ending: str, seed: int, options: dict[str, str]
) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    path = write_numbers(tmp_path / f"a.{ending}", seed, options)
    with open_pictures(FileMedia(str(path))) as pictures:
        count, rate = pictures.frame_count, pictures.rate
        ours = list(find_read_frames(pictures, range(count)))
        written = len(list(rewound(pictures).frames()))
    capture = cv2.VideoCapture(str(path))
    assert (capture.get(cv2.CAP_PROP_FPS), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))) == (rate, count)
    capture.read()
    for wanted in range(0, count, max(1, count // 60)):
        capture.set(cv2.CAP_PROP_POS_FRAMES, wanted)
        is_read, picture = capture.read()
        assert (read_number(picture) if is_read else None) == (
            ours[wanted] if ours[wanted] < written else None
        )
    capture.release()


def rewound(pictures: Pictures) -> Pictures:
    pictures.rewind()
    return pictures


def test_frames_at_places_are_found_forwards_and_backwards(tmp_path: Path) -> None:
    path = write_numbers(tmp_path / "a.mp4", 7, {"bf": "2", "g": "12"})
    places = [3, 3, 20, 5, 0, 29, 1]
    with open_pictures(FileMedia(str(path))) as pictures:
        numbers = [read_number(frame.to_ndarray(format="rgb24")) for frame in pictures.frames_at(places)]
        assert numbers == places
        assert list(pictures.frames_at([5000])) == []
    with open_pictures(BytesMedia(path.read_bytes())) as pictures:
        [frame] = pictures.frames_at([20])
        assert read_number(frame.to_ndarray(format="rgb24")) == 20


@pytest.fixture(scope="module")
def jpegs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("jpegs")
    return write_pictures(folder / "a.avi", 5, codec="mjpeg", pixels="yuvj420p", size=(64, 48))


def patch_size(data: bytes, old: tuple[int, int], new: tuple[int, int], form: str) -> bytes:
    """Replace every width and height in a file, packed as `form`."""
    assert struct.pack(form, *old) in data
    return data.replace(struct.pack(form, *old), struct.pack(form, *new))


def make_wild_avi(path: Path) -> bytes:
    """Sizes in the container and in every picture."""
    data = patch_size(path.read_bytes(), (64, 48), (60_000, 60_000), "<II")
    return patch_size(data, (48, 64), (60_000, 60_000), ">HH")


def make_wild_pictures(path: Path) -> bytes:
    """A small size in the container, large ones in the pictures: about 3.6 billion pixels each."""
    return patch_size(path.read_bytes(), (48, 64), (60_000, 60_000), ">HH")


def make_wild_gif(_: Path) -> bytes:
    """One picture of 4 billion pixels, of which nothing follows but its colours."""
    return b"GIF89a" + struct.pack("<HHBBB", 65_000, 65_000, 0xF0, 0, 0) + bytes(6) + GIF_PICTURE


def make_growing_picture(path: Path) -> bytes:
    """Only the last picture states a size that takes gigabytes."""
    data = path.read_bytes()
    place = data.rindex(struct.pack(">HH", 48, 64))
    return data[:place] + struct.pack(">HH", 20_000, 20_000) + data[place + 4 :]


GIF_PICTURE = b"," + struct.pack("<HHHHB", 0, 0, 65_000, 65_000, 0) + b"\x02\x02L\x01\x00;"

WILD: dict[str, Callable[[Path], bytes]] = {
    "container": make_wild_avi,
    "pictures": make_wild_pictures,
    "gif": make_wild_gif,
}


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Less than a picture of a bomb would take."""
    resource = pytest.importorskip("resource")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + (600 << 20), limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("kind", WILD)
def test_a_bomb_of_pixels_is_refused_before_it_is_decoded(jpegs: Path, kind: str) -> None:
    is_refused = pytest.raises(MediaError, match=r"bomb: no frame of it can be decoded \(.*too many")
    with open_pictures(BytesMedia(WILD[kind](jpegs), "bomb")) as pictures, is_refused:
        next(pictures.frames())


@pytest.mark.usefixtures("little_memory")
def test_a_picture_that_grows_is_left_out(jpegs: Path) -> None:
    with open_pictures(BytesMedia(make_growing_picture(jpegs))) as pictures:
        assert [frame.width for frame in pictures.frames()] == [64] * 4


def test_a_stream_that_changes_its_size_is_an_error(tmp_path: Path, jpegs: Path) -> None:
    data = jpegs.read_bytes()
    place = data.rindex(struct.pack(">HH", 48, 64))
    smaller = data[:place] + struct.pack(">HH", 32, 32) + data[place + 4 :]
    is_refused = pytest.raises(MediaError, match=r"a\.avi: its frames change their size")
    with open_pictures(BytesMedia(smaller, "a.avi")) as pictures, is_refused:
        list(pictures.frames())


@pytest.mark.parametrize("streams", [300, 3000])
def test_thousands_of_streams_end_in_time(tmp_path: Path, streams: int) -> None:
    """FFmpeg opens a thousand."""
    data = write_pictures(tmp_path / "a.mp4", 1).read_bytes()
    header, track = data.index(b"moov") - 4, data.index(b"trak") - 4
    [track_bytes] = struct.unpack(">I", data[track : track + 4])
    tracks = data[track : track + track_bytes] * streams
    movie = data[header:track] + tracks + data[track + track_bytes :]
    movie = struct.pack(">I", len(movie)) + movie[4:]
    path = tmp_path / "many.mp4"
    path.write_bytes(data[:header] + movie)
    if streams > 1000:
        with (
            pytest.raises(MediaError, match="more memory or more streams"),
            open_pictures(FileMedia(str(path))),
        ):
            pass
        return
    with open_pictures(FileMedia(str(path))) as pictures:
        assert len(list(pictures.frames())) == 1


def test_a_count_of_billions_of_frames_costs_nothing(tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "a.mp4", 5)
    with open_pictures(FileMedia(str(path))) as pictures:
        places = find_read_frames(pictures, range(10**12))
        assert len(list(pictures.frames_at(places))) == 5


def test_the_time_that_pictures_may_take_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_pictures(tmp_path / "a.mp4", 30)
    clock = iter(range(1000))
    monkeypatch.setattr(frames_module.time, "monotonic", lambda: float(next(clock)))
    is_refused = pytest.raises(MediaError, match=r"a\.mp4: its pictures take longer than 10 s")
    with open_pictures(FileMedia(str(path)), longest_seconds=10) as pictures, is_refused:
        list(pictures.frames())


@pytest.mark.parametrize("text", [b"ffconcat version 1.0\nfile a.mp4\n", b"#EXTM3U\nhttp://127.0.0.1/a.ts\n"])
def test_playlists_are_refused(text: bytes) -> None:
    with pytest.raises(MediaError, match="playlist"), open_pictures(BytesMedia(text)):
        pass
