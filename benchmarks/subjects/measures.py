"""Measures of pictures of a list of videos, without a dataset, as a recipe's filter computes them."""

import hf_audio_tagger
from benchmarks.subjects.serving import Job, Run, serve


def prepare(settings: Job) -> Run:
    """`settings`: "measure" names a function of the package, "options" are its settings."""
    measure = getattr(hf_audio_tagger, settings["measure"])(**settings.get("options", {}))
    if settings.get("warm"):
        measure.compute(settings["warm"])

    def run(job: Job) -> Job:
        return {"values": measure.compute(job["videos"])}

    return run


if __name__ == "__main__":
    serve(prepare)
