"""The values of settings that are one of a few, as types, with their other names; tags that are no label."""

from typing import Literal

DEFAULT_MODEL = "MIT/ast-finetuned-audioset-10-10-0.4593"

Windows = Literal["first", "all"]  # or a number of them
Channels = Literal["mean", "first"]
Decoder = Literal["auto", "torchcodec", "pyav", "decord"]
Dtype = Literal["float32", "bfloat16", "float16", "int8", "auto"]
Engine = Literal["torch", "openvino"]
OnError = Literal["raise", "record"]
LabelsHold = Literal["one", "several"]

EMPTY = "EMPTY"  # the tag of a clip without an audio stream
NONE = "none"  # of a clip for which none of the labels holds, where each has a score of its own
NO_LABELS = {EMPTY: "without an audio stream", NONE: "for which no label holds"}

OTHER_NAMES = {
    "float32": ("fp32", "f32", "float", "single", "full"),
    "bfloat16": ("bf16", "bfp16", "brain"),
    "float16": ("fp16", "f16", "half"),
    "int8": ("i8", "8bit", "8-bit", "8"),
    "torch": ("pytorch",),
    "openvino": ("ov",),
    "pyav": ("av", "ffmpeg"),
    "mean": ("mono", "average", "avg"),
    "first": ("left", "start", "begin", "beginning"),
    "all": ("every", "full", "whole"),
    "record": ("skip", "ignore", "continue"),
    "raise": ("error", "fail", "stop"),
    "cuda": ("gpu", "nvidia"),
    DEFAULT_MODEL: ("ast",),
}
