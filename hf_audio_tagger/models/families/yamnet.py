"""YAMNet: MobileNet v1 over log-mel patches, 3.7 million parameters, 521 classes of AudioSet.

Its weights are packaged in int8, 3.8 MB; `packaged/NOTICE` says where they come from.
"""

from pathlib import Path

from ...audioset.ontology import ontology
from ..weights import Release
from .patch_family import PatchFamily

YAMNET = PatchFamily(
    name="yamnet",
    release=Release(
        model="yamnet",
        files=("yamnet.pth", "yamnet.h5"),
        urls=(
            "https://github.com/w-hc/torch_audioset/releases/download/v0.1/yamnet.pth",
            "https://storage.googleapis.com/audioset/yamnet.h5",
        ),
        packaged=Path(__file__).parents[1] / "packaged" / "yamnet-int8.safetensors",
    ),
    log_offset=0.001,
    hop_samples=7_680,  # 0.48 s: half a patch, as in the original inference code
    embedding_size=1_024,
    list_classes=ontology.yamnet_classes,
)
