"""VGGish: a small VGG over log-mel patches, 128-dimensional embeddings, optionally AudioSet's 527 classes.

It was released without a classifier; others trained one later. Weights without a classifier give embeddings
only: no labels, and logits with zero columns.
"""

from ...audioset.ontology import ontology
from ..spec import ModelSpec
from ..weights import Release
from .patch_family import PatchFamily


class VggishFamily(PatchFamily):
    def read_labels(self, spec: ModelSpec) -> tuple[str, ...]:
        from ..networks.vggish import has_classifier, read_state_dict

        return self.name_classes(has_classifier(read_state_dict(self.find_weights(spec))))


VGGISH = VggishFamily(
    name="vggish",
    release=Release(
        model="vggish",
        files=("vggish_with_classifier.pth", "vggish_orig.pth"),
        urls=(
            "https://github.com/w-hc/vggish/releases/download/v0.1/vggish_with_classifier.pth",
            "https://github.com/w-hc/vggish/releases/download/v0.1/vggish_orig.pth",  # has no classifier
        ),
    ),
    log_offset=0.01,
    hop_samples=15_360,  # 0.96 s: 96 frames, so that no frame is in two windows
    embedding_size=128,
    list_classes=ontology.audioset_classes,
)
