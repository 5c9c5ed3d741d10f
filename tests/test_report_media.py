"""Clips in a report: linked, as previews, with posters and peaks; missing and broken ones stop nothing."""

import base64
import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from datasets import Dataset, Features, List, Value
from report_files import Report, unpack

from hf_audio_tagger import report
from hf_audio_tagger.demo.videos import write_video

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video, one without sound, a sound that is louder in its second half, and no media at all."""
    folder = tmp_path_factory.mktemp("clips")
    quiet = np.full(RATE_HZ, 0.25, np.float32)
    sound = np.concatenate([quiet, 2 * quiet])
    write_video(folder / "seen & heard.mp4", sound, RATE_HZ)
    write_video(folder / "silent.mp4", None, RATE_HZ)
    with av.open(str(folder / "loud.wav"), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono")
        frame = av.AudioFrame.from_ndarray(sound[None], format="flt", layout="mono")
        frame.rate = RATE_HZ
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    (folder / "broken.mp4").write_bytes(b"no video at all" * 100)
    return folder


def tag(paths: list[Any], **columns: list[Any]) -> Dataset:
    return Dataset.from_dict({"video": paths, "video_audio_tags": [["Dog"]] * len(paths), **columns})


def make(ds: Dataset, folder: Path, **options: Any) -> Report:
    report(ds, folder / "page", **options)
    return Report(folder / "page")


@pytest.fixture(scope="module")
def tagged(clips: Path) -> Dataset:
    names = ("seen & heard.mp4", "silent.mp4", "loud.wav", "broken.mp4", "missing.mp4")
    return tag([str(clips / name) for name in names])


def test_links_lead_from_the_page_to_the_files(tagged: Dataset, clips: Path, tmp_path: Path) -> None:
    made = make(tagged, tmp_path)
    for clip, name in zip(
        made.clips[:4], ("seen & heard.mp4", "silent.mp4", "loud.wav", "broken.mp4"), strict=True
    ):
        assert (tmp_path / "page" / clip["media"]).resolve() == (clips / name).resolve()
        assert not clip["media"].startswith("/")
    assert "media" not in made.clips[4]
    assert [clip.get("media_kind") for clip in made.clips] == ["video", "video", "audio", "video", None]
    assert [flags & 4 for flags in made.columns["flags"]] == [4, 4, 4, 4, 0]
    assert made.head["notes"] == ["Of 5 clips, 4 have a file that can be played."]


def test_posters_and_peaks(tagged: Dataset, tmp_path: Path) -> None:
    made = make(tagged, tmp_path)
    assert [clip.get("poster") for clip in made.clips] == [0, 1, None, None, None]
    assert ["peaks" in clip for clip in made.clips] == [False, False, True, False, False]
    peaks = unpack(made.clips[2]["peaks"], "u1")
    assert len(peaks) == 120
    assert (set(peaks[:59]), set(peaks[61:])) == ({64}, {128})  # of 255
    assert made.columns["seconds"][:3] == pytest.approx([2, 2, 2], abs=0.1)
    assert np.isnan(made.columns["seconds"][3:]).all()
    assert made.parts[0]["sheet"] == "posters/00000.jpg"
    sheet = decode_jpeg((tmp_path / "page" / "posters" / "00000.jpg").read_bytes())
    assert sheet.shape == (90, 1_600, 3)
    video = decode_frame(tagged[0]["video"])
    poster = sheet[40:50, 75:85].reshape(-1, 3).mean(0)
    height, width = video.shape[:2]
    middle = video[height // 2 - 5 : height // 2 + 5, width // 2 - 5 : width // 2 + 5].reshape(-1, 3).mean(0)
    assert np.abs(poster - middle).max() < 25


def decode_jpeg(data: bytes) -> np.ndarray:
    with av.open(io.BytesIO(data), "r", format="mjpeg") as picture:
        return next(picture.decode(video=0)).to_ndarray(format="rgb24")


def decode_frame(path: str) -> np.ndarray:
    with av.open(path) as clip:
        return next(clip.decode(video=0)).to_ndarray(format="rgb24")


def test_fewer_posters_are_spread_evenly(clips: Path, tmp_path: Path) -> None:
    ds = tag([str(clips / "silent.mp4")] * 8)
    made = make(ds, tmp_path, posters=2)
    assert [row for row, clip in enumerate(made.clips) if "poster" in clip] == [0, 4]
    assert "2 clips, evenly spread" in made.head["notes"][0]
    assert make(ds, tmp_path, posters=0).head["sheet"] is None


def test_previews_are_small_files_that_play(tagged: Dataset, tmp_path: Path) -> None:
    made = make(tagged, tmp_path, media="embed")
    assert [clip.get("media_kind") for clip in made.clips] == ["video", "video", "audio", None, None]
    for clip in made.clips[:3]:
        path = tmp_path / "page" / clip["media"]
        assert path.parent == tmp_path / "page" / "media"
        with av.open(str(path)) as preview:
            assert [stream.type for stream in preview.streams] in (["video", "audio"], ["video"], ["audio"])
            assert next(preview.decode(), None) is not None
    with av.open(str(tmp_path / "page" / made.clips[0]["media"])) as preview:
        sound = [frame.to_ndarray() for frame in preview.decode(audio=0)]
    assert sum(one.shape[1] for one in sound) / 48_000 == pytest.approx(2, abs=0.15)
    assert "Of 2 clips no preview could be made." not in made.head["notes"]
    assert (
        "Of 1 clips no preview could be made." in made.head["notes"]
    )  # the broken one; the missing one is not there


def test_previews_hold_the_beginning_of_long_clips(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hf_audio_tagger.page.previews.LONGEST_SECONDS", 1.0)
    made = make(tag([str(clips / "seen & heard.mp4")] * 2), tmp_path, media="embed", previews=1)
    assert made.clips[0]["preview_seconds"] == pytest.approx(1, abs=0.1)
    assert "media" not in made.clips[1]
    assert "Of 2 clips, 1 have a preview." in made.head["notes"]


def test_clips_within_the_dataset(clips: Path, tmp_path: Path) -> None:
    file = {"bytes": Value("binary"), "path": Value("string")}
    features = Features({"videos": List(file), "video_audio_tags": List(Value("string"))})
    silent = {"bytes": (clips / "silent.mp4").read_bytes(), "path": "silent.mp4"}
    rows = {"videos": [[silent, None], [silent]], "video_audio_tags": [["Dog", None], ["Dog"]]}
    ds = Dataset.from_dict(rows, features=features)
    made = make(ds, tmp_path)
    assert ["poster" in clip for clip in made.clips] == [True, False, True]
    assert "they lie inside the dataset" in made.head["notes"][0]
    path = tmp_path / "tagged.parquet"
    ds.to_parquet(path)
    page = report(path, tmp_path / "one.html", media="embed", single_file=True).read_text()
    assert page.count("data:video/mp4;base64,") == 2
    start = page.index("data:image/jpeg;base64,") + len("data:image/jpeg;base64,")
    sheet = decode_jpeg(base64.b64decode(page[start : page.index('"', start)]))
    assert sheet.shape == (90, 1_600, 3)


def test_media_none_shows_none(tagged: Dataset, tmp_path: Path) -> None:
    made = make(tagged, tmp_path, media="none", posters=0)
    assert not any({"media", "poster", "peaks"} & clip.keys() for clip in made.clips)
    assert made.head["media"] == "none"
    assert made.head["notes"] == []


def test_addresses_are_never_opened_nor_linked(tmp_path: Path) -> None:
    paths = [
        "https://me:word@example.org/a.mp4?key=secret",
        "hf://datasets/u/d/b.mp4",
        "zip://a.mp4::/home/me/c.zip",
    ]
    made = make(tag(paths), tmp_path, media="embed")
    assert [clip["name"] for clip in made.clips][:2] == [
        "https://example.org/a.mp4",
        "hf://datasets/u/d/b.mp4",
    ]
    assert not any("media" in clip for clip in made.clips)
    assert not {"secret", "word@", "/home/me"} & {
        part for part in ("secret", "word@", "/home/me") if part in made.all_text()
    }
