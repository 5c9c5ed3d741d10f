"""Errors of a push, with a remedy and without the token."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import datasets.config
from huggingface_hub import get_token
from huggingface_hub.errors import HfHubHTTPError, HTTPError, OfflineModeIsEnabled

from ..errors import TaggerError, iterate_causes

RESUMES = "Run the same push again to resume it: uploaded files are not sent again."
TOKENS_URL = "https://huggingface.co/settings/tokens"


class HubError(TaggerError, RuntimeError):
    """The Hub refused a push or could not be reached. The message has a remedy and no token."""


@contextmanager
def explain_errors(repo_id: str, token: str | bool | None) -> Iterator[None]:
    """Turn errors of the Hub, of the network and of missing files into `HubError`."""
    try:
        yield
    except TaggerError:
        raise
    except Exception as error:
        secret = token if isinstance(token, str) else get_token()
        causes = list(iterate_causes(error))
        shows_token = secret is not None and any(secret in f"{cause} {cause!r}" for cause in causes)
        message = find_advice(causes, repo_id)
        if message is None and not shows_token:
            raise
        message = message or f"{type(error).__name__}: {error}"
        if secret is not None:
            message = message.replace(secret, "<token>")
        raise HubError(message) from None if shows_token else error


def find_advice(causes: Sequence[BaseException], repo_id: str) -> str | None:
    """What to do about an error of the Hub, the network or a file to embed; None for any other."""
    endpoint = datasets.config.HF_ENDPOINT
    for cause in causes:
        if isinstance(cause, FileNotFoundError) and cause.filename:
            return (
                f"{cause.filename!r} is missing and cannot be embedded. Push without such rows, "
                "ds.filter(lambda errors: not any(errors), input_columns='video_audio_error'), or without "
                "files: embed_media=False, or only_tags=True."
            )
    if error := next((cause for cause in causes if isinstance(cause, HfHubHTTPError)), None):
        status = error.response.status_code
        if status == 401:
            return (
                f"{endpoint} refused the push of {repo_id!r}: not logged in, or the token is invalid (401). "
                f"Log in with `hf auth login`, set HF_TOKEN, or pass token=, with write access: {TOKENS_URL}."
            )
        if status == 403:
            return (
                f"The token has no write access to {repo_id!r} (403). Push to your own name or an "
                f"organization of yours, with a token that has write access: {TOKENS_URL}."
            )
        reason = (error.server_message or str(error).strip().splitlines()[0]).rstrip(".")
        return f"{endpoint} ended the push of {repo_id!r} with status {status}: {reason}. {RESUMES}"
    if any(isinstance(cause, OfflineModeIsEnabled) for cause in causes):
        return "HF_HUB_OFFLINE is set: nothing can be pushed. Unset it and push again."
    if any(isinstance(cause, HTTPError) for cause in causes):
        return f"{endpoint} cannot be reached ({causes[0]}). Check the network. {RESUMES}"
    return None
