"""Labels as users pass them: lists, dicts, files and text of the shell; what is wrong with them is said."""

from pathlib import Path
from typing import Any

import pytest

from hf_audio_tagger import SettingsError, build_tagger
from hf_audio_tagger.label_texts import freeze_labels, show_labels, write_texts

PAIRS = (("dog", ("a dog barks", "a puppy whines")), ("bell", ("a bell rings",)))
CLAP = "laion/clap-htsat-unfused"  # not on this machine: its kind is not known until it is used


@pytest.mark.parametrize(
    ("given", "frozen"),
    [
        (["dog", "bell"], ("dog", "bell")),
        (("dog", " bell "), ("dog", "bell")),
        ("dog,bell", ("dog", "bell")),
        ("dog", ("dog",)),
        ('"door creaking, then footsteps", bell', ("door creaking, then footsteps", "bell")),
        ("AC/DC song", ("AC/DC song",)),
        ('"no.2"', ("no.2",)),
        ('"/m/ is a mid", bell', ("/m/ is a mid", "bell")),
        ({"dog": ["a dog barks", "a puppy whines"], "bell": "a bell rings"}, PAIRS),
        ([["dog", ["a dog barks", "a puppy whines"]], ["bell", ["a bell rings"]]], PAIRS),
        (PAIRS, PAIRS),
    ],
)
def test_labels_have_one_form(given: Any, frozen: Any) -> None:
    assert freeze_labels(given) == frozen
    assert freeze_labels(show_labels(frozen)) == frozen
    assert build_tagger(CLAP, labels=given) == build_tagger(CLAP, labels=frozen)


@pytest.mark.parametrize(
    ("name", "content", "frozen"),
    [
        (
            "labels.txt",
            "dog\n\n  door creaking, then footsteps \r\n",
            ("dog", "door creaking, then footsteps"),
        ),
        ("labels", "\ufeffdog\nbell", ("dog", "bell")),
        ("a.csv", "label,text\ndog,a dog barks\nbell,a bell rings\n\ndog,a puppy whines\n", PAIRS),
        ("a.csv", 'dog,"a dog, barking"\n', (("dog", ("a dog, barking",)),)),
        ("a.CSV", "Label\ndog\nbell\n", ("dog", "bell")),
    ],
)
def test_files_of_labels(tmp_path: Path, name: str, content: str, frozen: Any) -> None:
    (tmp_path / name).write_bytes(content.encode())
    assert freeze_labels(tmp_path / name) == freeze_labels(str(tmp_path / name)) == frozen


def test_a_template_is_put_around_labels_alone() -> None:
    assert write_texts(("dog",), "{}: {}") == (("dog: dog",),)
    assert write_texts(PAIRS, "{}!") == (PAIRS[0][1], PAIRS[1][1])


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([], "^labels must name at least one label; there is none"),
        ({}, "^labels must name at least one label"),
        ("", "^labels must name at least one label"),
        (["dog", " "], "^labels must be a list .* a label is ' '"),
        ("dog,,bell", "^labels must be a list .* a label is ''"),
        (["dog", 3], "among them is 3"),
        (3, "got 3"),
        ({"dog", "bell"}, "^labels must be a list"),
        (["dog", "bell", "dog "], "^labels must differ, and 'dog' is there twice"),
        ({"dog": []}, "one or several texts for 'dog'"),
        ({"dog": ["bark", "bark"]}, "'dog' has the text 'bark' twice"),
        ({"dog": ["bark", ""]}, "a text of 'dog' is ''"),
        ({"dog": 3}, "one or several texts for 'dog'; got 3"),
        (["dog", ("bell", "a bell rings")], "texts for each label or for none"),
        (["EMPTY"], "'EMPTY', which is the tag of a clip without an audio stream"),
        (["dog", "none"], "'none', which is the tag of a clip for which no label holds"),
        ("nowhere.txt", """nowhere.txt cannot be read .* stands in quotes, '"nowhere.txt"'"""),
        (str(Path(__file__).parent / "nowhere"), "nowhere cannot be read"),
        ("./nowhere", "nowhere cannot be read"),
        (Path("nowhere"), "nowhere cannot be read"),
    ],
)
def test_wrong_labels_are_refused(labels: Any, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        build_tagger(CLAP, labels=labels)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", b"dog\nbell\ndog\n", "a.txt must differ, and 'dog' is there twice"),
        ("a.txt", b"\n\n", "a.txt must name at least one label"),
        ("a.txt", b"\xff\xfe", "a.txt is not text in UTF-8"),
        ("a.csv", b"dog,bark\nbell\n", "a.csv, line 2: a row must be label,text"),
        ("a.csv", b"dog,a dog, barking\n", "a.csv, line 1: a row must be label,text.*in quotes"),
        ("a.csv", b"dog,\n", "a.csv must be .* a text of 'dog' is ''"),
        ("a.csv", b"dog,bark\ndog,bark\n", "'dog' has the text 'bark' twice"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SettingsError, match=words):
        build_tagger(CLAP, labels=tmp_path / name)
