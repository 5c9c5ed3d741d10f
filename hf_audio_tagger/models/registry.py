"""The model families: the first one that recognizes a name, for a checkpoint that of its config's type."""

import os

from ..checks import find_near, invalid
from ..choices import DEFAULT_MODEL
from ..errors import SettingsError
from .checkpoint_files import read_model_type
from .families.clap import CLAP, DEMO_WORDS
from .families.pe_audio import PE_AUDIO
from .families.pretrained import DEMO, PRETRAINED
from .families.vggish import VGGISH
from .families.yamnet import YAMNET
from .family import Family
from .spec import ModelSpec
from .weights import check_weights

FAMILIES: tuple[Family, ...] = (
    DEMO,
    DEMO_WORDS,
    YAMNET,
    VGGISH,
    PRETRAINED,  # last: it treats any other name as a Hub id or a folder
)

# Checkpoints that are no classifiers, by `model_type` in their config.
CHECKPOINT_FAMILIES: dict[str, Family] = {
    "clap": CLAP,
    "pe_audio": PE_AUDIO,
}

TEXT_MODELS = "Models that compare sound with text have one, such as 'laion/clap-htsat-unfused'."


def find_family(model: str) -> Family:
    """The family by the model's name alone."""
    return next(family for family in FAMILIES if family.recognizes(model))


def resolve_family(spec: ModelSpec, *, download: bool = True) -> Family:
    """The family that loads a model: for a checkpoint by its config, which is downloaded if need be.

    Without download, a checkpoint that is not on this machine counts as a classifier.
    """
    family = find_family(spec.model)
    if family is not PRETRAINED:
        kind = None
    else:
        kind = read_model_type(spec.model, spec.revision, spec.token, download)
        family = CHECKPOINT_FAMILIES.get(kind or "", family)
    if spec.labels is not None and not family.takes_labels and (family is not PRETRAINED or kind):
        raise SettingsError(
            f"labels= goes with a model that has a text side, and {spec.model!r} has none, but labels of its "
            f"own: leave labels= out, or take another model. {TEXT_MODELS}"
        )
    return family


def check_has_labels(spec: ModelSpec) -> None:
    """Refuse a model that takes labels where there are none, as far as its config is on this machine."""
    if spec.labels is None and resolve_family(spec, download=False).takes_labels:
        raise SettingsError(explain_missing_labels(spec))


def explain_missing_labels(spec: ModelSpec) -> str:
    return resolve_family(spec, download=False).without_labels.format(model=spec.model)


def check_spec(spec: ModelSpec) -> None:
    """Refuse a model that there cannot be, and options that its family does not support."""
    check_name(spec.model)
    find_family(spec.model).check(spec)
    family = resolve_family(spec, download=False)
    if spec.weights is not None:
        if family.release is None:
            names = " and ".join(repr(family.name) for family in FAMILIES if family.release)
            raise SettingsError(f"weights= applies to model={names} only; {spec.model!r} has its own.")
        check_weights(spec.weights)
    for name, value, choices in (
        ("engine", spec.engine, family.engines),
        ("dtype", spec.dtype, family.dtypes),
    ):
        if value not in choices:
            raise invalid(
                name, value, f"one of {', '.join(map(repr, choices))} with model={spec.model!r}", choices
            )


def check_name(model: str) -> None:
    """Refuse a misspelled name of a family. Ids of the Hub have a slash, but for a few old ones."""
    names = [family.name for family in FAMILIES if family is not PRETRAINED]
    if "/" in model or model in names or os.path.exists(model):
        return
    if find_near(model, [*names, DEFAULT_MODEL]):
        expected = f"a Hub id, a local folder, or one of {', '.join(map(repr, names))}"
        raise invalid("model", model, expected, [*names, DEFAULT_MODEL])
