"""Where a client's token comes from."""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from autotune.errors import ServiceError

VARIABLE: Final = "AUTOTUNE_TOKEN"
LOCAL_FILE: Final = Path(".autotune", "token")
"""Where a service on this machine that was started in this folder keeps the token of its administrator."""


def is_loopback(host: str) -> bool:
    """Whether a host of a URL is this machine for certain, without asking anybody for its address."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def find_token(host: str) -> str:
    """Give the token of the environment, or else that of a service that runs here; empty without any.

    Raises:
        ServiceError: the file of the token cannot be read.
    """
    given = os.environ.get(VARIABLE, "").strip()
    if given or not is_loopback(host):
        return given
    return read_token(LOCAL_FILE) if LOCAL_FILE.exists() else ""


def read_token(path: Path) -> str:
    """Read the token that a file holds.

    Raises:
        ServiceError: it cannot be read, or holds none.
    """
    try:
        words = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeError) as error:
        raise ServiceError(
            f"the token in {str(path)!r} cannot be read: {error}",
            remedy="name the token's file with --token-file, or set AUTOTUNE_TOKEN",
        ) from error
    if len(words) != 1:
        raise ServiceError(
            f"{str(path)!r} holds no token: it must be one word", remedy="name the token's own file"
        )
    return words[0]
