"""`evaluate`: scores and tags held against labels."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from datasets import Dataset

from ..audioset.labels import check_dataset
from ..checks import invalid, is_number
from ..errors import SettingsError
from ..thresholds import NEVER
from .metrics import compute_curve, compute_d_prime, compute_lwlrap, measure_ranking
from .predictions import NO_TAG, Predictions, read_predictions
from .truth import Truth, find_agreement, read_truth

MOST_DIGITS = 17  # that tell any two float64 apart


@dataclass(frozen=True)
class ClassResult:
    """One class of a model: how well its scores find the clips that have it."""

    name: str
    positives: int  # clips with this label
    ap: float  # average precision
    auc: float  # area under the ROC curve; nan where every clip has the label
    d_prime: float


@dataclass(frozen=True)
class Agreement:
    """How often the tag, the class with the best score, is right: of clips with labels and a tag."""

    clips: int
    exact: int  # the tag is one of the clip's labels
    related: int  # it is one, or above or below one in AudioSet's ontology

    @property
    def exact_share(self) -> float:
        return self.exact / self.clips if self.clips else float("nan")

    @property
    def related_share(self) -> float:
        return self.related / self.clips if self.clips else float("nan")


@dataclass(frozen=True)
class Scored:
    """The clips that were evaluated, as arrays."""

    truths: np.ndarray  # bool (clips, classes)
    scores: np.ndarray  # float64 (clips, classes)


@dataclass(frozen=True)
class Evaluation:
    """How true scores and tags are. The means are over the classes in `classes`, each counting the same.

    `d_prime` is that of the mean AUC, as the papers on AudioSet report it, not the mean of the classes'. From
    tags alone only `agreement` and the counts are known, the rest is None and `note` says so.

    Every row is counted in one of `evaluated`, `empty`, `failed` and `unlabelled`.
    """

    mean_ap: float | None
    mean_auc: float | None
    d_prime: float | None
    lwlrap: float | None  # label-weighted label-ranking average precision
    agreement: Agreement
    classes: tuple[ClassResult, ...]  # those with positives
    classes_without_positives: tuple[str, ...]
    labels_without_class: tuple[str, ...]  # labels of the rows that the model does not know
    evaluated: int
    empty: int  # rows without an audio stream
    failed: int  # rows without scores or tag: could not be read, or never tagged
    unlabelled: int  # rows whose labels are null; an empty list is known to have none, and evaluated
    without_labels: int  # of the evaluated rows
    note: str | None = None
    scored: Scored | None = field(default=None, repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """For `json.dumps`: all but the arrays. What has no value is None."""
        values = asdict(replace(self, scored=None), dict_factory=make_plain)
        del values["scored"]
        shares = {"exact_share": self.agreement.exact_share, "related_share": self.agreement.related_share}
        values["agreement"] |= make_plain(list(shares.items()))
        return values

    def thresholds(self, precision: float | None = None, otherwise: float = NEVER) -> dict[str, float]:
        """The least score of each class that counts, to write with `write_thresholds`.

        That with the best F1 on these clips; with `precision`, the least one from which on at least this
        share of the clips have the label (infinity, which is never, where no score has it). It lies between
        two clips' scores, with as few digits as tell them apart. Classes without positives get `otherwise`.
        """
        if self.scored is None:
            raise SettingsError(f"Thresholds need the scores of every class. {self.note}")
        if precision is not None and not (is_number(precision) and 0 < precision <= 1):
            raise invalid("precision", precision, "above 0 and at most 1")
        truths, scores = self.scored.truths, self.scored.scores
        if not ((scores >= 0) & (scores <= 1)).all():
            raise SettingsError("Thresholds need scores between 0 and 1, such as the sigmoid of logits.")
        places = np.flatnonzero(truths.any(axis=0))
        found = {
            one.name: find_threshold(truths[:, place], scores[:, place], precision)
            for one, place in zip(self.classes, places, strict=True)
        }
        return found | dict.fromkeys(self.classes_without_positives, otherwise)

    def __str__(self) -> str:
        return describe(self)


def make_plain(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """A dict for JSON, which has neither nan nor infinity."""
    return {
        name: None if isinstance(value, float) and not np.isfinite(value) else value for name, value in items
    }


def evaluate(
    ds: Dataset,
    scores: Any = None,
    labels: str = "labels",
    classes: Sequence[str] | None = None,
    *,
    column: str = "video_audio_tags",
    id_column: str = "id",
) -> Evaluation:
    """Hold scores and tags against a column of labels.

    Args:
        ds: rows with labels, one video or sound in each.
        scores: None for the dataset's own: `video_audio_top`, if it holds every class (`top_k` at least their
            number, no threshold), or the tags alone, which give the agreement only. Or the dataset of
            `load_predictions`, whose windows are averaged, matched by `id_column`; or an array (rows,
            classes), where a row of nan is a clip that failed; or a column's name, of the form of
            `video_audio_top`.
        labels: the column of labels: mids, names, a ClassLabel column or texts "mid,mid".
        classes: the classes' names in the order of an array's columns, or of labels that are whole numbers.
        column: of the tags; the column of scores has its prefix.

    >>> ds = Dataset.from_dict({"labels": [["Dog"], ["Dog", "Cat"], ["Cat"]]})
    >>> result = evaluate(ds, np.array([[0.9, 0.3], [0.8, 0.5], [0.1, 0.4]]), classes=["Dog", "Cat"])
    >>> result.mean_ap, result.agreement.exact
    (1.0, 3)
    """
    check_dataset(ds)
    predictions = read_predictions(ds, scores, classes, column, id_column)
    truth = read_truth(ds, labels, predictions.classes, classes)
    if len(truth.places) and (truth.places < 0).all() and predictions.scores is not None:
        raise SettingsError(
            f"No label in {labels!r}, such as {truth.labels.classes[0]!r}, is one of the "
            f"{len(predictions.classes)} classes, such as {predictions.classes[0]!r}."
        )
    is_predicted = predictions.tags != NO_TAG
    is_evaluated = is_predicted & truth.is_known
    has_labels = truth.labels.has_labels()
    counts: dict[str, Any] = {
        "evaluated": int(is_evaluated.sum()),
        "empty": int(predictions.is_empty.sum()),
        "failed": int((~is_predicted & ~predictions.is_empty).sum()),
        "unlabelled": int((is_predicted & ~truth.is_known).sum()),
        "without_labels": int((is_evaluated & ~has_labels).sum()),
    }
    agreement = measure_agreement(predictions, truth, is_evaluated & has_labels)
    if predictions.scores is None:
        return Evaluation(
            None, None, None, None, agreement, (), (), truth.unknown, **counts, note=predictions.note
        )
    scored = Scored(truth.as_array(len(predictions.classes))[is_evaluated], predictions.scores[is_evaluated])
    return Evaluation(
        **measure_scores(scored, predictions.classes),
        agreement=agreement,
        labels_without_class=truth.unknown,
        **counts,
        scored=scored,
    )


def measure_agreement(predictions: Predictions, truth: Truth, is_counted: np.ndarray) -> Agreement:
    exact, related = find_agreement(truth, predictions.tags, predictions.classes)
    return Agreement(
        int(is_counted.sum()), int((exact & is_counted).sum()), int((related & is_counted).sum())
    )


def measure_scores(scored: Scored, names: Sequence[str]) -> dict[str, Any]:
    """The metrics of each class with positives, and their means."""
    positives = scored.truths.sum(axis=0)
    by_class = np.ascontiguousarray(scored.scores.T)
    results = []
    for place in np.flatnonzero(positives):
        precision, area = measure_ranking(scored.truths[:, place], by_class[place])
        results.append(
            ClassResult(names[int(place)], int(positives[place]), precision, area, compute_d_prime(area))
        )
    areas = [one.auc for one in results if one.auc == one.auc]
    mean_auc = float(np.mean(areas)) if areas else float("nan")
    return {
        "mean_ap": float(np.mean([one.ap for one in results])) if results else float("nan"),
        "mean_auc": mean_auc,
        "d_prime": compute_d_prime(mean_auc),
        "lwlrap": compute_lwlrap(scored.truths, scored.scores),
        "classes": tuple(results),
        "classes_without_positives": tuple(names[int(place)] for place in np.flatnonzero(positives == 0)),
    }


def find_threshold(truths: np.ndarray, scores: np.ndarray, precision: float | None) -> float:
    """The least score that counts: for the best F1 (of several the highest), or for a precision."""
    steps, hits, clips = compute_curve(truths, scores)
    if precision is None:
        place = int(np.argmax(2 * hits / (clips + hits[-1])))
    else:
        is_enough = np.flatnonzero(hits / clips >= precision)
        if not len(is_enough):
            return NEVER
        place = int(is_enough[-1])
    return pick_between(steps[place + 1] if place + 1 < len(steps) else 0.0, steps[place])


def pick_between(low: float, high: float) -> float:
    """A number above `low` and at most `high`, near their middle, with as few digits as possible.

    >>> pick_between(0.4012, 0.4187), pick_between(0.25, 0.25 + 2**-54)
    (0.41, 0.25000000000000006)
    """
    for digits in range(1, MOST_DIGITS + 1):
        middle = round((low + high) / 2, digits)
        if low < middle <= high:
            return float(middle)
    return float(high)


def describe(result: Evaluation) -> str:
    """The means and the counts as lines of text."""
    lines = []
    if result.mean_ap is not None:
        assert result.mean_auc is not None
        assert result.d_prime is not None
        assert result.lwlrap is not None
        lines += [
            f"mAP {result.mean_ap:.4f}, mean AUC {result.mean_auc:.4f}, "
            f"d' of the mean AUC {result.d_prime:.3f}, lwlrap {result.lwlrap:.4f}, "
            f"over {len(result.classes)} classes"
        ]
    share = result.agreement
    lines.append(
        "No clip has labels and a tag"
        if not share.clips
        else f"The tag is a label of {share.exact:,} of {share.clips:,} clips ({share.exact_share:.1%}); a "
        f"label, or above or below one, of {share.related:,} ({share.related_share:.1%})"
    )
    lines.append(
        f"{result.evaluated:,} rows evaluated ({result.without_labels:,} without labels), "
        f"{result.empty:,} EMPTY, {result.failed:,} failed, {result.unlabelled:,} whose labels are not known"
    )
    if result.classes_without_positives:
        lines.append(f"{len(result.classes_without_positives)} classes without positives are left out")
    if result.labels_without_class:
        lines.append(
            f"{len(result.labels_without_class)} labels are none of the model's classes: "
            + ", ".join(result.labels_without_class[:5])
        )
    return "\n".join([*lines, *([result.note] if result.note else [])])
