"""Folders of reports with made-up results, as hf_audio_tagger/page/web/FORMAT.md describes them.

The page can be looked at, tested and timed with them at any size: nothing is tagged and nothing decoded.
"""

import base64
import json
import shutil
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np

import hf_audio_tagger
from hf_audio_tagger.audioset.ontology import Category, ontology

WEB = Path(hf_audio_tagger.__file__).with_name("page") / "web"
GROUPS = [root.name for root in ontology.roots]
REASONS = ("invalid data found when processing input", "no such file", "the clip has 9 channels")
PLACES = ("Bern", "Lima", "Oslo", "Pune", "Quito")
COLUMNS_PER_PART = 100_000
CLIPS_PER_PART = 250
SHEET = {"columns": 10, "width": 160, "height": 90}
NONE = 65_535
TYPES = {"u8": "u1", "u16": "<u2", "u32": "<u4", "f32": "<f4"}


@dataclass(frozen=True)
class MadeUp:
    """What is made up, and where it differs from a plain report."""

    clips: int = 600
    seed: int = 0
    media: tuple[str, ...] = ()  # paths relative to the folder, for the first clips
    names: tuple[str, ...] = ()  # of the first clips
    has_posters: bool = True
    title: str = "Street sounds"
    head: dict[str, Any] = field(default_factory=dict)  # in place of what head.js would say


def pack(values: Any, kind: str) -> str:
    return base64.b64encode(np.asarray(values).astype(TYPES[kind]).tobytes()).decode()


def write_call(path: Path, name: str, *arguments: Any) -> None:
    """A script that hands values to the page."""
    texts = (json.dumps(argument, separators=(",", ":"), allow_nan=False) for argument in arguments)
    text = ",".join(texts).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"report.{name}({text});\n", "ascii")


def copy_page(folder: Path) -> None:
    """The page's own files, without data."""
    (folder / "web").mkdir(parents=True, exist_ok=True)
    shutil.copy(WEB / "index.html", folder)
    for path in [*WEB.glob("*.js"), WEB / "page.css"]:
        shutil.copy(path, folder / "web")


def find_group(category: Category) -> int:
    while category.parents:
        category = category.parents[0]
    return GROUPS.index(category.name)


class Sounds:
    """All categories of the ontology by number, and one label that is not AudioSet's."""

    def __init__(self) -> None:
        self.categories = list(ontology)
        self.numbers = {category.id: number for number, category in enumerate(self.categories)}
        self.leaves = np.array([n for n, one in enumerate(self.categories) if one.audioset_index is not None])
        self.other = len(self.categories)

    def find(self, name: str) -> int:
        return self.numbers[ontology[name].id]

    def describe(self, tags: np.ndarray, seconds: np.ndarray) -> list[dict[str, Any]]:
        """`sounds` of head.js."""
        counts = np.bincount(tags[tags != NONE], minlength=self.other + 1)
        lengths = np.bincount(tags[tags != NONE], np.nan_to_num(seconds)[tags != NONE], self.other + 1)
        known = [
            {
                "name": one.name,
                "parents": [self.numbers[i] for i in one.parent_ids],
                "group": find_group(one),
            }
            for one in self.categories
        ]
        everything = [*known, {"name": "machine </script> 7", "parents": [], "group": 7}]
        return [
            {**one, "clips": int(counts[n]), "seconds": round(float(lengths[n]), 1)}
            for n, one in enumerate(everything)
        ]


