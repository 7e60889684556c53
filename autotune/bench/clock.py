"""The time that a job goes by: the system's, or that of simulated hosts."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def monotonic_s(self) -> float:
        """Give the seconds since some moment, which never run backwards."""
        ...

    def unix_s(self) -> float:
        """Give the seconds since the beginning of 1970."""
        ...


class SystemClock:
    """The clocks of the kernel."""

    def monotonic_s(self) -> float:
        """See `Clock`."""
        return time.monotonic()

    def unix_s(self) -> float:
        """See `Clock`."""
        return time.time()


SYSTEM_CLOCK = SystemClock()
