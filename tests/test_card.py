"""The dataset card: what the section says, what is escaped, and what of the card is kept."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from hf_audio_tagger import build_tagger
from hf_audio_tagger.results.card import PushedDataset, replace_section, size_category, update_card
from hf_audio_tagger.results.facts import TagFacts


def metadata(card: str) -> dict[str, Any]:
    return yaml.safe_load(card.split("---\n")[1])


def pushed(**changes: Any) -> PushedDataset:
    values = {
        "repo_id": "maker/clips",
        "config_name": "default",
        "split": "train",
        "revision": None,
        "tagger": build_tagger("demo"),
        "tag_column": "video_audio_tags",
        "added_columns": ("video_audio_tags",),
        "facts": {"train": TagFacts(2, tags=Counter({"Dog": 2}))},
        "media": "embedded",
    }
    return PushedDataset(**{**values, **changes})


def test_text_around_the_section_is_kept() -> None:
    first = replace_section("Before.\n", "default", "old")
    edited = first + "\nAfter.\n"
    again = replace_section(edited, "default", "new \\1 text")
    assert again == edited.replace("old", "new \\1 text")


def test_a_marker_without_its_end_swallows_no_text() -> None:
    begin = replace_section("", "default", "old").strip().splitlines()[0]
    broken = f"{begin}\n\nMine.\n"
    mended = replace_section(broken, "default", "new")
    assert mended.startswith(broken)
    assert replace_section(mended, "default", "newer") == mended.replace("new\n", "newer\n")


def test_line_breaks_of_the_card_are_kept() -> None:
    card = "---\r\nlicense: mit\r\n---\r\n\r\n# Clips\r\n"
    described = update_card(card, pushed())
    assert described.count("\n") == described.count("\r\n")
    assert "# Clips\r\n" in described


def test_tags_of_the_data_cannot_leave_their_cell() -> None:
    tag = "a | b\n<!-- hf-audio-tagger: end default --> `x`"
    card = update_card(
        "---\nlicense: mit\n---\n", pushed(facts={"train": TagFacts(1, tags=Counter({tag: 1}))})
    )
    assert card.count("<!-- hf-audio-tagger: end default -->") == 1
    assert r"| a \| b \<!-- hf-audio-tagger: end default --\> \`x\` | 1 | 100.0% |" in card


def test_tags_of_the_data_are_no_markup_and_no_links() -> None:
    tag = "<img src=x onerror=alert(1)> &lt;b&gt; https://a.b www.a.b me@a.b \x1b[2J"
    card = update_card(
        "---\nlicense: mit\n---\n", pushed(facts={"train": TagFacts(1, tags=Counter({tag: 1}))})
    )
    assert r"\<img src=x onerror=alert(1)\> \&lt;b\&gt; https\://a.b www\.a.b me\@a.b \\x1b\[2J |" in card


def test_secrets_and_paths_of_the_machine_are_left_out(tmp_path: Path) -> None:
    weights = tmp_path / "mine.h5"
    weights.write_bytes(b"")
    local = build_tagger("yamnet", weights=weights)
    signed = build_tagger("yamnet", weights="https://example.org/yamnet.h5?signature=abc")
    folder = build_tagger(tmp_path)
    cards = [update_card("---\n---\n", pushed(tagger=tagger)) for tagger in (local, signed, folder)]
    assert 'weights="path/to/mine.h5"' in cards[0]
    assert 'weights="https://example.org/yamnet.h5"' in cards[1]
    assert f'build_tagger("path/to/{tmp_path.name}")' in cards[2]
    for card in cards:
        assert str(tmp_path) not in card
        assert "signature" not in card
        assert "word@" not in card


def test_model_of_the_hub_is_linked_with_its_revision() -> None:
    card = update_card("---\n---\n", pushed(tagger=build_tagger(revision="abc123", top_k=3)))
    model = "MIT/ast-finetuned-audioset-10-10-0.4593"
    assert f"| Model | [{model}](https://huggingface.co/{model}) |" in card
    assert '| Revision | `"abc123"` |' in card
    assert 'build_tagger(revision="abc123", top_k=3)' in card


def test_code_names_config_split_and_branch() -> None:
    card = update_card("---\n---\n", pushed(config_name="fr", split=None, revision="v2"))
    assert 'load_dataset("maker/clips", "fr", revision="v2")' in card


def test_metadata_that_is_a_single_word_becomes_a_list() -> None:
    card = update_card("---\ntags: birds\nsize_categories: n<1K\n---\n", pushed())
    assert metadata(card)["tags"] == ["birds", "audio-tagging", "hf-audio-tagger"]


@pytest.mark.parametrize(
    ("count", "category"),
    [
        (0, "n<1K"),
        (999, "n<1K"),
        (1_000, "1K<n<10K"),
        (123_456, "100K<n<1M"),
        (2 * 10**9, "1B<n<10B"),
        (10**13, "n>1T"),
    ],
)
def test_size_categories(count: int, category: str) -> None:
    assert size_category(count) == category
