"""Checks each decoder with a synthesized clip. Only PyAV is required; "auto" falls back to it."""

import io
import re
from collections.abc import Iterator

from ..media.decoders import DECODERS
from .libraries import Finding, State, find_import_error, find_version, install_command, shorten

TONE_HZ, TONE_SECONDS, CLIP_RATE_HZ = 440.0, 0.5, 44_100
ROWS_WITHOUT_TORCHCODEC = (
    "Without torchcodec, datasets cannot decode a Video() or Audio() column for ds[0]; tagging, plots and "
    'questions do not need that, and ds.cast_column("video", Video(decode=False))[0] shows path and bytes.'
)
TOLERANCE_HZ = 10.0  # AAC pads the clip, which widens its spectrum slightly


def check_decoders() -> Iterator[Finding]:
    try:
        clip = make_tone_clip()
    except Exception as error:  # PyAV writes the clip
        detail = f"{find_version('av') or 'PyAV is not installed'}: {shorten(error)}"
        yield Finding("pyav", "error", detail, install_command("av"))
        return
    for name in sorted(DECODERS, key="pyav".__ne__):  # the required decoder first
        yield check_decoder(name, clip)


def check_decoder(name: str, clip: bytes) -> Finding:
    library = DECODERS[name].library
    state: State = "error" if name == "pyav" else "warning"
    version = find_version(library)
    if version is None:
        remedy = install_command(library)
        if name == "torchcodec":
            remedy = f"{remedy}. {ROWS_WITHOUT_TORCHCODEC}"
        return Finding(name, "note", f"is not installed; {DECODERS[name].use}", remedy)
    if name == "torchcodec":
        try:
            import torchcodec
            from torchcodec.decoders import AudioDecoder

            if getattr(torchcodec, "ffmpeg_major_version", "unknown") is None:
                AudioDecoder(b"?")  # it can be imported without FFmpeg, and then fails at the first clip
        except Exception as error:
            detail, remedy = explain_torchcodec_error(version, str(error))
            return Finding(name, state, detail, f"{remedy.rstrip('.')}. {ROWS_WITHOUT_TORCHCODEC}")
    if reason := find_import_error(library) or find_decoding_error(name, clip):
        return Finding(name, state, f"{version}: {reason}", install_command(library))
    return Finding(name, "ok", f"{version}, decodes with {describe_ffmpeg(name)}")


def make_tone_clip() -> bytes:
    """A short mp4 with one tone."""
    import numpy as np

    from ..demo.videos import write_video

    file = io.BytesIO()
    times = np.arange(int(TONE_SECONDS * CLIP_RATE_HZ)) / CLIP_RATE_HZ
    write_video(file, 0.5 * np.sin(2 * np.pi * TONE_HZ * times), CLIP_RATE_HZ)
    return file.getvalue()


def find_decoding_error(name: str, clip: bytes) -> str | None:
    """Why a decoder does not decode the tone of `make_tone_clip`; None if it does."""
    try:
        import numpy as np

        from ..cells import BytesMedia
        from ..media.audio import open_sound

        with open_sound(BytesMedia(clip), decoder=name) as sound:
            if sound is None:
                return "finds no audio stream in a clip that has one"
            samples, rate_hz = np.concatenate(list(sound.blocks())), sound.rate_hz
    except Exception as error:
        return f"does not decode ({shorten(error)})"
    tone_hz = float(np.argmax(np.abs(np.fft.rfft(samples)))) * rate_hz / len(samples)
    if rate_hz != CLIP_RATE_HZ or abs(tone_hz - TONE_HZ) > TOLERANCE_HZ:
        given = f"a tone of {TONE_HZ:.0f} Hz sampled at {CLIP_RATE_HZ} Hz"
        return f"decodes {given} as one of {tone_hz:.0f} Hz sampled at {rate_hz} Hz"
    return None


def explain_torchcodec_error(version: str, message: str) -> tuple[str, str]:
    """Detail and remedy from torchcodec's long message, which has a traceback per FFmpeg version."""
    reasons = re.findall(r"^(?:OSError|ImportError): (.+)$", message, re.MULTILINE)
    wrappers = ("Could not load this library", "No spec found")
    absent = re.compile(r"lib(av|sw)\w+[.-].*(cannot open shared object|not loaded|could not be found)", re.I)
    # All FFmpeg versions but the installed one are expected to be absent; any other reason is the cause.
    causes = [one for one in reasons if not one.startswith(wrappers) and not absent.search(one)]
    if causes:
        return f"{version} does not load: {causes[0][:200]}", (
            f"Install the torchcodec that was made for torch {find_version('torch')} (the table at "
            'https://github.com/pytorch/torchcodec), or leave it: decoder="auto" takes PyAV.'
        )
    if not reasons:
        return f"{version} does not load: {' '.join(message.split())[:200]}", install_command("torchcodec")
    tried = re.findall(r"^FFmpeg version (\d+):", message, re.MULTILINE)
    which = f" of a supported version ({min(tried, key=int)} to {max(tried, key=int)})" if tried else ""
    return f"{version} finds no FFmpeg{which} on this system", (
        "apt-get install ffmpeg, brew install ffmpeg or conda install ffmpeg; or leave it: "
        'decoder="auto" takes PyAV, which brings its own, and decodes the beginning of a clip in 9 ms of '
        "two threads where torchcodec takes 6."
    )


def describe_ffmpeg(name: str) -> str:
    """The FFmpeg that a working decoder uses."""
    if name == "pyav":
        import av

        return f"its own FFmpeg {av.ffmpeg_version_info}"
    if name == "torchcodec":
        import torchcodec

        return f"the system's FFmpeg {getattr(torchcodec, 'ffmpeg_major_version', '(version unknown)')}"
    return "an FFmpeg of its own, a whole file at a time"
