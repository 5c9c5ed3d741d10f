"""How much a model is given at once: by the sound in its windows, not by how closely they follow."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from random_weights import write_yamnet

from hf_audio_tagger import Tagger, build_tagger, models
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.models import ModelOutput


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many windows each call of a model was given."""
    counts: list[int] = []
    get_model = models.get_model

    class Counting:
        def __init__(self, model: Any) -> None:
            self.model = model

        def __getattr__(self, name: str) -> Any:
            return getattr(self.model, name)

        def predict(self, windows: Sequence[np.ndarray]) -> ModelOutput:
            counts.append(len(windows))
            return self.model.predict(windows)

    monkeypatch.setattr(models, "get_model", lambda *given: Counting(get_model(*given)))
    return counts


def classify(tagger: Tagger, *seconds: float) -> None:
    """No two clips are alike: what is equal is scored once."""
    sounds = [synthesize("Siren", one, 16_000, seed) for seed, one in enumerate(seconds)]
    tagger.classify([{"array": sound, "sampling_rate": 16_000} for sound in sounds])


def test_close_windows_of_a_long_model_do_not_make_large_batches(calls: list[int]) -> None:
    classify(build_tagger("demo", windows="all", hop_seconds=0.2, batch_size=2, device="cpu"), 13.0, 11.0)
    assert sum(calls) == 15 + 5
    assert max(calls) == 2


@pytest.mark.parametrize(("hop_seconds", "largest"), [(None, 42), (0.1, 42), (2.0, 10)])
def test_a_batch_of_short_windows_is_as_large_as_its_stretches(
    calls: list[int], hop_seconds: float | None, largest: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    weights = write_yamnet(tmp_path_factory.mktemp("yamnet") / "yamnet.pth")
    tagger = build_tagger("yamnet", weights=weights, hop_seconds=hop_seconds, batch_size=2, device="cpu")
    classify(tagger, 31.0)
    assert max(calls) == largest


def test_one_window_a_clip_fills_batches_of_so_many_clips(calls: list[int]) -> None:
    classify(build_tagger("demo", batch_size=4, device="cpu"), *[1.0] * 9)
    assert calls == [4, 4, 1]
