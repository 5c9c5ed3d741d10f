"""YAMNet over a long video: all of it, and its parts alone."""

import time
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch

from benchmarks.subjects.serving import Job, Run, serve
from hf_audio_tagger import build_tagger, memo
from hf_audio_tagger.cells import FileMedia
from hf_audio_tagger.chunks import windows_per_unit
from hf_audio_tagger.decode_ahead import decode_ahead
from hf_audio_tagger.models import get_model
from hf_audio_tagger.models.front_ends.logmel import log_mel
from hf_audio_tagger.models.networks import build_network, read_state_dict
from hf_audio_tagger.models.networks.yamnet import Yamnet
from hf_audio_tagger.models.patch_model import PatchModel
from hf_audio_tagger.windows import Window


def prepare(settings: Job) -> Run:
    """`settings`: "weights", "tagger" for build_tagger, "warm" a clip to load the model with."""
    tagger = build_tagger("yamnet", weights=settings["weights"], device="cpu", **settings["tagger"])
    model = get_model(tagger.spec, "cpu")
    assert isinstance(model, PatchModel)
    options = tagger.pipeline_options(model)
    # The release's network as it is, each batch norm apart. Unprepared it answers wrongly, at the same cost.
    weights = Path(settings["weights"])
    plain = build_network(Yamnet, read_state_dict(weights), weights)

    def windows_of(video: str) -> Iterator[Window]:
        chunks = decode_ahead([FileMedia(video)], model, options)
        return chain.from_iterable(chunk.windows for chunk in chunks)

    def whole(job: Job) -> Job:
        memo.clear()
        return {"tag": tagger.tag(job["video"])}

    def side_by_side(job: Job) -> Job:
        memo.clear()
        return {"tags": [result.tag for result in tagger.classify_each(job["videos"])]}

    def decoding(job: Job) -> Job:
        return {"patches": sum(1 for _ in windows_of(job["video"]))}

    def patches_of(job: Job) -> list[np.ndarray]:
        return [window.samples for window in islice(windows_of(job["video"]), job["patches"])]

    def batched(job: Job) -> Job:
        patches, size = patches_of(job), options.batch_size * windows_per_unit(model, options)
        model.predict(patches[:size])
        started = time.perf_counter()
        for start in range(0, len(patches), size):
            model.predict(patches[start : start + size])
        return {"patches_a_second": len(patches) / (time.perf_counter() - started)}

    def one_by_one(job: Job) -> Job:
        patches = patches_of(job)
        started = time.perf_counter()
        with torch.inference_mode():
            for patch in patches:
                plain(log_mel(torch.from_numpy(patch)[None], model.log_offset))[1].numpy()
        return {"patches_a_second": len(patches) / (time.perf_counter() - started)}

    parts = {
        "whole": whole,
        "side by side": side_by_side,
        "decoding": decoding,
        "batched": batched,
        "one by one": one_by_one,
    }
    tagger.tag(settings["warm"])
    return lambda job: parts[job["part"]](job)


if __name__ == "__main__":
    serve(prepare)
