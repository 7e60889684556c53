"""Where the cache lies."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """The cache's folder: `$AUTOTUNE_CACHE`, else `autotune` under the user's cache folder.

    Source: XDG Base Directory Specification 0.8, which ignores a relative `$XDG_CACHE_HOME`.
    """
    chosen = os.environ.get("AUTOTUNE_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    user = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(user) if user.startswith("/") else Path.home() / ".cache") / "autotune"
