"""A small packaged model, and the synthesized sounds that it recognizes.

`build_tagger("demo")` is for trying the package without a download, and for tests. The model was not trained
on recordings. `sounds` synthesizes its sounds, `videos` writes them to short mp4 files. In a source checkout,
`python -m tools.train_demo.train` trains the checkpoint again.
"""

from pathlib import Path

CHECKPOINT: Path = Path(__file__).parent / "checkpoint"

__all__ = ["CHECKPOINT"]
