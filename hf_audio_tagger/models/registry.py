"""Every family of models. The first that recognizes a name has it."""

from ..checks import invalid
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
    PRETRAINED,  # last: it takes any other name for an id of the Hub or a folder
)


def find_family(model: str) -> Family:
    return next(family for family in FAMILIES if family.recognizes(model))


def check_spec(spec: ModelSpec) -> None:
    """Refuse what the model's family does not take."""
    family = find_family(spec.model)
    if spec.weights is not None:
        if family.release is None:
            names = " and ".join(repr(family.name) for family in FAMILIES if family.release)
            raise SettingsError(f"weights= goes with model={names}; {spec.model!r} brings its own.")
        check_weights(spec.weights)
    for name, value, choices in (
        ("engine", spec.engine, family.engines),
        ("dtype", spec.dtype, family.dtypes),
    ):
        if value not in choices:
            raise invalid(name, value, f"one of {', '.join(map(repr, choices))} with model={spec.model!r}")
