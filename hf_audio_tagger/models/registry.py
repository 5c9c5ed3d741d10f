"""The model families. The first one that recognizes a name is used."""

import os

from ..checks import find_near, invalid
from ..choices import DEFAULT_MODEL
from ..errors import SettingsError
from .families.pretrained import DEMO, PRETRAINED
from .families.vggish import VGGISH
from .families.yamnet import YAMNET
from .family import Family
from .spec import ModelSpec
from .weights import check_weights

FAMILIES: tuple[Family, ...] = (
    DEMO,
    YAMNET,
    VGGISH,
    PRETRAINED,  # last: it treats any other name as a Hub id or a folder
)


def find_family(model: str) -> Family:
    return next(family for family in FAMILIES if family.recognizes(model))


def check_spec(spec: ModelSpec) -> None:
    """Refuse a model that there cannot be, and options that its family does not support."""
    family = find_family(spec.model)
    check_name(spec.model)
    family.check(spec)
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
