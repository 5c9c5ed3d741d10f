"""AST over all windows of a video, and its network alone on features that are ready."""

from typing import Any

import numpy as np
import torch

from benchmarks.subjects.serving import Job, Run, serve
from hf_audio_tagger import build_tagger, memo
from hf_audio_tagger.cells import FileMedia
from hf_audio_tagger.decode_ahead import decode_ahead
from hf_audio_tagger.models import get_model
from hf_audio_tagger.models.openvino_ast import OpenvinoAstModel
from hf_audio_tagger.models.transformers_model import AstModel
from hf_audio_tagger.process import on_every_core


def prepare(settings: Job) -> Run:
    """`settings`: "tagger" for build_tagger, "warm" a clip to load the model with."""
    tagger = build_tagger(**settings["tagger"], windows="all", device="cpu")
    loaded = get_model(tagger.spec, "cpu")
    assert isinstance(loaded, AstModel | OpenvinoAstModel)
    model: Any = loaded
    options = tagger.pipeline_options(model)
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((options.batch_size, model.window_samples), np.float32) / 10
    with torch.inference_mode():
        features = model.front_end.features(list(noise)).to(getattr(model, "dtype", torch.float32))

    @torch.inference_mode()
    def forward(rows: torch.Tensor) -> None:
        model.forward({"input_values": rows})

    def network(job: Job) -> Job:
        for start in range(0, job["windows"], len(features)):
            rows = features[: job["windows"] - start]
            if isinstance(model, OpenvinoAstModel):
                model.network(rows)
            else:
                on_every_core(forward, rows.split(model.chunk_windows or len(rows)))
        return {}

    def whole(job: Job) -> Job:
        memo.clear()
        return {"tag": tagger.tag(job["video"])}

    def count(job: Job) -> Job:
        chunks = decode_ahead([FileMedia(job["video"])], model, options)
        return {"windows": sum(len(chunk.windows) for chunk in chunks)}

    parts = {"network": network, "whole": whole, "count": count}
    tagger.tag(settings["warm"])
    network({"windows": len(features)})
    return lambda job: parts[job["part"]](job)


if __name__ == "__main__":
    serve(prepare)
