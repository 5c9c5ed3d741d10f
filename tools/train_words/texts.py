"""Texts for the demo's sounds, which the text side of "demo-words" is trained on, and those to test it with.

A text is a name of the sound, sometimes with a detail before it and an ending behind it, alone or in a
sentence.
`UNSEEN` holds wordings that are in no training text; their words are, in other orders and company.
"""

from pathlib import Path

import numpy as np
import yaml

from hf_audio_tagger.audioset.ontology import ontology
from hf_audio_tagger.demo.sounds import LABELS

SHARE_DETAIL, SHARE_ENDING, SHARE_SENTENCE = 0.4, 0.3, 0.5

SHARE_LOOSE = (
    0.5  # of texts with words added, left out or in another order, as wordings nobody has thought of
)
MOST_FILLERS = 3
FILLERS = (
    *("that", "which", "who", "is", "are", "was", "has", "with", "its", "it", "some", "one", "of", "by"),
    *(
        "in",
        "on",
        "at",
        "for",
        "from",
        "near",
        "a",
        "an",
        "the",
        "this",
        "there",
        "being",
        "made",
        "while",
        "and",
    ),
    *(
        "very",
        "just",
        "like",
        "as",
        "not",
        "my",
        "your",
        "our",
        "somebody's",
        "someone's",
        "when",
        "about",
        "to",
    ),
)

NEUTRAL = (
    "sound",
    "a sound",
    "something",
    "audio",
    "an audio recording",
    "a recording",
    "some audio",
    "anything",
    "This is a sound.",
    "This is an audio recording.",
    "The sound of something.",
    "Something can be heard.",
)

SENTENCES = (
    "This is a sound of {}.",
    "this is the sound of {}",
    "The sound of {} can be heard.",
    "the sound of {}",
    "sound of {}",
    "sounds of {}",
    "{} sound",
    "{} sounds",
    "a recording of {}",
    "a recording with {} in it",
    "an audio clip of {}",
    "a video with {}",
    "there is {} here",
    "listen to {}",
    "someone recorded {}",
    "{}, recorded from nearby",
    "{} in the background",
    "{} in the distance",
    "only {}",
    "some {}",
    "noise from {}",
    "you can hear {}",
    "I hear {}",
)


# Categories of AudioSet whose name, or whose subcategories' names, are wordings of a sound too, or might be.
RELATED = (
    "Music",
    "Speech",
    "Bell",
    "Siren",
    "Alarm",
    "Telephone",
    "Insect",
    "Wind",
    "Noise",
    "Clock",
    "Sound effect",
    "Human voice",
    "Mechanisms",
    "Heart sounds, heartbeat",
    "Sine wave",
    "Silence",
    "Hum",
    "Static",
    "Onomatopoeia",
    "Outside, urban or manmade",
    "Environmental noise",
    "Whistling",
    "Sound reproduction",
    "Emergency vehicle",
    "Microwave oven",
    "Typing",
    "Buzz",
    "Hiss",
)

CONTENT: dict[str, dict[str, list[str]]] = yaml.safe_load(
    (Path(__file__).parent / "wordings.yaml").read_text()
)
UNSEEN = {label: tuple(CONTENT[label]["unseen"]) for label in LABELS}


def write_text(label: str, rng: np.random.Generator) -> str:
    """A training text for a sound."""
    wordings = CONTENT[label]
    parts = [str(rng.choice(wordings["names"]))]
    if rng.random() < SHARE_DETAIL:
        parts.insert(0, str(rng.choice(wordings["details"])))
    if rng.random() < SHARE_ENDING:
        parts.append(str(rng.choice(wordings["endings"])))
    return finish(" ".join(parts), rng)


def finish(text: str, rng: np.random.Generator) -> str:
    """A wording alone or in a sentence, now and then with an article or a capital letter, or loosely put."""
    if rng.random() < 0.2:
        text = f"{rng.choice(('a', 'the', 'an'))} {text}"
    if rng.random() < SHARE_LOOSE:
        text = loosen(text, rng)
    if rng.random() < SHARE_SENTENCE:
        text = str(rng.choice(SENTENCES)).format(text)
    return text.capitalize() if rng.random() < 0.2 else text


def loosen(text: str, rng: np.random.Generator) -> str:
    """The words with others between them that say nothing, at times in another order."""
    words = text.split()
    if rng.random() < 0.3:
        rng.shuffle(words)
    for _ in range(int(rng.integers(1, MOST_FILLERS + 1))):
        words.insert(int(rng.integers(len(words) + 1)), str(rng.choice(FILLERS)))
    return " ".join(words)


def write_other_text(names: list[str], rng: np.random.Generator) -> str:
    """A text that fits none of the sounds: the name of another."""
    name = str(rng.choice(names))
    return finish(name.lower() if rng.random() < 0.5 else name, rng)


def write_neutral_text(rng: np.random.Generator) -> str:
    """A text that fits any sound."""
    return finish(str(rng.choice(NEUTRAL)), rng)


def list_other_names() -> list[str]:
    """Names of sounds that the demo does not have, of AudioSet's categories."""
    related = {ontology[name] for name in RELATED if name in ontology}
    related |= {below for one in related for below in one.descendants()} | {ontology[one] for one in LABELS}
    return [one.name for one in ontology if one not in related]
