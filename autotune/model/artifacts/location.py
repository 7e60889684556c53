"""Where the cache lies."""

from __future__ import annotations

import os
from pathlib import Path

from autotune.errors import CacheError


def cache_root() -> Path:
    """Give the cache's folder: `$AUTOTUNE_CACHE`, else `autotune` under the user's cache folder.

    Source: XDG Base Directory Specification 0.8, which ignores a relative `$XDG_CACHE_HOME`.

    Raises:
        CacheError: there is no home folder to put it into, or `$AUTOTUNE_CACHE` names that of nobody.
    """
    chosen = os.environ.get("AUTOTUNE_CACHE")
    user = os.environ.get("XDG_CACHE_HOME", "")
    try:
        if chosen:
            return Path(chosen).expanduser().absolute()
        return (Path(user) if user.startswith("/") else Path.home() / ".cache") / "autotune"
    except (RuntimeError, OSError) as error:
        where = f"AUTOTUNE_CACHE={chosen}" if chosen else f"user {os.geteuid()} without HOME"
        raise CacheError(
            f"there is no place for the cache ({where}): {error}",
            remedy="set AUTOTUNE_CACHE to a folder that you may write",
        ) from error
