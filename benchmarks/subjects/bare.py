"""The model alone, on features that are ready: the floor. transformers' own, or with our last layer."""

import torch
from transformers import ASTFeatureExtractor, ASTForAudioClassification

from benchmarks.subjects.first_window import decoded
from benchmarks.subjects.serving import Job, Run, serve
from hf_audio_tagger.models.networks.ast import prune_last_layer


def prepare(settings: Job) -> Run:
    """`settings`: "model", "videos", "lean", "batch", "dtype", "device"."""
    device, dtype = torch.device(settings.get("device", "cpu")), getattr(torch, settings["dtype"])
    model = ASTForAudioClassification.from_pretrained(settings["model"], dtype=dtype).eval().to(device)
    if settings["lean"]:
        assert prune_last_layer(model)
    extractor = ASTFeatureExtractor.from_pretrained(settings["model"])
    waveforms = decoded(settings["videos"], threads=1)
    features = extractor(waveforms, sampling_rate=16_000, return_tensors="pt").input_values.to(device, dtype)

    def run(_: Job) -> Job:
        with torch.inference_mode():
            logits = torch.cat([model(batch).logits for batch in features.split(settings["batch"])])
            best = logits.argmax(-1).tolist()  # waits for a GPU
        return {"tags": [model.config.id2label[index] for index in best]}

    with torch.inference_mode():
        model(features[: settings["batch"]])
    return run


if __name__ == "__main__":
    serve(prepare)
