"""Outputs stay the same while ALGORITHMS_VERSION does: cached maps and interrupted runs rely on it."""

import json
from pathlib import Path

import golden_outputs
import pytest

from hf_audio_tagger.tagger import ALGORITHMS_VERSION

pytestmark = pytest.mark.timeout(60)

ADVICE = (
    "If that is not meant, correct it. If it is: raise ALGORITHMS_VERSION by one, run "
    "`python tests/golden_outputs.py`, and say in CHANGELOG.md what changed."
)


@pytest.mark.parametrize("case", golden_outputs.CASES)
def test_outputs_change_only_with_the_version(case: str) -> None:
    path = golden_outputs.golden_path()
    known = golden_outputs.read(path)
    assert case in known, f"{path} has no outputs of {case!r}: run `python tests/golden_outputs.py`."
    differences = list(golden_outputs.find_differences(known[case], golden_outputs.compute(case), case))
    assert not differences, (
        f"Outputs changed, and ALGORITHMS_VERSION is still {ALGORITHMS_VERSION}. {ADVICE}\n"
        + "\n".join(differences)
    )


def test_only_the_present_version_is_kept() -> None:
    assert sorted(golden_outputs.FOLDER.iterdir()) == [golden_outputs.golden_path()]


def test_every_kind_of_change_is_found() -> None:
    known = {"tag": "Siren", "top": [["Siren", 0.9], ["Music", 0.1]], "embedding": [1.0, 200.0]}

    def changes(**changed: object) -> list[str]:
        return list(golden_outputs.find_differences(known, {**known, **changed}, "clip"))

    assert changes() == changes(top=[["Siren", 0.9001], ["Music", 0.1]], embedding=[1.0005, 200.1]) == []
    assert changes(tag="Music") == ["clip.tag was 'Siren', is 'Music'"]
    assert changes(top=[["Siren", 0.902], ["Music", 0.1]]) == ["clip.top[0][1] was 0.9, is 0.902"]
    assert changes(embedding=[1.0, 201.0]) == ["clip.embedding[1] was 200.0, is 201.0"]
    assert len(changes(top=[["Siren", 0.9]])) == len(changes(error="why")) == 1


def test_outputs_of_a_version_are_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden_outputs, "CASES", {"old": None, "new": None})
    monkeypatch.setattr(golden_outputs, "compute", lambda case: [{"tag": case}])
    path = golden_outputs.golden_path(7, tmp_path)
    path.write_text(json.dumps({"old": [{"tag": "as it was"}]}))
    assert golden_outputs.write_missing(path) == ["new"]
    assert golden_outputs.read(path) == {"old": [{"tag": "as it was"}], "new": [{"tag": "new"}]}
    assert golden_outputs.write_missing(path) == []
