"""What an operator states: refuses what could never work, before anything is opened."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from autotune.errors import ServiceError
from autotune.service.settings import ServiceSettings

_HOST: Final = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_]([A-Za-z0-9._-]{0,252}[A-Za-z0-9_.])?")
_PORT: Final = re.compile(r":[0-9]{1,5}$")


def check_stated(settings: ServiceSettings) -> None:
    """Refuse folders that are not there, and hosts that no request can have.

    Raises:
        ServiceError: with the option to mend.
    """
    _check_roots(settings.roots)
    for name in settings.names:
        if not _HOST.fullmatch(name):
            raise ServiceError(
                f"{name!r} is no host name that a browser could send",
                remedy="write it without scheme, port and path, as --name tune.example.org",
            )
    for host in settings.webhook_hosts:
        if not _HOST.fullmatch(_PORT.sub("", host)):
            raise ServiceError(
                f"{host!r} is no host that could be told",
                remedy="write its name, with a port unless it is the usual one, as"
                " --webhook-host hooks.example.org:8443",
            )


def _check_roots(roots: Iterable[Path]) -> None:
    for root in roots:
        if not root.is_dir():
            raise ServiceError(
                f"there is no folder {str(root)!r}", remedy="name one that holds models, with --root"
            )
        if not os.access(root, os.R_OK | os.X_OK):
            raise ServiceError(
                f"this user may not read the folder {str(root)!r}",
                remedy="have its owner allow it, or name another one with --root",
            )