class Results:
    """Made-up results of clips, as arrays."""

    def __init__(self, made_up: MadeUp, sounds: Sounds) -> None:
        random = np.random.default_rng(made_up.seed)
        count = made_up.clips
        self.state = random.choice([0, 1, 2, 3], count, p=[0.9, 0.05, 0.04, 0.01]).astype(np.uint8)
        self.state[: len(made_up.media)] = 0
        is_tagged = self.state == 0
        often = sounds.leaves[random.permutation(len(sounds.leaves))]
        picks = np.minimum(random.zipf(1.35, (count, 4)) - 1, len(often) - 1)
        self.sounds = often[picks]
        self.sounds[random.random(count) < 0.02, 0] = sounds.other
        self.scores = np.sort(random.beta(2, 3, (count, 4)), axis=1)[:, ::-1].astype(np.float32)
        self.tag = np.where(is_tagged, self.sounds[:, 0], NONE)
        self.score = np.where(is_tagged, self.scores[:, 0], np.nan).astype(np.float32)
        self.seconds = np.where(self.state == 2, np.nan, random.gamma(3, 6, count) + 1).astype(np.float32)
        self.seconds[: len(made_up.media)] = 8
        self.reason = np.where(self.state == 2, random.integers(0, len(REASONS), count), NONE)
        self.flags = np.where(is_tagged, 1 + 2 * (random.random(count) < 0.2), 0)
        self.flags[: len(made_up.media)] += 4
        self.points = random.normal(self.sounds[:, :1] % 7, 0.4, (count, 2))
        places = random.integers(0, len(PLACES), count)
        self.places = [PLACES[place] for place in places]
        self.names = [f"walks/{place}/{number:07d}.mp4" for number, place in enumerate(self.places)]
        self.names[: len(made_up.names)] = made_up.names


def list_sounds(results: Results, clip: int) -> dict[int, float]:
    """The different sounds of a clip with their highest scores, the tag first."""
    found: dict[int, float] = {}
    for sound, score in zip(results.sounds[clip], results.scores[clip], strict=True):
        found.setdefault(int(sound), float(score))
    return found if results.state[clip] == 0 else {}


def describe_clip(made_up: MadeUp, results: Results, clip: int) -> dict[str, Any]:
    """A clip of data/clips-NNNNN.js."""
    metadata = [["place", results.places[clip]], ["take", str(clip % 7)]]
    made: dict[str, Any] = {"name": results.names[clip], "metadata": metadata}
    if results.state[clip] == 2:
        return {**made, "error": f"{results.names[clip]}: {REASONS[results.reason[clip]]}"}
    seconds = float(results.seconds[clip])
    edges = np.linspace(0, seconds, 5).round(2).tolist()
    if found := list_sounds(results, clip):
        made["top"] = [[sound, round(score, 4)] for sound, score in found.items()]
        pieces = zip(edges, edges[1:], results.sounds[clip].tolist(), results.scores[clip], strict=False)
        made["segments"] = [[a, b, sound, round(float(score), 4)] for a, b, sound, score in pieces]
        made["labels"] = [int(results.sounds[clip][1 if results.flags[clip] & 2 else 0])]
        made["neighbors"] = [[(clip + step) % made_up.clips, round(1 - step / 20, 3)] for step in (1, 2, 3)]
    if clip < len(made_up.media):
        made.update(media=made_up.media[clip], media_kind="video")
    if made_up.has_posters and clip % 3:
        made["poster"] = clip % CLIPS_PER_PART
    else:
        wave = 90 + 80 * np.sin(np.arange(120) / (2 + clip % 9)) + 60 * np.sin(np.arange(120) / 17 + clip)
        made["peaks"] = pack(wave.clip(0, 255), "u8")
    return made


def write_columns(folder: Path, results: Results, first: int, last: int) -> None:
    part = slice(first, last)
    ranks = np.empty(len(results.names), np.uint32)
    ranks[sorted(range(len(results.names)), key=results.names.__getitem__)] = np.arange(len(results.names))
    found = [list_sounds(results, clip) for clip in range(first, last)]
    columns = {
        "count": last - first,
        "state": pack(results.state[part], "u8"),
        "flags": pack(results.flags[part], "u8"),
        "tag": pack(results.tag[part], "u16"),
        "score": pack(results.score[part], "f32"),
        "seconds": pack(results.seconds[part], "f32"),
        "reason": pack(results.reason[part], "u16"),
        "name_rank": pack(ranks[part], "u32"),
        "sound_counts": pack([len(one) for one in found], "u8"),
        "sounds": pack([sound for one in found for sound in one], "u16"),
        "sound_scores": pack([round(score * 65_535) for one in found for score in one.values()], "u16"),
    }
    number = first // COLUMNS_PER_PART
    write_call(folder / f"data/columns-{number:03d}.js", "columns", number, columns)
    lines = (f"{results.names[clip]} | {results.places[clip]} | {clip % 7}" for clip in range(first, last))
    text = "\n".join(unicodedata.normalize("NFC", line).lower().replace("\n", " ") for line in lines)
    write_call(folder / f"data/text-{number:03d}.js", "text", number, text)


