"""Many remote clips at a time: in flight together, in order, and all ended with the run."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import remote_site
from remote_clips import Counts, assert_as_local, cut, no_threads_left
from remote_site import RATE_HZ, WAV, Handler, Site, ranges, say_nothing, status, wav_of

from hf_audio_tagger import build_tagger
from hf_audio_tagger.cells import FileMedia
from hf_audio_tagger.decode_ahead import REMOTE_CLIPS
from hf_audio_tagger.errors import MediaError
from hf_audio_tagger.media.remote import web

site_server, site, quick_retries = remote_site.site_server, remote_site.site, remote_site.quick_retries
pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("quick_retries")]

TOGETHER_SECONDS = 30.0  # for threads to meet on a busy machine
SHORT_WAV = wav_of(remote_site.NOISE[: RATE_HZ // 10])


def test_as_many_clips_are_in_flight(site: Site) -> None:
    """No request is answered before all clips have made one."""
    together = threading.Barrier(REMOTE_CLIPS)

    def route(handler: Handler) -> None:
        if "bytes=0-" in handler.headers["Range"]:
            together.wait(TOGETHER_SECONDS)
        ranges(WAV)(handler)

    media = [FileMedia(site.add(f"/{number}.wav", route)) for number in range(REMOTE_CLIPS)]
    with no_threads_left("decode"):
        clips = cut([*media])
    for clip in clips:
        assert_as_local(clip, WAV, "first")


def test_order_errors_and_local_clips_among_them(site: Site, tmp_path: Path) -> None:
    """Later clips answer first, some fail, some are files of this machine."""
    (tmp_path / "local.wav").write_bytes(WAV)
    local, missing = FileMedia(str(tmp_path / "local.wav")), FileMedia(site.url("/missing.wav"))
    delayed = Counts()
    sounds = [wav_of(remote_site.NOISE[: RATE_HZ + 160 * number]) for number in range(8)]
    urls = [
        FileMedia(site.add(f"/{number}.wav", delayed.file(data, 0.05 * (8 - number))))
        for number, data in enumerate(sounds)
    ]
    clips = cut([urls[0], local, *urls[1:5], missing, *urls[5:], local])
    assert "was not found (HTTP 404)" in clips.pop(6)
    for clip, data in zip(clips, [sounds[0], WAV, *sounds[1:], WAV], strict=True):
        assert_as_local(clip, data, "first")


def test_nothing_waits_for_a_dead_server(site: Site) -> None:
    """The dead clip's request lasts until all others have been read."""
    others = 2 * REMOTE_CLIPS // 3
    read = threading.Semaphore(0)

    def count(handler: Handler) -> None:
        ranges(SHORT_WAV)(handler)
        read.release()

    def dead(handler: Handler) -> None:
        for _ in range(others):
            assert read.acquire(timeout=TOGETHER_SECONDS)
        handler.answer(404)

    urls = [site.add("/dead.wav", dead), *(site.add(f"/{number}.wav", count) for number in range(others))]
    clips = cut([FileMedia(url) for url in urls])
    assert "HTTP 404" in clips[0]
    assert all(len(clip) == 1 for clip in clips[1:])


def test_a_stalled_server_costs_twice_the_timeout_at_most(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All together, not each: they wait side by side."""
    monkeypatch.setattr(web, "SILENT_SECONDS", 0.3)
    monkeypatch.setattr(web, "STALLED_SECONDS", 0.6)
    media = [FileMedia(site.add(f"/{number}.wav", say_nothing)) for number in range(20)]
    started = time.monotonic()
    clips = cut([*media])
    assert time.monotonic() - started < 20 * 0.3
    assert all("did not answer for 0.3 s" in clip or "it sent 0 bytes in 0.6" in clip for clip in clips)


def test_an_error_ends_all_at_once(site: Site) -> None:
    urls = [site.add("/gone.wav", status(410))]
    urls += [site.add(f"/{number}.wav", say_nothing) for number in range(20)]
    tagger = build_tagger("demo")
    tagger.tag(WAV)  # loads the model
    started = time.monotonic()
    with no_threads_left("decode"), pytest.raises(MediaError, match="HTTP 410"):
        tagger.tag(urls)
    assert time.monotonic() - started < TOGETHER_SECONDS < web.SILENT_SECONDS


INTERRUPTED = """
import sys
from hf_audio_tagger.cells import FileMedia
from remote_clips import cut, no_threads_left

with no_threads_left("decode"):
    try:
        cut([FileMedia(url) for url in sys.argv[1:]])
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.campaign
@pytest.mark.skipif(sys.platform == "win32", reason="only Unix sends Ctrl-C to one process")
def test_an_interrupt_ends_all_at_once(site: Site) -> None:
    """Ctrl-C while every clip waits, in a process of its own."""
    waits = threading.Event()

    def route(handler: Handler) -> None:
        waits.set()
        say_nothing(handler)

    urls = [site.add(f"/interrupted/{number}.wav", route) for number in range(20)]
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, *urls],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    try:
        assert waits.wait(TOGETHER_SECONDS)
        time.sleep(0.5)  # until all have asked, and the main thread waits as well
        process.send_signal(signal.SIGINT)
        told, errors = process.communicate(timeout=TOGETHER_SECONDS)
        assert told == "interrupted\n", errors
        assert process.returncode == 0
    finally:
        process.kill()


def test_a_whole_clip_goes_on_while_others_wait(site: Site) -> None:
    """Later parts of the current clip need a thread, though all others wait for dead servers."""
    long = wav_of(remote_site.NOISE.repeat(60))  # 36 windows
    ends = threading.Event()

    def dead(handler: Handler) -> None:
        ends.wait(TOGETHER_SECONDS)
        handler.answer(404)

    urls = [site.add("/long.wav", ranges(long))]
    urls += [site.add(f"/{number}.wav", dead) for number in range(REMOTE_CLIPS + 4)]
    found: list[Any] = []
    model = build_tagger("demo", windows="all", on_error="record", batch_size=1)
    for result in model.classify_each(urls):
        found.append(result)
        ends.set()
    assert found[0].error is None
    assert [("HTTP 404" in one.error) for one in found[1:]] == [True] * (REMOTE_CLIPS + 4)


@pytest.mark.campaign
def test_thirty_two_clips_are_ten_times_as_fast_as_one_after_another(site: Site) -> None:
    """With 100 ms for each request."""
    counts = Counts()
    urls = [site.add(f"/{number}.wav", counts.file(WAV, 0.1)) for number in range(32)]
    media = [FileMedia(url) for url in urls]
    cut([*media])  # connections and libraries
    started = time.monotonic()
    apart = [cut([one])[0] for one in media]
    between = time.monotonic()
    together = cut([*media])
    seconds = time.monotonic() - between
    for one, other in zip(apart, together, strict=True):
        assert [start for start, _ in one] == [start for start, _ in other]
    assert (between - started) / seconds >= 10, (between - started, seconds)
