"""Tables, folders of media and globs of either at a URL: s3://, hf://, https:// and others of fsspec.

What is there is listed first, within time limits and with errors that say what to do. Media are not read: the
rows have their URLs.
"""

import posixpath
from collections.abc import Sequence
from typing import Any

import pyarrow.parquet as pq
from datasets import Dataset, DownloadConfig

from ..cells import is_url
from ..digests import digest_values
from ..media_paths import get_suffix, has_media_suffix
from ..provenance import Provenance, read_schema_provenance
from ..settings import HUB_ID
from ..stores import StoreError, StorePath
from ..stores.systems import make_options, read_scheme
from ..text import hide_secrets
from .data_files import BUILDERS, KINDS, load_paths
from .media_files import make_source, name_file
from .media_folder import METADATA_FILES, add_media_column, rename_files
from .source import Source, SourceError, SourceRequest
from .splits import HUB_PREFIX
from .streams import ensure_features

WEB = ("http", "https")


def open_url(request: SourceRequest) -> Source | None:
    """Tables, a folder of media, or a glob of either; the URL of one media file is opened elsewhere."""
    url = request.name
    if not is_url(url) or "::" in url or HUB_ID.fullmatch(url.removeprefix(HUB_PREFIX).strip("/")):
        return None
    is_web = read_scheme(url) in WEB
    place = StorePath(url, token=request.token)
    try:
        if "*" in url and not is_web:
            return open_glob(request, place)
        if get_suffix(url) in BUILDERS:
            return open_tables(request, [place])
        if is_web and url.endswith("/"):
            raise SourceError(
                f"{hide_secrets(url)}: a web server does not list its files. Name them one by one, or in a "
                "table."
            )
        return None if is_web or has_media_suffix(url) else open_folder(request, place)
    except StoreError as error:
        raise SourceError(f"{error.strerror}.") from error


def open_glob(request: SourceRequest, place: StorePath) -> Source:
    files = place.find()
    if not files:
        raise SourceError(f"{hide_secrets(request.name)}: no file has such a name.")
    if all(has_media_suffix(file.name) for file in files):
        request.check_options("one or more clips")
        return make_source(request.name, [name_file(file.url) for file in files])
    return open_tables(request, files)


def open_tables(request: SourceRequest, files: Sequence[StorePath]) -> Source:
    """Rows of data files. Relative paths in them start at the folder of the first."""
    request.check_options("one or more data files", "streaming")
    name, streaming = hide_secrets(request.name), request.streaming
    builders = {BUILDERS.get(get_suffix(file.url)) for file in files}
    builder = builders.pop()
    if builder is None or builders:
        raise SourceError(f"{name}: these cannot be read as one table. A source is {KINDS}.")
    facts = [file.stat() for file in files]  # also tells, within a time limit, whether they can be read
    loaded = load_urls(builder, files, name, streaming=streaming)
    dataset = ensure_features(loaded) if streaming else loaded
    digests = [(file.name.partition("?")[0], fact) for file, fact in zip(files, facts, strict=True)]
    provenance = read_provenance(files) if builder == "parquet" else {}
    folder = posixpath.dirname(files[0].url.partition("?")[0])
    return Source(name, dataset, digest_values(*digests), ((0, folder),), provenance=provenance)


def load_urls(builder: str, files: Sequence[StorePath], shown: str, **options: Any) -> Any:
    """Load files with `datasets`, which keeps copies in its cache, or streams them.

    Without `use_etag` it would take an old copy of a file that has changed.
    """
    scheme = read_scheme(files[0].url)
    limits, token = make_options(scheme), files[0].token if scheme == "hf" else None
    config = DownloadConfig(storage_options={scheme: limits} if limits else {}, token=token, use_etag=True)
    if not all(file.stat().st_ino for file in files):  # the copy in the cache may be an old one
        options |= {"download_mode": "force_redownload", "verification_mode": "no_checks"}
    return load_paths(builder, [file.url for file in files], shown, download_config=config, **options)


def read_provenance(files: Sequence[StorePath]) -> Provenance:
    """Which tagger made the tags in Parquet files; nothing where a web server sends no parts of a file."""
    try:
        return read_schema_provenance(pq.read_schema(file.open()) for file in files)
    except StoreError:
        if read_scheme(files[0].url) not in WEB:
            raise
        return {}


def open_folder(request: SourceRequest, place: StorePath) -> Source:
    """A row for each media file below a folder, or for each row of its metadata files, with URLs."""
    request.check_options("a folder of media")
    url = place.url.rstrip("/")
    top = place.open_system()[1].strip("/")
    infos = {info["name"].strip("/").removeprefix(f"{top}/"): info for info in place.list_files()}
    names = [name for name in infos if not any(part.startswith(".") for part in name.split("/"))]
    media = [name for name in names if has_media_suffix(name)]
    metadata = [name for name in names if posixpath.basename(name) in METADATA_FILES]
    if not media and not metadata:
        suffix = next((one for one in BUILDERS if any(name.endswith(one) for name in names)), None)
        advice = f"To read its data files: '{url}/**/*{suffix}'." if suffix else f"A source is {KINDS}."
        raise SourceError(f"{hide_secrets(request.name)}: there are no media files here, nor below. {advice}")
    if len(metadata) > 1:
        raise SourceError(
            f"{hide_secrets(url)} has {len(metadata)} metadata files; name the folder of one of them."
        )
    rows = Dataset.from_dict({"file_name": media})
    facts: list[object] = list(media)
    if metadata:
        (file,) = metadata
        path = StorePath(f"{url}/{file}", infos[file], place.token)
        loaded = load_urls(BUILDERS[path.suffix], [path], str(path))
        rows = rename_files(loaded, file, set(media), str(path))
        facts = [(file, path.stat())]
    rows, _ = add_media_column(rows, url, lambda name: None)
    return Source(hide_secrets(request.name), rows, digest_values(*facts), shown_folder=url)
