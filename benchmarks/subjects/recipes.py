"""Recipes in this package."""

from benchmarks.subjects.serving import Job, Run, serve
from hf_audio_tagger.recipes import run_recipe


def prepare(settings: Job) -> Run:
    def run(job: Job) -> dict[str, bool]:
        for recipe in job["recipes"]:
            run_recipe(recipe, lambda line: None, overwrite=True)
        return {"done": True}

    return run


if __name__ == "__main__":
    serve(prepare)
