"""Any transformers audio classification checkpoint, on the Hub or in a folder, or the packaged one."""

import os
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...checks import HUB_ID
from ...demo import CHECKPOINT
from ...errors import ModelError, SettingsError
from ...text import one_line
from ..ast_checkpoint import AST, read_ast, read_ast_files
from ..checkpoint_files import (
    digest_folder,
    examine_checkpoint,
    find_commit,
    is_commit,
    list_missing,
    read_model_type,
)
from ..family import AudioModel, Family, ModelFiles
from ..spec import ModelSpec

if TYPE_CHECKING:
    import torch

FLOAT_BYTES = 4

FOLDER_NEEDS = (
    "A local folder needs config.json, preprocessor_config.json and the weights of an audio classification "
    "model, as save_pretrained writes them."
)


@dataclass(frozen=True)
class PretrainedFamily(Family):
    name: str
    packaged: Path | None = None  # the only checkpoint of the family, selected by `name`
    default_windows = "first"

    def recognizes(self, model: str) -> bool:
        return self.packaged is None or model == self.name

    def check(self, spec: ModelSpec) -> None:
        """Refuse what is neither a folder nor an id of the Hub."""
        folder = Path(spec.model).expanduser()
        if self.packaged or folder.is_dir():
            return
        if folder.is_file():
            raise SettingsError(f"model={spec.model!r} is a file. {FOLDER_NEEDS}")
        if not HUB_ID.fullmatch(spec.model):
            raise SettingsError(f"model={spec.model!r}: there is no such folder, and it is no id of the Hub.")

    def locate(self, spec: ModelSpec) -> str:
        """The id or folder that transformers loads."""
        return str(self.packaged or os.path.expanduser(spec.model))

    def load(self, spec: ModelSpec, device: "torch.device") -> AudioModel:
        from ..transformers_model import AstModel

        if spec.engine == "openvino":
            return self.load_openvino(self.pin(spec), device)
        plain = self.read_plain(spec)
        if plain is not None:
            network, extractor = plain
            return AstModel(network.to(device, spec.torch_dtype(device)), extractor, device)
        return self.load_by_transformers(spec, device)

    def read_plain(self, spec: ModelSpec) -> Any:
        """A plain AST in float32 and its extractor, read without transformers; else None."""
        return read_ast(self.locate(spec), spec.revision, spec.token) if self.may_be_plain(spec) else None

    def read_plain_files(self, spec: ModelSpec) -> Any:
        """A plain AST's config and extractor; else None."""
        return (
            read_ast_files(self.locate(spec), spec.revision, spec.token) if self.may_be_plain(spec) else None
        )

    def may_be_plain(self, spec: ModelSpec) -> bool:
        """Whether a checkpoint says that it is an AST, of which no other code is trusted."""
        kind = read_model_type(self.locate(spec), spec.revision, spec.token, download=False)
        return kind == AST and not spec.trust_remote_code

    def load_by_transformers(self, spec: ModelSpec, device: "torch.device") -> AudioModel:
        from ..networks.ast import prune_last_layer
        from ..transformers_model import AstModel, TransformersModel

        config, extractor = self.read_files_by_transformers(spec)
        model = self.load_classifier(spec, config, spec.loading_dtype(device)).to(device)
        if not is_ast(extractor):
            return TransformersModel(model, extractor, device)
        prune_last_layer(model)
        return AstModel(model, extractor, device)

    def read_files_by_transformers(self, spec: ModelSpec) -> tuple[Any, Any]:
        """The config and the feature extractor."""
        import transformers as hf

        source = self.locate(spec)
        with explain_failure(spec) as common:
            config = hf.AutoConfig.from_pretrained(source, **common)
            return config, hf.AutoFeatureExtractor.from_pretrained(source, **common)

    def load_classifier(self, spec: ModelSpec, config: Any, dtype: "torch.dtype") -> Any:
        """transformers' model, if the checkpoint has all of its weights."""
        import transformers as hf

        with explain_failure(spec) as common:
            common |= {"config": config, "dtype": dtype, "output_loading_info": True}
            model, report = hf.AutoModelForAudioClassification.from_pretrained(self.locate(spec), **common)
        if untrained := sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]])):
            # transformers would initialize them randomly, and the tags would be meaningless.
            raise ModelError(
                f"The checkpoint {spec.model!r} has no trained weights for {', '.join(untrained[:5])}: it "
                "was not trained to classify audio. Name a checkpoint that was fine-tuned for it."
            )
        return model.eval()

    def load_openvino(self, spec: ModelSpec, device: "torch.device") -> AudioModel:
        """AST, of which no weights are read where its converted network is kept."""
        from ..engines.conversion import NetworkSource
        from ..engines.openvino import OpenvinoNetwork
        from ..openvino_ast import OpenvinoAstModel, count_parameters

        plain = self.read_plain_files(spec)
        config, extractor = plain or self.read_files_by_transformers(spec)
        if plain is None and not is_ast(extractor):
            kind = config.model_type
            raise ModelError(f"engine='openvino' runs AST, YAMNet and VGGish; {spec.model!r} is a {kind}.")
        digest = digest_folder(self.locate(spec))
        is_known = digest is not None or (spec.revision is not None and is_commit(spec.revision))
        source = NetworkSource(
            partial(self.build_network, spec),
            (int(extractor.max_length), int(extractor.num_mel_bins)),
            FLOAT_BYTES * count_parameters(config),
            (digest or spec.model, spec.revision) if is_known and not spec.trust_remote_code else None,
        )
        with nullcontext() if plain else quiet():  # which loads transformers
            network = OpenvinoNetwork(source, device, spec.resolve_dtype(str(device)))
        return OpenvinoAstModel(network, config, extractor, device)

    def build_network(self, spec: ModelSpec) -> Any:
        """AST in float32, for OpenVINO."""
        import torch

        from ..networks.ast import AstNetwork, prune_last_layer

        plain = self.read_plain(spec)
        if plain is not None:
            return AstNetwork(plain[0]).eval()
        config, _ = self.read_files_by_transformers(spec)
        model = self.load_classifier(spec, config, torch.float32)
        prune_last_layer(model)
        return AstNetwork(model).eval()

    def pin(self, spec: ModelSpec) -> ModelSpec:
        """The spec with the commit that its revision now is on the Hub, so that all files are of the same."""
        if os.path.isdir(self.locate(spec)):
            return spec
        with explain_failure(spec):
            return replace(spec, revision=find_commit(spec.model, spec.revision, spec.token) or spec.revision)

    def list_engines(self, spec: ModelSpec) -> tuple[str, ...]:
        """OpenVINO runs AST only."""
        return self.engines if self.read_config(spec).model_type == AST else ("torch",)

    def read_labels(self, spec: ModelSpec) -> tuple[str, ...]:
        from ..transformers_model import read_class_names

        return read_class_names(self.read_config(spec))

    def read_config(self, spec: ModelSpec) -> Any:
        plain = self.read_plain_files(spec)
        if plain is not None:
            return plain[0]
        from transformers import AutoConfig

        with explain_failure(spec) as common:
            return AutoConfig.from_pretrained(self.locate(spec), **common)

    def identify(self, spec: ModelSpec) -> tuple[Hashable, ...]:
        """A Hub id is identified by its revision."""
        source = self.locate(spec)
        digest = digest_folder(source)
        if digest is not None and not spec.trust_remote_code and (missing := list_missing(Path(source))):
            raise ModelError(f"The folder {source} lacks {', '.join(missing)}. {FOLDER_NEEDS}")
        words = () if spec.labels is None else ((spec.labels, spec.template, spec.labels_hold),)
        return digest or source, spec.revision, spec.trust_remote_code, None, *words

    def find_files(self, spec: ModelSpec) -> ModelFiles:
        if self.packaged:
            return ModelFiles(True, f"{self.name} is packaged")
        return examine_checkpoint(spec.model, spec.revision)


