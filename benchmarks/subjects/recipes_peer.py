"""Recipes in the peer's environment, as `dj-process` runs them: nothing of ours is imported here."""

from data_juicer.config import init_configs
from data_juicer.core.executor.default_executor import DefaultExecutor

from benchmarks.subjects.serving import Job, Run, serve


def prepare(settings: Job) -> Run:
    def run(job: Job) -> dict[str, bool]:
        for recipe in job["recipes"]:
            DefaultExecutor(init_configs(["--config", recipe])).run()
        return {"done": True}

    return run


if __name__ == "__main__":
    serve(prepare)
