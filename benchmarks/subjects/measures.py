"""Measures of pictures, as a user runs them: `ds.map(measure)`."""

from datasets import Dataset

import hf_audio_tagger
from benchmarks.subjects.serving import Job, Run, serve


def prepare(settings: Job) -> Run:
    """`settings`: "measure" names a function of the package, "options" are its settings."""
    measure = getattr(hf_audio_tagger, settings["measure"])(**settings.get("options", {}))
    if settings.get("warm"):
        measure.compute(settings["warm"])

    def run(job: Job) -> Job:
        rows = Dataset.from_dict({"video": job["videos"]})
        measured = rows.map(measure, batched=True, load_from_cache_file=False)
        return {"values": [value for [value] in measured[measure.name]]}

    return run


if __name__ == "__main__":
    serve(prepare)
