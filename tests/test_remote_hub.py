"""Media of the Hub: the token of a tagger, which no other host gets, and one redirect for each clip."""

from typing import Any

import datasets
import pytest
import remote_site
from hub_server import serve
from huggingface_hub import HfApi
from remote_clips import WINDOW_SECONDS, Counts, assert_as_local, cut
from remote_site import WAV, Site, redirect, zip_of

from benchmarks.subjects.remote_clips import find_span_bytes, make_clip
from hf_audio_tagger import build_tagger, tag_dataset
from hf_audio_tagger.cells import FileMedia
from hf_audio_tagger.media.remote.hub import find_hub_url

site_server, site, quick_retries = remote_site.site_server, remote_site.site, remote_site.quick_retries
pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("quick_retries")]

TOKEN = "hf_secret"


@pytest.fixture
def hub(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The site as the Hub, for a user who is not logged in."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", site.url(""))
    return site


@pytest.mark.campaign
def test_a_token_opens_private_clips(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """In every kind of cell and URL, in a run as well; it is never in a message."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with serve({TOKEN: "me"}) as hub:
        monkeypatch.setattr(datasets.config, "HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)  # for workers that are spawned
        api = HfApi(hub.url, TOKEN)
        api.create_repo("me/clips", repo_type="dataset", private=True)
        for name, data in (("a.wav", WAV), ("a.zip", zip_of(WAV))):
            api.upload_file(path_or_fileobj=data, path_in_repo=name, repo_id="me/clips", repo_type="dataset")
        cells = [
            "hf://datasets/me/clips/a.wav",
            {"path": "hf://datasets/me/clips@main/a.wav", "bytes": None},
            "zip://a.wav::hf://datasets/me/clips/a.zip",
            f"{hub.url}/datasets/me/clips/resolve/main/a.wav",
        ]
        with_token = build_tagger("demo", token=TOKEN, on_error="record")
        assert [result.error for result in with_token.classify(cells)] == [None] * 4
        for token in (None, False, "hf_wrong"):
            tagger = build_tagger("demo", token=token, on_error="record")
            for result in tagger.classify(cells):
                assert result.error is not None
                assert "HTTP 401" in result.error
                assert "hf_" not in result.error.replace("hf_audio", "")
        ds = datasets.Dataset.from_dict({"video": [cells[0], cells[2]]})
        report = tag_dataset(ds, tmp_path / "run", tagger=with_token, num_proc=1)
        assert report.failed == 0


def test_no_other_host_gets_the_token(hub: Site) -> None:
    """Not after a redirect, not by an address that only begins like the Hub's."""
    start, store, other = Counts(), Counts(), Counts()
    target = hub.add("/store/a.wav", store.file(WAV)).replace("127.0.0.1", "localhost")
    own = hub.add("/datasets/me/clips/resolve/main/a.wav", start.counted(redirect(target)))
    elsewhere = hub.add("/other/resolve/a.wav", other.file(WAV)).replace("127.0.0.1", "localhost")
    clips = cut([FileMedia(own), FileMedia(elsewhere)], token=TOKEN)
    for clip in clips:
        assert_as_local(clip, WAV, "first")
    assert start.tokens == [f"Bearer {TOKEN}"]  # one redirect for all parts
    assert set(store.tokens) == {None}
    assert store.requests > 1
    assert set(other.tokens) == {None}


@pytest.mark.parametrize("container", ["mp4, index last", "mkv"])
def test_the_first_window_of_a_clip_on_the_hub(hub: Site, container: str) -> None:
    data, counts = make_clip(container, 20), Counts()
    target = hub.add("/store/a", counts.file(data)).replace("127.0.0.1", "localhost")
    hub.add("/datasets/me/clips/resolve/v1/a%20b.mp4", counts.counted(redirect(target)))
    (clip,) = cut([FileMedia("hf://datasets/me/clips@v1/a b.mp4")])
    assert_as_local(clip, data, "first")
    assert counts.sent_bytes <= 1.5 * find_span_bytes(data, 0, WINDOW_SECONDS) + (64 << 10)
    assert counts.requests <= 8


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("hf://datasets/me/clips/in/a.mp4", "datasets/me/clips/resolve/main/in/a.mp4"),
        ("hf://me/model@v1.0/a.mp4", "me/model/resolve/v1.0/a.mp4"),
        ("hf://spaces/me/app/a.mp4", "spaces/me/app/resolve/main/a.mp4"),
        ("hf://datasets/me/clips@refs/pr/7/a#1.mp4", "datasets/me/clips/resolve/refs%2Fpr%2F7/a%231.mp4"),
        ("hf://datasets/me/clips@refs%2Fpr%2F7/a.mp4", "datasets/me/clips/resolve/refs%2Fpr%2F7/a.mp4"),
        ("hf://buckets/me/box/a.mp4", None),
        ("https://huggingface.co:8443/me/clips/a.mp4", None),
        ("http://huggingface.co/me/clips/a.mp4", None),
        ("https://cdn-lfs.huggingface.co/a.mp4", None),
    ],
)
def test_addresses_on_the_hub(url: str, path: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", "https://huggingface.co")
    assert find_hub_url(url) == (path and f"https://huggingface.co/{path}")


def test_offline_nothing_is_asked(hub: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in remote_site.reason("hf://datasets/me/clips/a.wav")
    assert hub.seen == []
