"""Clips behind a web server on this machine: bytes and requests, and many of them at a time."""

import time

from benchmarks.subjects.first_window import WINDOW_SECONDS, decoded
from benchmarks.subjects.remote_clips import find_span_bytes, make_clip, serving
from benchmarks.subjects.serving import Job, Run, serve


def prepare(settings: Job) -> Run:
    """`part`: "window" for the first window of a container, "together" for many clips at a time."""

    def measure_window(job: Job) -> Job:
        data = make_clip(job["container"], job["clip_seconds"])
        with serving() as server:
            decoded([server.add("clip", data)], "pyav")
            span = find_span_bytes(data, 0, WINDOW_SECONDS)
            return {"span": span, "sent_bytes": server.sent_bytes, "requests": server.requests}

    def measure_together(job: Job) -> Job:
        data = make_clip("mp4, index last", job["clip_seconds"], picture_bytes=10_000)
        with serving(job["delay_seconds"]) as server:
            urls = [server.add(str(number), data) for number in range(job["clips"])]
            decoded(urls[:1], "pyav")  # libraries
            started = time.perf_counter()
            for url in urls:
                decoded([url], "pyav")
            apart = time.perf_counter() - started
            decoded(urls, "pyav")
            return {"apart": apart, "together": time.perf_counter() - started - apart}

    def run(job: Job) -> Job:
        return measure_window(job) if job["part"] == "window" else measure_together(job)

    return run


if __name__ == "__main__":
    serve(prepare)
