"""What is measured on: media and weights, made once into the cache, the same on every machine."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .child import Subject, ask_once
from .peer_environment import peer_python

SHORTEST_SECONDS, LONGEST_SECONDS = 12, 50


@dataclass(frozen=True)
class Materials:
    """Paths of what is there, made when it is first asked for. Everything is seeded."""

    cache: Path

    @property
    def logs(self) -> Path:
        return self.cache / "logs"

    def made(self, kind: str, name: str, **details: object) -> str:
        """A file or folder in the cache; a process of its own makes it, and all of it or nothing."""
        path = self.cache / name
        if not path.exists():
            print(f"Making {name} ...", flush=True)
            part = path.with_name(f"part-{os.getpid()}-{path.name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            ask_once(Subject("maker", {}), {"kind": kind, "path": str(part), **details}, self.logs)
            part.rename(path)
        return str(path)

    def weights(self, size: str) -> str:
        """AST with random weights: "ast-base" as published (527 classes), or "ast-tiny" for a try."""
        return self.made("ast", size, size=size)

    def yamnet_weights(self) -> str:
        return self.made("yamnet", "yamnet.pth")

    def clips(self, count: int) -> list[str]:
        """Mp4 files of 12 to 50 s, stereo at 44.1 kHz, every other one in h264."""
        step = (LONGEST_SECONDS - SHORTEST_SECONDS) / max(1, count - 1)
        seconds = [round(SHORTEST_SECONDS + index * step) for index in range(count)]
        codecs = ["libx264" if index % 2 == 0 else "mpeg4" for index in range(count)]
        return [
            self.clip(length, codec, seed)
            for seed, (length, codec) in enumerate(zip(seconds, codecs, strict=True))
        ]

    def clip(self, seconds: int, codec: str = "libx264", seed: int = 0) -> str:
        name = f"clips/{codec}-{seconds}s-{seed}.mp4"
        return self.made("clip", name, seconds=seconds, codec=codec, seed=seed)

    def long_video(self, seconds: int, seed: int = 0) -> str:
        """A minute over and over, h264."""
        name = f"clips/long-{seconds}s{f'-{seed}' if seed else ''}.mp4"
        return self.made("long", name, minute=self.clip(60, seed=seed), seconds=seconds)

    def tiny_clips(self, count: int) -> list[str]:
        """Mp4 files of 1 to 3 s."""
        folder = Path(self.made("tiny", f"tiny-{count}", count=count))
        return sorted(map(str, folder.iterdir()))

    def words(self, count: int) -> list[str]:
        """Mp4 files with from no text to seven lines of it."""
        folder = Path(self.made("words", f"words-{count}", count=count))
        return sorted(map(str, folder.iterdir()))

    def frames(self, source: str, count: int) -> list[str]:
        """Mp4 files of one picture each, from all over a video."""
        name = f"frames/{Path(source).stem}-{count}"
        folder = Path(self.made("frames", name, source=source, count=count))
        return sorted(map(str, folder.iterdir()))

    def variants(self, path: str, count: int) -> list[str]:
        """Files that cost what this one does, each with another sound: what is equal is heard once."""
        name = f"variants-{Path(path).stem}-{count}"
        folder = Path(self.made("variants", name, source=path, count=count))
        return sorted(map(str, folder.iterdir()))

    @cached_property
    def peer_python(self) -> str:
        return peer_python(self.cache)
