"""Tries again what a database refuses for the moment: one that is restarted is back in seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from autotune.errors import NotStoredError, StoreError

Given = TypeVar("Given")

PATIENCE_S = 60.0
"""How long a database is tried. Source: stated; a server that is restarted is back in less."""

PAUSE_S = 0.5


def patiently(
    use: Callable[[], Given],
    *,
    patience_s: float = PATIENCE_S,
    sleep: Callable[[float], None] = time.sleep,
) -> Given:
    """Use the store; where it cannot be used, try again for a while.

    Raises:
        StoreError: as the last try did; at once where it lacks what is asked for.
    """
    give_up_s = time.monotonic() + patience_s
    while True:
        try:
            return use()
        except NotStoredError:
            raise
        except StoreError:
            if time.monotonic() >= give_up_s:
                raise
        sleep(PAUSE_S)