def write_sheet(path: Path, seed: int) -> None:
    """Frames of slanting colours, one for each clip of a part."""
    random = np.random.default_rng(seed)
    rows, columns = CLIPS_PER_PART // SHEET["columns"], SHEET["columns"]
    near, far = random.integers(30, 220, (2, rows, columns, 1, 1, 3))
    slant = np.add.outer(np.linspace(0, 0.6, 90), np.linspace(0, 0.4, 160))[..., None]
    cells = (near * (1 - slant) + far * slant).astype(np.uint8)
    picture = cells.transpose(0, 2, 1, 3, 4).reshape(rows * 90, columns * 160, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = picture.shape[1], picture.shape[0], "yuvj420p"
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def describe_agreement(results: Results) -> dict[str, Any]:
    tagged = np.flatnonzero(results.state == 0)
    differs = tagged[(results.flags[tagged] & 2) > 0]
    sounds, counts = np.unique(results.tag[tagged], return_counts=True)
    often = np.argsort(-counts)[:40]
    return {
        "column": "label",
        "compared": len(tagged),
        "agreeing": len(tagged) - len(differs),
        "sounds": [[int(sounds[i]), int(counts[i]) + 1, int(counts[i]), int(counts[i] * 0.8)] for i in often],
        "differing": [[int(clip), round(float(results.score[clip]), 3)] for clip in differs[:200]],
    }


def describe_head(made_up: MadeUp, results: Results, sounds: Sounds) -> dict[str, Any]:
    states = np.bincount(results.state, minlength=4).tolist()
    failed = np.bincount(results.reason[results.state == 2], minlength=len(REASONS))
    facts = dict(zip(("tagged", "empty", "failed", "untagged"), states, strict=True))
    seconds = round(float(np.nansum(results.seconds)), 1)
    return {
        "format": 1,
        "title": made_up.title,
        "facts": {"rows": made_up.clips, "clips": made_up.clips, "seconds": seconds, **facts},
        "run": [["Model", "MIT/ast-finetuned-audioset-10-10-0.4593"], ["Tagged", "2026-11-20 14:05 UTC"]],
        "settings": [["windows", "all"], ["top_k", "5"], ["segments", "True"], ["threshold", "0.1"]],
        "versions": [["hf_audio_tagger", "0.4.0"], ["transformers", "5.23"], ["torch", "2.14.1"]],
        "notes": ["Media are linked: the clips must stay where they are."],
        "columns_per_part": COLUMNS_PER_PART,
        "clips_per_part": CLIPS_PER_PART,
        "has_text": True,
        "has_map": True,
        "map_note": "Two principal components of the embeddings, 41 % of their variance.",
        "media": "link" if made_up.media else "none",
        "sheet": SHEET if made_up.has_posters else None,
        "groups": [*GROUPS, "not AudioSet's"],
        "sounds": sounds.describe(results.tag, results.seconds),
        "failures": [
            {"reason": REASONS[reason], "clips": int(failed[reason])} for reason in range(len(REASONS))
        ],
        "agreement": describe_agreement(results),
        **made_up.head,
    }


def write_report(folder: Path, made_up: MadeUp) -> Results:
    """A whole report of made-up results in `folder`."""
    sounds = Sounds()
    results = Results(made_up, sounds)
    copy_page(folder)
    write_call(folder / "data/head.js", "head", describe_head(made_up, results, sounds))
    for first in range(0, made_up.clips, COLUMNS_PER_PART):
        write_columns(folder, results, first, min(first + COLUMNS_PER_PART, made_up.clips))
    for number, first in enumerate(range(0, made_up.clips, CLIPS_PER_PART)):
        clips = range(first, min(first + CLIPS_PER_PART, made_up.clips))
        sheet = f"posters/{number % 3:05d}.jpg" if made_up.has_posters else None
        if sheet and number < 3:
            write_sheet(folder / sheet, number)
        described = [describe_clip(made_up, results, clip) for clip in clips]
        write_call(
            folder / f"data/clips-{number:05d}.js", "clips", number, {"sheet": sheet, "clips": described}
        )
    points = results.points - results.points.min(0)
    x, y = (points / points.max() * 65_535).round().T
    map_ = {"clips": pack(np.arange(made_up.clips), "u32"), "x": pack(x, "u16"), "y": pack(y, "u16")}
    write_call(folder / "data/map.js", "map", map_)
    return results
