"""YAMNet over a whole hour: what decoding and the model take, in each engine and dtype."""

from contextlib import ExitStack
from typing import Any

from ..child import Subject, start
from ..machine import has_bfloat16
from ..outcome import Figure, Outcome, Row
from .bench import Bench

PLAIN = "float32"


def yamnet(bench: Bench) -> Outcome:
    video = bench.materials.long_video(bench.scale.hour_seconds)
    settings: dict[str, dict[str, Any]] = {PLAIN: {}, "float32, openvino": {"engine": "openvino"}}
    if has_bfloat16():
        settings["bfloat16"] = {"dtype": "bfloat16"}
        settings["bfloat16, openvino"] = {"dtype": "bfloat16", "engine": "openvino"}
    table: list[Row] = []
    shares, seconds = {}, {}
    for name, tagger in settings.items():
        given = {"weights": bench.materials.yamnet_weights(), "warm": bench.warm, "tagger": tagger}
        job = {"video": video, "patches": bench.scale.patches}
        with ExitStack() as stack:
            child = start(Subject("yamnet", given), bench.materials.logs, stack)
            decoding = child.ask({**job, "part": "decoding"})
            patches = decoding.values["patches"]
            model = patches / child.ask({**job, "part": "batched"}).values["patches_a_second"]
            if name == PLAIN:
                alone = patches / child.ask({**job, "part": "one by one"}).values["patches_a_second"]
                batches_gain = alone / model
            whole = child.ask({**job, "part": "whole"})
        shares[name] = decoding.seconds / (decoding.seconds + model)
        seconds[name] = whole.seconds
        table.append(
            {
                "setting": name,
                "decoding and windows alone, s": decoding.seconds,
                "model alone, s": model,
                "end to end, s": whole.seconds,
                "CPU s": whole.cpu_seconds,
                "peak MB": round(whole.peak_mb),
            }
        )
    best, fastest = max(shares, key=shares.__getitem__), min(seconds, key=seconds.__getitem__)
    hour = bench.scale.hour_seconds
    figures = [
        Figure(f"decoding's share of {hour} s of video ({best})", shares[best], "", at_least=0.5),
        Figure("batches over a patch at a time", batches_gain, "times", at_least=5),
        Figure(f"seconds of sound heard in a second ({PLAIN})", hour / seconds[PLAIN], ""),
        Figure(f"seconds of sound heard in a second ({fastest})", hour / seconds[fastest], ""),
    ]
    note = f"{patches} patches; the model alone was timed on {bench.scale.patches} of them."
    return Outcome(table, figures, [note])
