"""YAMNet over a whole hour: decoding is the larger part, and patches go through together."""

from contextlib import ExitStack

from ..child import Subject, start
from ..outcome import Figure, Outcome
from .bench import Bench


def yamnet(bench: Bench) -> Outcome:
    video = bench.materials.long_video(bench.scale.hour_seconds)
    subject = Subject("yamnet", {"weights": bench.materials.yamnet_weights(), "warm": bench.warm})
    with ExitStack() as stack:
        child = start(subject, bench.materials.logs, stack)
        whole = child.ask({"part": "whole", "video": video})
        decoding = child.ask({"part": "decoding", "video": video})
        patches = decoding.said["patches"]
        model = child.ask({"part": "model", "video": video, "patches": bench.scale.patches}).said
    batched = patches / model["batched_a_second"]
    one_by_one = patches / model["one_by_one_a_second"]
    table = [
        {"what": "decoding and windows alone", "s": decoding.seconds},
        {"what": "the model alone, in batches", "s": batched},
        {"what": "the model alone, a patch at a time", "s": one_by_one},
        {"what": "end to end, the two overlapping", "s": whole.seconds, "peak MB": round(whole.peak_mb)},
    ]
    share = decoding.seconds / (decoding.seconds + batched)
    figures = [
        Figure(f"decoding's share of {bench.scale.hour_seconds} s of video", share, "", at_least=0.5),
        Figure("batches over a patch at a time", one_by_one / batched, "times", at_least=5),
        Figure("seconds of sound heard in a second", bench.scale.hour_seconds / whole.seconds, ""),
    ]
    note = f"{patches} patches; the model's parts were timed on {bench.scale.patches} of them."
    return Outcome(table, figures, [note])
