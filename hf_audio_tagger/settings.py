"""A tagger's settings, each declared once, as a field of `Settings`.

The signature and documentation of `build_tagger`, the checks, the fingerprint, the lists of settings in cards
and run records, and the command-line options are derived from these fields. To add a setting, add a field and
use it. The module imports no heavy libraries, because `--help` needs it; dtypes and engines depend on the
model's family and are checked by `models.registry.check_spec`.
"""

# ruff: noqa: RUF009 (the calls in the class make fields)

import inspect
import os
import re
import textwrap
from collections.abc import Callable, Collection, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, get_args

from .checks import COUNT, HUB_ID, invalid, is_count, is_number
from .choices import DEFAULT_MODEL, Channels, Decoder, Dtype, Engine, LabelsHold, OnError, Windows
from .errors import SettingsError
from .label_texts import TEMPLATE, Labels, check_template, freeze_labels, show_labels
from .media.decoders import DECODER_NAMES
from .thresholds import read_thresholds

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

TAG_COLUMN = "video_audio_tags"
DEVICE = re.compile(r"cpu|mps|(cuda|xpu)(:\d+)?")
DEVICES = ("cpu", "cuda", "cuda:0", "cuda:1", "cuda:2", "cuda:3", "mps", "xpu")  # to suggest


@dataclass(frozen=True)
class Check:
    """The values that a setting accepts, and their description in errors."""

    expected: str
    is_valid: Callable[[Any], bool]
    choices: tuple[str, ...] = ()  # that a wrong value is compared with


def one_of(choices: Any) -> Check:
    """One of a `Literal`'s values."""
    values = get_args(choices)
    return Check("one of " + ", ".join(map(repr, values)), lambda value: value in values, values)


def is_windows(value: Any) -> bool:
    return value in get_args(Windows) or is_count(value)


IS_NAME = Check("a name", lambda value: isinstance(value, str) and value != "")
IS_FLAG = Check("True or False", lambda value: isinstance(value, bool))
IS_COUNT = Check(COUNT, is_count)


@dataclass(frozen=True)
class About:
    """A setting's metadata, in addition to its name, type and default."""

    help: str
    check: Check | None = None
    none: str | None = None  # the meaning of None, for help texts
    panel: str | None = None  # of `--help` that lists its option; None: no option
    changes: Literal["tags", "columns", "nothing"] = "tags"  # "columns": only those other than the tags
    is_secret: bool = False  # never printed, stored or hashed
    is_path: bool = False  # accepts any path; its folders are not published
    identify: Callable[[Any], Any] | None = None  # a value's part in fingerprints, where it is not the value
    freeze: Callable[[Any], Any] | None = None  # checks a value and gives it a form that hashes
    show: Callable[[Any], Any] = lambda value: value  # a value's form in JSON
    argument: str | None = None  # its name in `build_tagger`, where it is not the field's


def setting(default: Any, help: str, check: Check | None = None, **about: Any) -> Any:
    check = IS_FLAG if isinstance(default, bool) else check
    metadata = {"about": About(help, check, **about)}
    return field(default=default, repr="is_secret" not in about, metadata=metadata)


model_setting = partial(setting, panel="Model")
sound_setting = partial(setting, panel="Sound")
column_setting = partial(setting, panel="Columns", changes="columns")