PRETRAINED = PretrainedFamily("transformers")
DEMO = PretrainedFamily("demo", CHECKPOINT)  # a small AST that names synthesized sounds


def is_ast(extractor: Any) -> bool:
    from transformers import ASTFeatureExtractor

    return type(extractor) is ASTFeatureExtractor


@contextmanager
def explain_failure(spec: ModelSpec, folder_needs: str = FOLDER_NEEDS) -> Iterator[dict[str, Any]]:
    """Load without progress output. Errors name the model, the reason and a remedy."""
    settings = {name: getattr(spec, name) for name in ("revision", "trust_remote_code", "token")}
    try:
        with quiet():
            yield {name: value for name, value in settings.items() if value is not None}
    except Exception as error:
        model = f"The model {spec.model!r}" + (f" (revision {spec.revision!r})" if spec.revision else "")
        remedy = (
            "Check the id and the network; for a private or gated model pass token=. Without network, run "
            f"`hf download {spec.model}` where there is one and copy the cache, or name a local folder. "
            'build_tagger("yamnet") is packaged, needs no network, and knows 521 sounds; "demo" '
            "is for trying the package out."
        )
        if Path(spec.model).exists() or spec.model.startswith((".", "/", "~")):
            remedy = folder_needs
        raise ModelError(f"{model} cannot be loaded: {one_line(error, 400)} {remedy}") from error


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
