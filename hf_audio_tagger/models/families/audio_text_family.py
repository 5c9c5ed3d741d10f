"""The base of the families that compare sound with text: a checkpoint, and labels in a user's own words."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ...errors import ModelError, SettingsError
from ..family import AudioModel
from ..spec import FLOAT_DTYPES, ModelSpec
from .pretrained import PretrainedFamily, explain_failure

if TYPE_CHECKING:
    import torch

    from ..audio_text_model import AudioTextPair


FOLDER_NEEDS = (
    "A local folder needs the files of the model and those of its processor, tokenizer included, as "
    "save_pretrained of both writes them."
)


@dataclass(frozen=True)
class AudioTextFamily(PretrainedFamily):
    """Found by the type in a checkpoint's config, or for a packaged one by its name."""

    engines = ("torch",)
    dtypes = FLOAT_DTYPES
    takes_labels = True
    without_labels = (
        "model={model!r} compares sound with text and needs the labels to choose from: pass "
        'labels="siren,bell"; or embeddings=True alone (the tags are then null).'
    )
    has_own_scores = False

    def recognizes(self, model: str) -> bool:
        return self.packaged is not None and model == self.name

    def load(self, spec: ModelSpec, device: "torch.device") -> AudioModel:
        from ..audio_text_model import AudioTextModel, share_pair

        unlabelled = replace(spec, labels=None, template=None, labels_hold=None)
        key = (self.name, self.identify(unlabelled), spec.resolve_dtype(str(device)), str(device))
        return AudioTextModel(share_pair(key, lambda: self.load_pair(spec, device)), spec)

    @abstractmethod
    def load_pair(self, spec: ModelSpec, device: "torch.device") -> "AudioTextPair":
        """Load the two networks with the front end and the tokenizer."""

    def load_parts(
        self, spec: ModelSpec, device: "torch.device", kind: Any, processor: Any
    ) -> tuple[Any, Any]:
        """A checkpoint's model and processor, of these classes of transformers."""
        source = self.locate(spec)
        with explain_failure(spec, FOLDER_NEEDS) as common:
            parts = processor.from_pretrained(source, **common)
            common |= {"dtype": spec.torch_dtype(device), "output_loading_info": True}
            model, report = kind.from_pretrained(source, **common)
        if untrained := sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]])):
            raise ModelError(
                f"The checkpoint {spec.model!r} has no trained weights for {', '.join(untrained[:5])}: it "
                f"is no whole {kind.__name__}."
            )
        # Where its files are missing, transformers makes a tokenizer that knows no word.
        if not set(parts.tokenizer("dog")["input_ids"]) - set(parts.tokenizer.all_special_ids):
            raise ModelError(
                f"The checkpoint {spec.model!r} has no tokenizer, and so no text side. {FOLDER_NEEDS}"
            )
        return model.eval().to(device), parts

    def list_engines(self, spec: ModelSpec) -> tuple[str, ...]:
        return self.engines

    def read_labels(self, spec: ModelSpec) -> tuple[str, ...]:
        from ..audio_text_model import list_labels

        return list_labels(spec, self.has_own_scores)


def tokenize(tokenizer: Any, texts: Sequence[str], most_tokens: int) -> Any:
    """Texts as padded tokens; none is cut, which would change its meaning."""
    tokens = tokenizer(list(texts), padding=True, return_tensors="pt")
    if tokens["input_ids"].shape[1] > most_tokens:
        longest = max(texts, key=len)
        raise SettingsError(
            f"The text {longest!r:.80} is too long: the model reads {most_tokens} tokens at most."
        )
    return tokens
