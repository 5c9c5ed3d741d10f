"""The motion score: equal to what OpenCV's own reader gives, and to the peer's numbers on its clips."""

import io
import os
import pickle
import wave
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from datasets import Dataset, List, Value
from datasets.fingerprint import Hasher
from picture_files import HEIGHT, WIDTH, draw, rotate, write_pictures

from hf_audio_tagger import MediaError, SettingsError, motion_score
from hf_audio_tagger.measures import flow

cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
from opencv_motion import score_with_opencv  # noqa: E402  # it needs OpenCV

PEERS = {"video1": 1.869316979078576, "video3": 1.17314234636724, "video4": 5.4610755019717745}
VARIABLE = [0, 40, 60, 260, 280, 300, 380, 700, 740, 760, 800, 1000, 1040, 1300, 1500, 1540, 1580, 1660]

Make = Callable[[Path], Path]

KINDS: dict[str, dict[str, Any]] = {
    "a.mp4": {},
    "bframes.mov": {"options": {"preset": "veryfast", "bf": "3"}},
    "a.mkv": {"rate": Fraction(30000, 1001)},
    "vp9.webm": {"codec": "libvpx-vp9", "frames": 20},
    "ten_bit.mkv": {"pixels": "yuv420p10le"},
    "variable.mp4": {"frames": 18, "times": VARIABLE, "options": {"preset": "veryfast", "bf": "2"}},
    "variable.mkv": {"frames": 18, "times": VARIABLE, "options": {"g": "5"}},
    "one.mp4": {"frames": 1},
    "two.mp4": {"frames": 2},
    "three.mkv": {"frames": 3},
    "five.mp4": {"frames": 5},
    "slow.mp4": {"frames": 5, "rate": 1},
}
MORE: dict[str, dict[str, Any]] = {
    "vp8.webm": {"codec": "libvpx"},
    "hidden.webm": {
        "codec": "libvpx",
        "frames": 90,
        "options": {"deadline": "good", "auto-alt-ref": "1", "lag-in-frames": "16", "g": "30"},
    },
    "hevc.mp4": {"codec": "libx265"},
    "motion_jpeg.mov": {"codec": "mjpeg", "pixels": "yuvj420p"},
    "a.avi": {"codec": "mpeg4"},
    "a.flv": {},
    "bare.h264": {},
    "444.mp4": {"pixels": "yuv444p"},
    "gap.mp4": {"times": [40 * index + 3000 * (index > 20) for index in range(40)]},
    "late.mkv": {"times": [2000 + 40 * index for index in range(40)]},
    "fragmented.mp4": {"mux": {"movflags": "frag_keyframe+empty_moov"}},
    "fast.mp4": {"rate": 60},
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("motion") / "clip.mp4", 30)


@pytest.mark.parametrize("name", KINDS)
def test_scores_are_those_of_opencv(tmp_path: Path, name: str) -> None:
    path = write_pictures(tmp_path / name, **{"frames": 26, **KINDS[name]})
    assert motion_score().compute(path) == score_with_opencv(path)


@pytest.mark.campaign
@pytest.mark.parametrize("sampling_fps", [0.7, 2, 9.5, 1000])
@pytest.mark.parametrize("name", [*KINDS, *MORE])
def test_scores_of_more_kinds_and_rates(tmp_path: Path, name: str, sampling_fps: float) -> None:
    path = write_pictures(tmp_path / name, **{"frames": 40, **(KINDS | MORE)[name]})
    assert motion_score(sampling_fps=sampling_fps).compute(path) == score_with_opencv(path, sampling_fps)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_turned_pictures_are_compared_upright(tmp_path: Path, degrees: int) -> None:
    path = rotate(write_pictures(tmp_path / "a.mp4", 14), degrees)
    assert motion_score(relative=True).compute(path) == score_with_opencv(path, relative=True)


