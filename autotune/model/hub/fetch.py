"""Models from the Hugging Face hub: from its local cache, or downloaded in a child process."""

from __future__ import annotations

import os
import re
from pathlib import Path

from autotune.errors import ModelError
from autotune.model.child import run_child
from autotune.model.hub.messages import FetchSnapshot, fetch_to_json, fetched_from_json

DEFAULT_REVISION = "main"
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_REPOSITORY = re.compile(rf"(?P<name>(?:{_NAME}/)?{_NAME})(?:@(?P<revision>[A-Za-z0-9][A-Za-z0-9._/-]*))?")

OFFLINE_VARIABLES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
TRUE_VALUES = ("1", "ON", "YES", "TRUE")
"""Source: huggingface_hub.constants.ENV_VARS_TRUE_VALUES, compared in upper case."""

CLIENT_VARIABLES = re.compile(
    r"(HF|HUGGING_?FACE|HUGGINGFACE)_.*|XDG_CACHE_HOME|(https?|all|no)_proxy|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE"
    r"|CURL_CA_BUNDLE",
    re.IGNORECASE,
)
"""What the hub's client reads: its cache, token, endpoint, proxies, certificates."""


def download(repository: str, *, offline: bool) -> Path:
    """The local folder of `ORG/NAME@REVISION`; from the cache if it is there, else downloaded.

    Progress is shown on stderr.

    Raises:
        ModelError: the name is malformed, or the model is neither cached nor to be had.
    """
    match = _REPOSITORY.fullmatch(repository)
    if match is None:
        raise ModelError(
            f"{repository!r} is not a repository of the hub", remedy="write hf:ORG/NAME@REVISION"
        )
    name, revision = match["name"], match["revision"] or DEFAULT_REVISION
    because = "--offline was given" if offline else offline_reason()
    result = run_child(
        "autotune.model.hub.child",
        fetch_to_json(FetchSnapshot(name, revision, because)),
        timeout_s=None,
        variables=_client_variables(),
        show_stderr=True,
    )
    result.raise_error()
    if result.reply is None:
        raise ModelError(
            f"the download of {name}@{revision} ended without an answer (exit status {result.returncode})",
            remedy="try again; its messages are above",
        )
    return fetched_from_json(result.reply).directory


def offline_reason() -> str:
    """Which variable forbids asking the hub, as in `HF_HUB_OFFLINE is set`; empty if none does."""
    for variable in OFFLINE_VARIABLES:
        if os.environ.get(variable, "").upper() in TRUE_VALUES:
            return f"{variable} is set"
    return ""


def _client_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if CLIENT_VARIABLES.fullmatch(name)}