@dataclass(frozen=True)
class Settings:
    """All settings of a tagger, checked."""

    model: str | os.PathLike[str] = model_setting(
        DEFAULT_MODEL,
        'a Hub id or local folder of any audio classification model of transformers, "yamnet" (packaged, '
        'works offline), "vggish", or "demo" and, for `labels`, "demo-words" (packaged, not for real data).',
        IS_NAME,
        is_path=True,
    )
    _: KW_ONLY
    revision: str | None = model_setting(None, "branch, tag or commit of a Hub model.", none="the newest")
    trust_remote_code: bool = model_setting(False, "run code that comes with a Hub model.")
    token: str | bool | None = model_setting(
        None,
        "for private or gated data and models; never printed, stored or hashed.",
        none="HF_TOKEN, or that of `hf auth login`",
        changes="nothing",
        is_secret=True,
    )
    weights: str | os.PathLike[str] | None = model_setting(
        None,
        'file or URL of the weights of "yamnet" or "vggish".',
        none="the model's own: packaged, or downloaded once",
        is_path=True,
    )
    if TYPE_CHECKING:
        labels: Labels | None = None
    else:  # a tagger's `labels` are those of its model, so that what is given has another name
        label_texts: Labels | None = model_setting(
            None,
            "of a model that compares sound with text: what to choose from, as a list, a dict of label to "
            "one or several texts, or a file (a label a line; or .csv with rows of label,text).",
            none="the model's own",
            freeze=freeze_labels,
            show=show_labels,
            argument="labels",
        )
    template: str | None = model_setting(
        None, "what `labels` are put into, where they have no texts.", IS_NAME, none=f'"{TEMPLATE}"'
    )
    labels_hold: LabelsHold | None = model_setting(
        None,
        'how many of `labels` hold for a sound: "one" (scores add up to 1) or "several" (each has a score of '
        'its own, and "none" is the tag where no label reaches 0.5).',
        one_of(LabelsHold),
        none="the model's own",
    )
    column: str | None = column_setting(
        None, "the column with the videos.", none="found by its name, type or first values"
    )
    tag_column: str = column_setting(
        TAG_COLUMN, "the column to add; the other columns get its prefix.", IS_NAME
    )
    windows: Windows | int | None = sound_setting(
        None,
        'which parts of a clip: the "first" window, "all" windows, or a number of them spread evenly.',
        Check(f"'first', 'all' or {COUNT}", is_windows, get_args(Windows)),
        none="the model's own",
    )
    hop_seconds: float | None = sound_setting(
        None,
        'step between windows with "all".',
        Check("a number above 0", lambda value: is_number(value) and value > 0),
        none="the model's own",
    )
    top_k: int | None = column_setting(None, "add the k best labels with their scores.", IS_COUNT, none="off")
    threshold: float | str | os.PathLike[str] | None = column_setting(
        None,
        "keep only labels of at least this score in the top_k column, or a file of a score for each class.",
        Check("a score, or a file of scores", lambda value: is_number(value) or isinstance(value, str)),
        none="off",
        is_path=True,
        identify=lambda value: tuple(read_thresholds(value).items()) if isinstance(value, str) else value,
    )
    segments: bool = column_setting(False, "add the label that leads in each part, with start and end.")
    embeddings: bool = column_setting(False, "add the pooled state before the classifier.")
    channels: Channels = sound_setting("mean", '"mean" of all channels, or the "first".', one_of(Channels))
    decoder: Decoder = sound_setting("auto", f"one of {', '.join(DECODER_NAMES)}.", one_of(Decoder))
    device: str | None = model_setting(
        None,
        'such as "cpu" or "cuda:1".',
        Check("such as 'cpu', 'cuda:1', 'mps'", lambda value: bool(DEVICE.fullmatch(str(value))), DEVICES),
        none="a CUDA device by the worker's rank, else the CPU",
        changes="nothing",
    )
    dtype: Dtype = model_setting(
        "float32",
        '"float32", "bfloat16", "float16", "int8" (AST in OpenVINO), or "auto" (bfloat16 where the hardware '
        "has it).",
    )
    engine: Engine = model_setting("torch", '"torch", or "openvino" for CPUs.')
    batch_size: int = model_setting(
        16, "windows of about ten seconds that the model processes at once.", IS_COUNT, changes="nothing"
    )
    batched: bool | None = setting(
        None,
        "whether `map` passes batches; needed only where it cannot be detected.",
        IS_FLAG,
        none="detected",
        changes="nothing",
    )
    on_error: OnError = column_setting(
        "raise", '"raise", or "record" the reason in a column and continue.', one_of(OnError)
    )
    redo: bool = column_setting(False, "tag rows again that have tags, and replace all their columns.")

    def __post_init__(self) -> None:
        for one in fields(self):
            value, about = getattr(self, one.name), one.metadata["about"]
            check = about.check
            if about.is_path and isinstance(value, os.PathLike):
                value = os.fspath(value)
                if one.name == "model" and not os.path.exists(os.path.expanduser(value)):
                    raise SettingsError(f"model={value!r}: there is no such folder.")
                object.__setattr__(self, one.name, value)
            if about.freeze is not None and value is not None:
                value = about.freeze(value)
                object.__setattr__(self, one.name, value)
            is_optional = one.default is None
            if check is not None and not (is_optional and value is None) and not check.is_valid(value):
                raise invalid(one.name, value, "None or " * is_optional + check.expected, check.choices)
            if float in get_args(one.type) and is_number(value):  # 2 and 2.0 are the same setting
                object.__setattr__(self, one.name, float(value))
        if isinstance(self.threshold, str):
            read_thresholds(self.threshold)
        if self.threshold is not None and self.top_k is None:
            raise SettingsError("threshold= trims the column that top_k= adds; pass top_k too.")
        if self.template is not None:
            check_template(self.template, get_setting(self, "labels"))
        if self.labels_hold is not None and get_setting(self, "labels") is None:
            raise SettingsError("labels_hold= says how many of labels= hold; pass labels too.")
        if self.engine == "openvino":
            self.check_openvino()
        elif self.dtype == "int8":
            raise SettingsError(
                "dtype='int8' is computed by engine='openvino' alone, from the extra of that name: pass "
                "both, or dtype='bfloat16' or 'float32'."
            )

    def check_openvino(self) -> None:
        if self.device not in (None, "cpu"):
            raise SettingsError(f"engine='openvino' computes on the CPU, not on device={self.device!r}.")
        if self.dtype == "float16":
            raise SettingsError("engine='openvino' computes in float32, bfloat16 or int8, not in float16.")


