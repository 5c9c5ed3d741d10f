"""A small model that comes with the package, and the synthesized sounds that it names.

It is for trying the package without a download, and for tests: `build_tagger("demo")`. It was never trained
on a recording. `sounds` synthesizes what it names, `videos` writes that into short mp4 files. In a checkout
of the sources, `python -m tools.train_demo.train` trains the checkpoint again.
"""

from pathlib import Path

CHECKPOINT: Path = Path(__file__).parent / "checkpoint"

__all__ = ["CHECKPOINT"]
