"""The values of settings that are one of a few: as types, and the other names that these values go by."""

from typing import Literal

DEFAULT_MODEL = "MIT/ast-finetuned-audioset-10-10-0.4593"

Windows = Literal["first", "all"]  # or a number of them
Channels = Literal["mean", "first"]
Decoder = Literal["auto", "torchcodec", "pyav", "decord"]
Dtype = Literal["float32", "bfloat16", "float16", "auto"]
Engine = Literal["torch", "openvino"]
OnError = Literal["raise", "record"]

OTHER_NAMES = {
    "float32": ("fp32", "f32", "float", "single", "full"),
    "bfloat16": ("bf16", "bfp16", "brain"),
    "float16": ("fp16", "f16", "half"),
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
