"""The operator `video_motion_score_filter`: stats, what is kept, failures, options."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets.utils.json import ujson_dumps, ujson_loads
from picture_files import write_pictures

from hf_audio_tagger import SettingsError
from hf_audio_tagger.recipes import run_recipe

pytest.importorskip("cv2", reason="OpenCV is not installed")
from opencv_motion import score_with_opencv  # it needs OpenCV

STATS, STAT = "__dj__stats__", "video_motion_score"
ROWS: list[Any] = [["a.mp4"], [], None, ["one.mp4"], ["slow.mkv", "text.mp4"], ["gone.mp4"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipe")
    write_pictures(folder / "a.mp4", 26)
    write_pictures(folder / "slow.mkv", 14, rate=60)
    write_pictures(folder / "one.mp4", 1)
    (folder / "text.mp4").write_bytes(b"this is no video" * 100)
    rows = [json.dumps({"text": str(number), "videos": videos}) for number, videos in enumerate(ROWS)]
    (folder / "samples.jsonl").write_text("\n".join(rows) + "\n")
    return folder


def run(folder: Path, **options: Any) -> tuple[list[str], list[Any], list[Any]]:
    """The texts of the kept samples, their scores, the failures."""
    recipe = {
        "dataset_path": str(folder / "samples.jsonl"),
        "export_path": str(folder / "out" / "res.jsonl"),
        "np": 1,
        "process": [{"video_motion_score_filter": options}],
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    run_recipe(path, lambda line: None, overwrite=True)
    files = [folder / "out" / f"res{part}.jsonl" for part in ("", "_stats", "_failed")]
    samples, stats, failed = ([json.loads(line) for line in file.read_text().splitlines()] for file in files)
    return [one["text"] for one in samples], [one[STATS][STAT] for one in stats], failed


def stored(score: float) -> float:
    """A number after a column of JSON, in which the peer keeps it."""
    return float(ujson_loads(ujson_dumps(score)))


def test_scores_decide_and_are_stored_as_the_peer_stores_them(folder: Path) -> None:
    moving, slow = (stored(score_with_opencv(folder / name)) for name in ("a.mp4", "slow.mkv"))
    assert run(folder)[:2] == (["0", "1", "2", "4"], [[moving], [], [], [slow, -1.0]])
    assert run(folder, any_or_all="all")[0] == ["0", "1", "2"]
    assert run(folder, min_score=moving, max_score=moving)[0] == ["0", "1", "2"]
    assert run(folder, min_score=moving, min_closed_interval=False, max_score=moving)[0] == ["1", "2"]
    assert run(folder, min_score=-1, max_score=0)[0] == ["1", "2", "3", "4", "5"]
    assert run(folder, min_score=-2, max_score=0, reversed_range=True)[0] == ["0", "1", "2", "4"]


def test_a_video_that_cannot_be_read_has_minus_one_and_is_listed(folder: Path) -> None:
    for skip_op_error in (True, False):  # for the peer it is no error
        _, scores, failed = run(folder, min_score=-1, skip_op_error=skip_op_error)
        assert scores[3:] == [[-1.0], [scores[4][0], -1.0], [-1.0]]
        assert [(one["sample"], Path(one["media"]).name) for one in failed] == [
            (4, "text.mp4"),
            (5, "gone.mp4"),
        ]


def test_frames_are_squeezed_as_the_peer_squeezes_them(folder: Path) -> None:
    from hf_audio_tagger import motion_score

    expected = motion_score(size=48, resize="peer", relative=True, sampling_fps=6).compute(folder / "a.mp4")
    _, scores, _ = run(folder, size=48, relative=True, sampling_fps=6, min_score=-1)
    assert scores[0] == [stored(expected)] != [stored(motion_score(size=48).compute(folder / "a.mp4"))]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampling_fps": 0}, "video_motion_score_filter: sampling_fps must be a number above 0; got 0."),
        (
            {"size": "big"},
            "size must be a whole number of pixels, or a list of one or two of them; got 'big'.",
        ),
        ({"if_output_optical_flow": True}, "must be false: flows are not stored; got True."),
        ({"frame_field": "frames"}, "must be null: frames are read from videos; got 'frames'."),
        ({"winsize": 9}, "video_motion_score_filter has no option 'winsize'."),
    ],
)
def test_wrong_options_are_refused(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        run(folder, **options)
    assert message in str(caught.value)
