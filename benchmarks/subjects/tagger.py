"""This package, as a user runs it: `ds.map(tagger)`."""

from datasets import Dataset

from benchmarks.subjects.serving import Job, Run, resident_mb, serve
from hf_audio_tagger import build_tagger, memo


def prepare(settings: Job) -> Run:
    """`settings`: "tagger" for build_tagger, "warm" a clip to load the model with, "num_proc"."""
    tagger = build_tagger(**settings["tagger"])
    if settings.get("warm"):
        tagger.tag(settings["warm"])

    def run(job: Job) -> Job:
        memo.clear()
        rows = Dataset.from_dict({"video": job["videos"]})
        tagged = rows.map(tagger, batched=True, batch_size=64, num_proc=settings.get("num_proc"))
        return {
            "tags": [tags[0] for tags in tagged["video_audio_tags"]],
            "resident_mb": resident_mb(),
        }

    return run


if __name__ == "__main__":
    serve(prepare)
