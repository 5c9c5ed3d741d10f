"""Redirects: from a public address to a private one, to other schemes, and over a proxy."""

import socket
from contextlib import ExitStack
from ipaddress import ip_address
from typing import Any

import pytest
import remote_site
from remote_site import WAV, Site, assert_decoded, ranges, reason, redirect, running

from hf_audio_tagger.media.remote import web

site_server, site, quick_retries = remote_site.site_server, remote_site.site, remote_site.quick_retries
pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("quick_retries")]


@pytest.fixture
def first_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this machine's own addresses one counts as public."""
    monkeypatch.setattr(web, "is_public", lambda address: ip_address(address) == ip_address("127.0.0.1"))


def names(monkeypatch: pytest.MonkeyPatch, **addresses: str) -> None:
    resolve = socket.getaddrinfo

    def getaddrinfo(host: str, *rest: Any, **options: Any) -> Any:
        return resolve(addresses.get(host.partition(".")[0], host), *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.usefixtures("first_is_public")
@pytest.mark.parametrize(
    "host", ["127.0.0.2", "127.2", "2130706434", "0x7f000002", "inner.test", "[::ffff:127.0.0.2]"]
)
def test_a_redirect_from_public_to_private_is_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    names(monkeypatch, inner="127.0.0.2")
    site.add("/secret.wav", ranges(WAV))
    text = reason(site.add("/a.wav", redirect(site.url("/secret.wav", host))))
    assert "not a public address" in text or "the URL is not valid" in text
    assert all(path == "/a.wav" for _, path in site.seen)


@pytest.mark.usefixtures("first_is_public")
def test_a_redirect_over_a_public_address_to_a_private_one(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hops; the judgement does not forget the first."""
    names(monkeypatch, outer="127.0.0.1")
    site.add("/next.wav", redirect(site.url("/secret.wav", "127.0.0.2")))
    assert "not a public address" in reason(site.add("/a.wav", redirect(site.url("/next.wav", "outer.test"))))


def test_what_the_user_names_may_be_private(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add("/end.wav", ranges(WAV))
    url = site.add("/a.wav", redirect("/end.wav"))
    assert_decoded(url)  # private to private
    monkeypatch.setattr(web, "is_public", lambda _: True)
    assert_decoded(url)


@pytest.mark.usefixtures("first_is_public")
def test_a_kept_connection_is_judged_too(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that the user has named before is not resolved again, and its connection is open already."""
    names(monkeypatch, inner="127.0.0.2")
    with ExitStack() as stack:
        try:
            inner = stack.enter_context(running(Site("127.0.0.2")))
        except OSError:
            pytest.skip("this machine has one loopback address")
        url = inner.add("/secret.wav", ranges(WAV)).replace("127.0.0.2", "inner.test")
        assert_decoded(url)
        before = len(inner.seen)
        assert "not a public address" in reason(site.add("/a.wav", redirect(url)))
        assert len(inner.seen) == before


def test_a_proxy_may_be_private(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its address is the user's own, and says nothing of the server behind it."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", site.url(""))
    site.add("http://8.8.8.8/a.wav", redirect("http://8.8.4.4/a.wav"))
    site.add("http://8.8.4.4/a.wav", ranges(WAV))
    assert_decoded("http://8.8.8.8/a.wav")
    site.add("http://8.8.4.4/a.wav", redirect("http://169.254.169.254/a.wav"))
    assert "169.254.169.254, which is not a public address" in reason("http://8.8.8.8/a.wav")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/a.wav", "gopher://x/"])
def test_a_redirect_to_another_scheme_is_refused(site: Site, target: str) -> None:
    text = reason(site.add("/a.wav", redirect(target)))
    assert "what is not an http or https URL" in text


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::808:808", True),
        ("2002:808:808::1", True),
        ("127.0.0.1", False),
        ("127.1.2.3", False),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("172.31.255.255", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("239.255.255.250", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("fd00:ec2::254", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("2001:db8::1", False),
        ("::ffff:169.254.169.254", False),
        ("::ffff:127.0.0.1", False),
        ("::127.0.0.1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b:1::a00:1", False),
        ("2002:a9fe:a9fe::1", False),
        ("2001:0:4136:e378:8000:63bf:5601:5601", False),  # Teredo over 169.254.169.254
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert web.is_public(address) is public
