"""transformers' pipeline, given each video's whole sound: decoding is ours, all else is its own."""

import numpy as np
from transformers import pipeline

from benchmarks.subjects.serving import Job, Run, serve
from hf_audio_tagger.cells import FileMedia
from hf_audio_tagger.media.audio import open_sound
from hf_audio_tagger.media.resample import resample


def prepare(settings: Job) -> Run:
    classify = pipeline("audio-classification", model=settings["model"], device="cpu")
    assert classify.feature_extractor is not None
    rate_hz = classify.feature_extractor.sampling_rate

    def tag(video: str) -> str:
        with open_sound(FileMedia(video), "pyav", "first") as sound:
            assert sound is not None
            whole = resample(np.concatenate(list(sound.blocks())), sound.rate_hz, rate_hz)
        return str(classify({"raw": whole, "sampling_rate": rate_hz}, top_k=1)[0]["label"])

    tag(settings["warm"])
    return lambda job: {"tags": [tag(video) for video in job["videos"]]}


if __name__ == "__main__":
    serve(prepare)
