"""A small model that comes with the package, and the synthesized sounds it knows.

It is for trying the package and for tests, with no download: `build_tagger("demo")`. It tells a
sine wave from a siren; it was never shown a recording. `sounds` synthesizes what it knows,
`videos` writes that into short mp4 files, and `train` makes the checkpoint anew.
"""

from pathlib import Path

CHECKPOINT: Path = Path(__file__).parent / "checkpoint"

__all__ = ["CHECKPOINT"]
