"""How much of the cpus a hypervisor takes while a test of timing runs, to tell its fault from ours."""

from __future__ import annotations

import psutil

STOLEN = 0.02
"""Share of the cpus' time that is taken from a host on which nothing can be on time."""


class StolenTime:
    """What the hypervisor takes from here on, by the kernel's own account (`steal` in /proc/stat)."""

    def __init__(self) -> None:
        self._before = psutil.cpu_times()

    @property
    def share(self) -> float:
        """Of the time of all cpus; 0 where the kernel keeps no such account."""
        now = psutil.cpu_times()
        passed = sum(now) - sum(self._before)
        stolen = getattr(now, "steal", 0.0) - getattr(self._before, "steal", 0.0)
        return stolen / passed if passed > 0 else 0.0

    @property
    def is_much(self) -> bool:
        """Whether a test that fails of timing alone says nothing of us."""
        return self.share > STOLEN