def test_a_truncated_video_is_scored_up_to_its_end(tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "a.mp4", 40, mux={"movflags": "faststart"})
    whole = motion_score(sampling_fps=6).compute(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    score = motion_score(sampling_fps=6).compute(path)
    assert score == score_with_opencv(path, 6) != whole


@pytest.mark.parametrize("sampling_fps", [0.5, 5, 24, 1000])
def test_any_sampling_rate(clip: Path, sampling_fps: float) -> None:
    """From the rate of the video on, the second frame is compared with itself, as the peer does."""
    assert motion_score(sampling_fps=sampling_fps).compute(clip) == score_with_opencv(clip, sampling_fps)


@pytest.mark.real_media
@pytest.mark.campaign
@pytest.mark.parametrize("name", PEERS)
def test_the_peers_clips_have_the_peers_numbers(real_media: Path, name: str) -> None:
    assert motion_score().compute(real_media / f"{name}.mp4") == PEERS[name]


def test_a_map_adds_a_typed_list(clip: Path, tmp_path: Path) -> None:
    one = write_pictures(tmp_path / "one.mp4", 1)
    text = tmp_path / "text.mp4"
    text.write_bytes(b"this is no video" * 100)
    rows = Dataset.from_dict({"videos": [[str(clip), str(one)], [], [str(text), str(clip)]]})
    expected = score_with_opencv(clip)
    with pytest.raises(MediaError, match=r"text\.mp4"):
        rows.map(motion_score())
    for options in ({}, {"batched": True}, {"num_proc": 2}):
        there = rows.map(motion_score(on_error="record"), **options)
        assert there["video_motion_score"][:] == [[expected, -1.0], [], [None, expected]]
        assert there.features["video_motion_score"] == List(Value("float64"))
        assert "text.mp4" in there["video_motion_score_error"][2][0]
    assert motion_score().compute(clip.read_bytes()) == expected


def test_sizes_are_those_of_a_resize_by_area(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default a frame keeps its shape; the peer squeezes it into the transposed size."""
    shapes = set()
    compute = flow.compute_flow
    monkeypatch.setattr(
        "hf_audio_tagger.measures.motion.compute_flow",
        lambda before, after: shapes.add(after.grey.shape) or compute(before, after),
    )
    for settings, shape in (
        ({"size": 48}, (48, 64)),
        ({"size": [60, 40]}, (40, 60)),
        ({"max_size": 64}, (48, 64)),
        ({"divisible": 10}, (90, 120)),
        ({"size": 48, "resize": "peer"}, (64, 48)),
        ({"size": [WIDTH, HEIGHT], "resize": "peer"}, (HEIGHT, WIDTH)),  # equal sizes are left alone
    ):
        motion_score(**settings).compute(clip)
        assert shapes == {shape}, settings
        shapes.clear()


def test_a_resized_score_is_the_flow_of_resized_frames(clip: Path) -> None:
    with av.open(str(clip)) as container:
        frames = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    greys = [
        cv2.cvtColor(cv2.resize(frames[place], (48, 64), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
        for place in (0, 1, 12, 24)
    ]
    scores = []
    for before, after in pairwise(greys):
        moved = cv2.calcOpticalFlowFarneback(before, after, None, 0.5, 3, 15, 3, 5, 1.2, 0)
        scores.append(float(np.mean(cv2.cartToPolar(moved[..., 0], moved[..., 1])[0]) / np.hypot(64, 48)))
    expected = np.mean(scores)
    assert motion_score(size=48, resize="peer", relative=True).compute(clip) == expected


def test_equal_frames_are_compared_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    still = [draw(0)] * 50
    path = write_pictures(tmp_path / "a.mkv", 50, codec="ffv1", pictures=still)
    expected = score_with_opencv(path, 1000)
    computed = []
    compute = flow.compute_flow
    monkeypatch.setattr(
        "hf_audio_tagger.measures.motion.compute_flow",
        lambda *pair: computed.append(pair) or compute(*pair),
    )
    assert motion_score(sampling_fps=1000).compute(path) == expected
    assert len(computed) == 1


def test_the_cores_may_be_any_number(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = cv2.getNumThreads()
    scores = []
    for cores in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", cores)
        scores.append(motion_score(sampling_fps=9).compute(clip))
    assert scores[0] == scores[1]
    assert cv2.getNumThreads() == threads


def test_sound_without_pictures_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(4000))
    with pytest.raises(MediaError, match=r"a\.wav: it has no video stream\."):
        motion_score().compute(path)
    with pytest.raises(MediaError, match="it is sound without a file, and has no pictures"):
        motion_score().compute({"array": [0.0, 0.1], "sampling_rate": 8000})


def test_the_time_for_one_video_is_limited(clip: Path) -> None:
    with pytest.raises(MediaError, match=r"its pictures take longer than 1e-06 s, the limit for one video"):
        motion_score(max_seconds=1e-6).compute(clip)


def test_settings_are_checked_hashed_and_pickled() -> None:
    for settings, message in (
        ({"sampling_fps": 0}, "sampling_fps must be a number above 0; got 0."),
        ({"size": 0}, "size must be a whole number of pixels, a list of one or two of them, or None; got 0."),
        ({"size": [1, 2, 3]}, "got [1, 2, 3]."),
        ({"max_size": 1.5}, "max_size must be a whole number of at least 1, or None; got 1.5."),
        ({"divisible": 0}, "divisible must be a whole number of at least 1; got 0."),
        ({"relative": 1}, "relative must be True or False; got 1."),
        ({"resize": "fit"}, "resize must be one of 'aspect', 'peer'; got 'fit'."),
    ):
        with pytest.raises(SettingsError) as caught:
            motion_score(**settings)
        assert str(caught.value).endswith(message)
    measure = motion_score(sampling_fps=3, size=[48, 64])
    assert pickle.loads(pickle.dumps(measure)) == measure == motion_score(sampling_fps=3.0, size=(48, 64))
    assert Hasher.hash(motion_score(sampling_fps=2)) == Hasher.hash(motion_score())
    assert len({Hasher.hash(one) for one in (measure, motion_score(), motion_score(resize="peer"))}) == 3


def test_a_frame_may_be_resized_to_nothing_or_beyond_all_bounds(clip: Path) -> None:
    with pytest.raises(MediaError, match="would have a side of 0 pixels"):
        motion_score(divisible=1000).compute(clip)
    with pytest.raises(MediaError, match="too large"):
        motion_score(size=30_000).compute(clip)


def test_no_file_of_opencv_is_used(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV's reader opens playlists and addresses; frames come from the guarded container alone."""
    monkeypatch.setattr(cv2, "VideoCapture", None)
    playlist = f"ffconcat version 1.0\nfile {os.path.basename(clip)}\n".encode()
    with pytest.raises(MediaError, match="playlist"):
        motion_score().compute(playlist)
    assert motion_score().compute(io.BytesIO(clip.read_bytes()).getvalue()) > 0
