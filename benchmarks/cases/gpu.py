"""A GPU end to end: clips a second from mp4 files, and how near the model comes to the hardware."""

from ..child import Subject, ask_in_turn, ask_once
from ..outcome import Figure, Outcome
from .bench import LEAN, OURS, Bench, make_rows

CLIPS = 4096
SOURCE_SECONDS = 12  # of which 10.24 are heard
BATCH = 128
FORWARD_CLIPS = 512
# AST-base on 1,214 tokens of 768, a multiplication and an addition counted as two: in each layer
# 24 n d² for the projections and the MLP and 4 n² d for attention; the last layer has keys and values
# for all tokens (4 n d²) and all else for two.
TOKENS, WIDTH, LAYERS = 1_214, 768, 12
FLOP_A_CLIP = (LAYERS - 1) * (24 * TOKENS * WIDTH**2 + 4 * TOKENS**2 * WIDTH) + 4 * TOKENS * WIDTH**2


def gpu(bench: Bench) -> Outcome:
    logs = bench.materials.logs
    if ask_once(Subject("gpu", {}), {"what": "name"}, logs).values["name"] is None:
        return Outcome(left_out="this machine has no GPU that torch sees")
    source = bench.materials.clip(SOURCE_SECONDS, seed=3)
    videos = bench.materials.variants(source, CLIPS)
    on_gpu = {"device": "cuda", "dtype": "bfloat16"}
    name = f"{OURS}, bfloat16"
    tagged = ask_in_turn(
        {
            name: bench.ours(**on_gpu, batch_size=BATCH),
            f"{OURS}, float32": bench.ours(device="cuda", batch_size=BATCH),
        },
        {"videos": videos},
        bench.scale.rounds,
        logs,
    )
    forward = bench.bare(videos[:FORWARD_CLIPS], lean=True, batch=BATCH, **on_gpu)
    model = ask_in_turn({LEAN: forward}, {}, bench.scale.rounds, logs)
    matrices = ask_once(Subject("gpu", {}), {"device": "cuda"}, logs).values["teraflops"]
    reached = FLOP_A_CLIP * FORWARD_CLIPS / model.seconds(LEAN) / 1e12
    figures = [
        Figure("clips a second, bfloat16", CLIPS / tagged.seconds(name), "", at_least=1000),
        Figure("model part over the bfloat16 matrix rate", reached / matrices, "", at_least=0.5),
    ]
    table = make_rows(tagged, CLIPS, name) + make_rows(model, FORWARD_CLIPS, LEAN)
    note = f"Square products of 8,192 reach {matrices:.0f} TFLOP/s here, the forward pass {reached:.0f}."
    return Outcome(table, figures, [note, *tagged.notes(), *model.notes()])
