"""What every case is given, and the subjects that several of them measure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..child import NotMeasuredError, Runs, Subject
from ..materials import Materials
from ..outcome import Cell, Outcome, Row
from ..scale import Scale

PEER = "py-data-juicer"
PIPELINE = "transformers.pipeline"
BARE = "bare model"
LEAN = "bare lean model"
OURS = "hf_audio_tagger"
OURS_OPENVINO = "hf_audio_tagger, openvino"

BATCH = 8  # clips in a micro-batch of ours
BARE_BATCH = 1  # of the bare model on a CPU, where more take longer


@dataclass(frozen=True)
class Bench:
    materials: Materials
    scale: Scale

    @property
    def weights(self) -> str:
        return self.materials.weights(self.scale.model)

    @property
    def warm(self) -> str:
        """A clip that is heard before the clock starts."""
        return self.materials.clip(12, seed=99)

    def ours(self, **settings: Any) -> Subject:
        """This package. Any setting of `build_tagger`."""
        tagger = {
            "model": self.weights,
            "channels": "first",
            "batch_size": BATCH,
            "device": "cpu",
            **settings,
        }
        return Subject("tagger", {"tagger": tagger, "warm": self.warm})

    def peer(self) -> Subject | NotMeasuredError:
        try:
            python = self.materials.peer_python
        except NotMeasuredError as reason:
            return reason
        return Subject("datajuicer", {"model": self.weights, "warm": self.warm}, python)

    def pipeline(self) -> Subject:
        return Subject("pipeline", {"model": self.weights, "warm": self.warm})

    def bare(self, videos: Sequence[str], lean: bool, dtype: str = "float32", **settings: Any) -> Subject:
        given = {
            "model": self.weights,
            "videos": list(videos),
            "lean": lean,
            "batch": BARE_BATCH,
            "dtype": dtype,
        }
        return Subject("bare", {**given, **settings})


@dataclass(frozen=True)
class Case:
    name: str
    title: str
    run: Callable[[Bench], Outcome]


def make_rows(runs: Runs, clips: int, against: str) -> list[Row]:
    """A row a subject: its speed, the work and memory it took, and its speed over another's."""
    rows: list[Row] = []
    for name, answers in runs.answers.items():
        row: dict[str, Cell] = {
            "measured": name,
            "s a clip": runs.seconds(name) / clips,
            "clips a second": clips / runs.seconds(name),
            "CPU s a clip": min(answer.cpu_seconds for answer in answers) / clips,
            "peak MB": round(runs.peak_mb(name)),
        }
        if against in runs.answers:
            row[f"times as fast as {against}"] = runs.times_faster(name, against)
        rows.append(row)
    return rows


def compare_tags(runs: Runs, against: str) -> list[str]:
    """On how many clips each subject says the same as another."""
    if against not in runs.answers:
        return []
    theirs = runs.answers[against][0].values["tags"]
    same = {
        name: sum(tag == their for tag, their in zip(answers[0].values["tags"], theirs, strict=True))
        for name, answers in runs.answers.items()
        if name != against
    }
    words = ", ".join(f"{name} {count} of {len(theirs)}" for name, count in same.items())
    return [f"Tags as {against} has them ({len(set(theirs))} different): {words}."]
