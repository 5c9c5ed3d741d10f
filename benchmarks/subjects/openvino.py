"""AST in OpenVINO from the start of a process. Nothing heavy is imported before the first job asks for it."""

import resource

from benchmarks.subjects.serving import KIB_PER_UNIT, Job, Run, serve

WINDOW_SECONDS, RATE_HZ = 10.24, 16_000
SEED = 20_261


def prepare(settings: Job) -> Run:
    """`settings`: "tagger" for build_tagger."""

    def start(_: Job) -> Job:
        """The time to the first tag."""
        from hf_audio_tagger import build_tagger

        build_tagger(**settings["tagger"]).tag(make_sound(0))
        children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * KIB_PER_UNIT / 1024
        return {"largest_child_mb": children}

    def compute(job: Job) -> Job:
        """The model's logits of some windows."""
        from hf_audio_tagger import build_tagger
        from hf_audio_tagger.models import get_model

        model = get_model(build_tagger(**settings["tagger"]).spec, "cpu")
        windows = [make_sound(index)["array"] for index in range(job["windows"])]
        return {"logits": model.predict(windows).logits.tolist()}

    parts = {"start": start, "compute": compute}
    return lambda job: parts[job["part"]](job)


def make_sound(index: int) -> Job:
    from hf_audio_tagger.demo.sounds import LABELS, synthesize

    label = LABELS[index % len(LABELS)]
    return {"array": synthesize(label, WINDOW_SECONDS, RATE_HZ, SEED + index), "sampling_rate": RATE_HZ}


if __name__ == "__main__":
    serve(prepare)