# By the arguments of `build_tagger`, in their order
FIELDS = {one.metadata["about"].argument or one.name: one for one in fields(Settings)}
ABOUT: dict[str, About] = {name: one.metadata["about"] for name, one in FIELDS.items()}
DEFAULTS: dict[str, Any] = {name: one.default for name, one in FIELDS.items()}


def get_setting(settings: Settings, name: str) -> Any:
    return getattr(settings, FIELDS[name].name)


def name_fields(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `build_tagger` by the names of their fields."""
    return {FIELDS[name].name: value for name, value in settings.items()}


def takes_settings(
    settings: Callable[Parameters, Settings],
) -> Callable[[Callable[..., Result]], Callable[Parameters, Result]]:
    """Give a function the signature of `Settings`, and its documentation a list of them."""

    def derive(function: Callable[..., Result]) -> Callable[Parameters, Result]:
        made = inspect.signature(function).return_annotation
        parameters = inspect.signature(settings).parameters.values()
        named = [one.replace(name=name) for name, one in zip(ABOUT, parameters, strict=True)]
        signature = inspect.Signature(named, return_annotation=made)
        function.__signature__ = signature  # type: ignore[attr-defined]
        fill = textwrap.TextWrapper(100, " " * 4, " " * 8).fill
        lines = [
            fill(f"{name}: {about.help}" + (f" Default: {about.none}." if about.none else ""))
            for name, about in ABOUT.items()
        ]
        function.__doc__ = "\n".join([inspect.cleandoc(function.__doc__ or ""), "", "Args:", *lines])
        return function

    return derive


def changed_settings(settings: Settings) -> dict[str, Any]:
    """The settings that differ from their defaults, without secrets, to show."""
    changed = {}
    for name, about in ABOUT.items():
        value = get_setting(settings, name)
        if value != DEFAULTS[name] and not about.is_secret:
            is_place = about.is_path and isinstance(value, str)
            changed[name] = public_name(value, folders=True) if is_place else about.show(value)
    return changed


def identify_settings(
    settings: Settings, kinds: Collection[str], without: Collection[str]
) -> tuple[tuple[str, Any], ...]:
    """The settings that differ from their defaults and change one of `kinds`, for fingerprints."""
    changed = {name: get_setting(settings, name) for name in ABOUT if name not in without}
    return tuple(
        (name, identify(value) if (identify := ABOUT[name].identify) else value)
        for name, value in changed.items()
        if ABOUT[name].changes in kinds and value != DEFAULTS[name]
    )


def shown_settings(settings: Settings, *, folders: bool = True) -> dict[str, Any]:
    """The settings that can change a column, without secrets, to show on this machine."""
    shown = {}
    for name, about in ABOUT.items():
        if about.changes != "nothing" and not about.is_secret:
            value = about.show(get_setting(settings, name))
            shown[name] = public_name(value, folders) if about.is_path and isinstance(value, str) else value
    return shown


def public_settings(settings: Settings) -> dict[str, Any]:
    """`shown_settings` without local folders, for cards and metadata."""
    return shown_settings(settings, folders=False)


def public_name(source: str, folders: bool = False) -> str:
    """A Hub id unchanged, a URL without the parts that may be secret, a local path without its folders.

    >>> public_name("https://user:word@example.org/yamnet.h5?signature=abc")
    'https://example.org/yamnet.h5'
    >>> public_name("/home/me/checkpoints/mine")
    'path/to/mine'
    """
    from .cells import is_url
    from .models.downloads import without_secrets

    if is_url(source):
        return without_secrets(source)
    path = PurePath(source)
    return source if folders or is_hub_id(source) or not path.parent.name else f"path/to/{path.name}"


def is_hub_id(model: str) -> bool:
    is_id = "/" in model and HUB_ID.fullmatch(model)
    return bool(is_id) and not os.path.exists(os.path.expanduser(model))
