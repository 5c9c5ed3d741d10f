"""The cases, in the order that they run."""

from .against_peers import bfloat16, clips, hour, overhead, repeats
from .bench import Bench, Case
from .cores import cores
from .find import find
from .flat import decode, leak, rows, workers
from .gpu import gpu
from .index import index
from .int8 import int8
from .page import page
from .patches import long, yamnet
from .pictures import motion, text
from .ray import ray
from .recipes import recipes
from .remote import remote
from .startup import startup
from .truth import evaluation, neighbors
from .twice import twice
from .words import words

__all__ = ["CASES", "Bench", "Case"]

CASES = {
    case.name: case
    for case in (
        Case("startup", "importing, and from the start of a process to its first tag", startup),
        Case("decode", "10.24 s of sound from an mp4 file", decode),
        Case("clips", "12 to 50 s clips, AST-base, float32", clips),
        Case("bfloat16", "the same clips, bfloat16 and int8", bfloat16),
        Case("int8", "AST-base in OpenVINO: bits, starts and memory", int8),
        Case("overhead", "the pipeline's time over its model's", overhead),
        Case("hour", "one video of an hour, AST-base, float32", hour),
        Case("repeats", "each video in five rows, AST-base, float32", repeats),
        Case("twice", "a memory of windows: its cost where all differ, its gain where half repeat", twice),
        Case("leak", "memory over 2,000 clips, demo model", leak),
        Case("rows", "10,000 rows over 1,000, demo model, nothing remembered", rows),
        Case("remote", "clips behind a web server: bytes, requests, many at a time", remote),
        Case("workers", "processes and threads, AST-base, float32", workers),
        Case("cores", "4, 16 and 64 cores: a model that only waits", cores),
        Case("ray", "a Ray cluster on this machine, beside num_proc=2 and beside one node", ray),
        Case("yamnet", "YAMNet over the whole of an hour", yamnet),
        Case("long", "every window of a long video, AST-base", long),
        Case("index", "an index of 2,000,000 rows, and the files of a folder", index),
        Case("neighbors", "2,000 embeddings against 200,000, beside the bare matrix product", neighbors),
        Case("find", "a row against 1,000,000 embeddings of 512 numbers", find),
        Case("evaluation", "AP, AUC and lwlrap of 20,371 x 527 scores, beside scikit-learn", evaluation),
        Case("page", "a report of 100,000 clips: its making, and its page in a browser", page),
        Case("recipes", "recipes of filters and the mapper, against the peer's files", recipes),
        Case("motion", "motion scores, against the peer's filter", motion),
        Case("text", "areas of text, ppocr against easyocr", text),
        Case("words", "CLAP of the published sizes beside AST-base, and fifty labels", words),
        Case("gpu", "AST-base on a GPU", gpu),
    )
}
