"""What errors of servers and clients say, and options and tokens that reach each link of a URL."""

import errno
import socket
import ssl
from pathlib import Path
from typing import Any

import datasets
import fsspec.core
import pytest
import remote_site
from hub_server import serve
from huggingface_hub import HfApi, hf_file_system
from remote_site import WAV, Site, assert_decoded, decode, reason, redirect, status, zip_of

from hf_audio_tagger.errors import ResourceError
from hf_audio_tagger.media.remote import http_ranges, url_chain, web

site_server, site, quick_retries = remote_site.site_server, remote_site.site, remote_site.quick_retries
pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("quick_retries")]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (401, "requires a login (HTTP 401); pass a token"),
        (403, "private, gated or blocked; check the token"),
        (404, "it was not found (HTTP 404); check the URL"),
        (410, "it was not found (HTTP 410)"),
        (429, "too many requests (HTTP 429); try again later"),
        (500, "the server failed (HTTP 500); try again later"),
        (503, "the server failed (HTTP 503); try again later"),
        (418, "the server answers with HTTP 418"),
    ],
)
def test_statuses(site: Site, code: int, words: str) -> None:
    text = reason(site.add("/a.wav", status(code)))
    assert text.startswith("it could not be opened: ")
    assert words in text


def test_connections_that_fail(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        assert "the connection was refused" in reason(f"http://127.0.0.1:{port}/a.wav")
    assert "(TLS: " in reason(site.url("/a.wav").replace("http", "https"))
    assert "redirects too many times" in reason(site.add("/loop.wav", redirect("/loop.wav")))
    assert "no file system" not in reason("nonsense://a.wav")

    def no_name(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_name)
    assert "cannot be resolved (DNS)" in reason("http://nobody.invalid/a.wav")


def test_words_for_certificates() -> None:
    error = ssl.SSLCertVerificationError("certificate verify failed: self-signed certificate")
    assert "self-signed certificate" in web.explain_error(error)


def test_words_for_storage_that_forbids_it_and_for_errors_that_hide_another() -> None:
    """fsspec says FileNotFoundError for whatever its client said."""
    forbidden = web.explain_error(PermissionError("Forbidden"))
    assert forbidden == "access is denied (Forbidden); check the token or credentials"
    hiding = FileNotFoundError("https://x.test/a.mp4")
    assert web.explain_error(hiding) == "it was not found; check the address"
    hiding.__cause__ = ValueError("the answer cannot be read.")
    assert web.explain_error(hiding) == "the answer cannot be read"


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC])
def test_exhausted_resources_are_not_the_clips_error(
    site: Site, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def exhausted(*_: Any) -> Any:
        try:
            raise OSError(number, "no more")
        except OSError as error:
            raise FileNotFoundError("http://...") from error

    monkeypatch.setattr(http_ranges.HttpRanges, "fetch", exhausted)
    monkeypatch.setattr("hf_audio_tagger.media.failures.is_memory_short", lambda: True)
    with pytest.raises(ResourceError, match="could not be read"):
        decode(site.url("/a.wav"))


def test_a_private_clip_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """hf:// finds the token where `datasets` finds it, and says so where there is none."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with serve({"hf_writes": "me"}) as hub:
        monkeypatch.setattr(datasets.config, "HF_ENDPOINT", hub.url)
        api = HfApi(hub.url, "hf_writes")
        api.create_repo("me/clips", repo_type="dataset", private=True)
        api.upload_file(
            path_or_fileobj=zip_of(WAV), path_in_repo="a.zip", repo_id="me/clips", repo_type="dataset"
        )
        url = "zip://a.wav::hf://datasets/me/clips/a.zip"
        assert "HTTP 401" in reason(url)
        monkeypatch.setenv("HF_TOKEN", "hf_writes")
        hf_file_system.HfFileSystem.clear_instance_cache()
        assert_decoded(url)
        assert_decoded(f"zip://a.wav::{hub.url}/datasets/me/clips/resolve/main/a.zip")
        assert "not found" in reason("hf://datasets/me/clips/b.wav")
    hf_file_system.HfFileSystem.clear_instance_cache()


def test_options_reach_every_hop(tmp_path: Path) -> None:
    """hf:// and s3:// keep what `datasets` gives them; only HTTP is ours."""
    url, options = url_chain.prepare_url("hf://datasets/me/clips/a.mp4", web.http_options())
    assert url == "hf://datasets/me/clips/a.mp4"
    assert set(options) == {"hf"}
    assert set(options["hf"]) == {"endpoint", "token"}
    _, options = url_chain.prepare_url("simplecache::https://x.test/a.mp4", web.http_options())
    assert options["https"]["get_client"] is web.open_session
    assert options["https"]["client_kwargs"]["trust_env"] is True


def test_connections_are_shared() -> None:
    """fsspec keys its file systems by their options: equal options give one system and its connections."""
    assert web.http_options() == web.http_options()
    assert open_system("http://x.test/a.mp4") is open_system("http://x.test/b.mp4")


def open_system(url: str) -> Any:
    url, options = url_chain.prepare_url(url, web.http_options())
    return fsspec.core.url_to_fs(url, **options)[0]
