"""The first window of a clip in an object store: bytes and requests, from a server that speaks S3."""

from collections.abc import Iterator
from typing import Any

import pytest
from remote_clips import WINDOW_SECONDS, assert_as_local, cut

from benchmarks.subjects.remote_clips import find_span_bytes, make_clip
from hf_audio_tagger.cells import FileMedia

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(90)]


@pytest.fixture(scope="module")
def store() -> Iterator[tuple[str, list[Any]]]:
    """A bucket, and the requests for objects."""
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    moto_server = pytest.importorskip("moto.server", reason="moto is not installed")
    asked: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        server = moto_server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        try:
            host, port = server.get_host_and_port()
            for name, value in {
                "AWS_ACCESS_KEY_ID": "key",
                "AWS_SECRET_ACCESS_KEY": "secret",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_ENDPOINT_URL_S3": f"http://{host}:{port}",
            }.items():
                patch.setenv(name, value)
            from aiobotocore.httpsession import AIOHTTPSession

            send = AIOHTTPSession.send

            async def count(session: Any, request: Any) -> Any:
                response = await send(session, request)
                asked.append((request.method, int(response.headers.get("Content-Length", 0))))
                return response

            patch.setattr(AIOHTTPSession, "send", count)
            yield "box", asked
        finally:
            server.stop()


@pytest.mark.parametrize(
    "container", ["mp4, index first", "mp4, index last", "mp4, fragments", "mkv", "webm"]
)
def test_a_clip_in_a_store(store: tuple[str, list[Any]], container: str) -> None:
    import s3fs

    bucket, asked = store
    data = make_clip(container, 30)
    files = s3fs.S3FileSystem()
    if not files.exists(bucket):
        files.mkdir(bucket)
    files.pipe(f"{bucket}/clip", data)
    for windows in ("first", "all"):
        asked.clear()
        (clip,) = cut([FileMedia(f"s3://{bucket}/clip")], windows)
        assert_as_local(clip, data, windows)
        sent_bytes = sum(size for method, size in asked if method == "GET")
        if windows == "first":
            assert sent_bytes <= 1.5 * find_span_bytes(data, 0, WINDOW_SECONDS) + (64 << 10)
            assert len(asked) <= 8
        else:
            assert sent_bytes <= 1.02 * len(data)


def test_what_is_not_there(store: tuple[str, list[Any]]) -> None:
    (text,) = cut([FileMedia("s3://box/nothing.mp4")])
    assert text.startswith("s3://box/nothing.mp4: it could not be opened: it was not found")
