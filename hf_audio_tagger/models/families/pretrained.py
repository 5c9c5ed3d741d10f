"""Any audio classification checkpoint of transformers, on the Hub or in a folder."""

import os
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ModelError
from ...text import one_line
from ..checkpoint_files import examine_checkpoint
from ..family import Family, ModelFiles
from ..file_digests import digest_folder
from ..model import AudioModel
from ..spec import ModelSpec

if TYPE_CHECKING:
    import torch


class PretrainedFamily(Family):
    name = "transformers"

    def recognizes(self, model: str) -> bool:
        return True

    def locate(self, spec: ModelSpec) -> str:
        """The id or folder that transformers loads."""
        return os.path.expanduser(spec.model)

    def load(self, spec: ModelSpec, device: "torch.device") -> AudioModel:
        from transformers import ASTFeatureExtractor

        from ..ast_model import AstModel, OpenvinoAstModel
        from ..transformers_model import TransformersModel

        model, extractor = load_checkpoint(spec, self.locate(spec), device)
        is_ast = type(extractor) is ASTFeatureExtractor
        with quiet():
            if spec.engine == "torch":
                return (AstModel if is_ast else TransformersModel)(model, extractor, device)
            if is_ast:
                return OpenvinoAstModel(model, extractor, device, spec.torch_dtype(device))
        kind = model.config.model_type
        raise ModelError(f"engine='openvino' runs AST, YAMNet and VGGish; {spec.model!r} is a {kind}.")

    def read_labels(self, spec: ModelSpec) -> tuple[str, ...]:
        from transformers import AutoConfig

        from ..transformers_model import read_class_names

        try:
            with quiet():
                return read_class_names(AutoConfig.from_pretrained(self.locate(spec), **hub_arguments(spec)))
        except Exception as error:
            raise ModelError(describe_failure(spec, error)) from error

    def identify(self, spec: ModelSpec) -> tuple[Hashable, ...]:
        """A Hub id counts by its revision."""
        source = self.locate(spec)
        return digest_folder(source) or source, spec.revision, spec.trust_remote_code, None

    def find_files(self, spec: ModelSpec) -> ModelFiles:
        return examine_checkpoint(spec.model, spec.revision)


PRETRAINED = PretrainedFamily()


def load_checkpoint(spec: ModelSpec, source: str, device: "torch.device") -> tuple[Any, Any]:
    """A checkpoint's model and its feature extractor."""
    from transformers import AutoConfig, AutoFeatureExtractor, AutoModelForAudioClassification

    common = hub_arguments(spec)
    try:
        with quiet():
            config = AutoConfig.from_pretrained(source, **common)
            extractor = AutoFeatureExtractor.from_pretrained(source, **common)
            common |= {"config": config, "dtype": spec.loading_dtype(device), "output_loading_info": True}
            model, report = AutoModelForAudioClassification.from_pretrained(source, **common)
    except Exception as error:
        raise ModelError(describe_failure(spec, error)) from error
    if untrained := sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]])):
        # transformers would fill them at random, and every tag would be a guess.
        raise ModelError(
            f"The checkpoint {spec.model!r} has no trained weights for {', '.join(untrained[:5])}: it was "
            "not trained to classify audio. Name a checkpoint that was fine-tuned for it."
        )
    return model.eval().to(device), extractor


def hub_arguments(spec: ModelSpec) -> dict[str, Any]:
    settings = {name: getattr(spec, name) for name in ("revision", "trust_remote_code", "token")}
    return {name: value for name, value in settings.items() if value is not None}


def describe_failure(spec: ModelSpec, error: Exception) -> str:
    """Which model, why it failed, and what to do."""
    model = f"The model {spec.model!r}" + (f" (revision {spec.revision!r})" if spec.revision else "")
    reason = one_line(error, 400)
    if Path(spec.model).exists() or spec.model.startswith((".", "/", "~")):
        remedy = (
            "A local folder needs config.json, preprocessor_config.json and the weights of an audio "
            "classification model, as save_pretrained writes them."
        )
    else:
        remedy = (
            "Check the id and the network; for a private or gated model pass token=. Without network, run "
            f"`hf download {spec.model}` where there is one and copy the cache, or name a local folder. "
            'To try the package offline, model="demo" is packaged.'
        )
    return f"{model} cannot be loaded: {reason} {remedy}"


@contextmanager
def quiet() -> Iterator[None]:
    """Hide transformers' progress bars and notes while a model loads; bars of downloads stay."""
    from huggingface_hub.utils import are_progress_bars_disabled, enable_progress_bars
    from transformers.utils import logging

    verbosity, shows_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    hides_downloads = are_progress_bars_disabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()  # also disables the Hub's
    if not hides_downloads:
        enable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if shows_bars:
            logging.enable_progress_bar()
