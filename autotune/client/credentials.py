"""Which service a client means where nobody says so, and what token it shows there."""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from autotune.errors import ServiceError

VARIABLE: Final = "AUTOTUNE_TOKEN"
STATE: Final = Path(".autotune")
"""Of a service that was started in this folder: its `token`, and while it runs its `address`."""


def is_loopback(host: str) -> bool:
    """Whether a host of a URL is this machine for certain, without asking anybody for its address."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def find_address() -> str:
    """Give the address of the service that runs in this folder; empty where none does."""
    try:
        return (STATE / "address").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError):
        return ""


def find_token(url: str, host: str) -> str:
    """Give the token of the environment, or else that of a service of this folder; empty without any.

    The service's own token is shown to this machine alone, and to the address that it wrote down.

    Raises:
        ServiceError: the file of the token cannot be read.
    """
    given = os.environ.get(VARIABLE, "").strip()
    file = STATE / "token"
    if given or not (is_loopback(host) or url == find_address()) or not file.exists():
        return given
    return read_token(file)


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
