"""Two small packaged models, and the synthesized sounds that they recognize.

`build_tagger("demo")` and `build_tagger("demo-words", labels=[...])` are for trying the package without a
download, and for tests. The models were not trained on recordings. `sounds` synthesizes their sounds,
`videos` writes them to short mp4 files. In a source checkout, `python -m tools.train_demo.train` and
`python -m tools.train_words.train` train the checkpoints again.
"""

from pathlib import Path

CHECKPOINT: Path = Path(__file__).parent / "checkpoint"
WORDS_CHECKPOINT: Path = Path(__file__).parent / "words"  # an audio-text pair

__all__ = ["CHECKPOINT", "WORDS_CHECKPOINT"]
