"""The energy that the machine's packages take, by the counters (RAPL) that Linux shows of Intel's and AMD's.

Source: Linux, Documentation/power/powercap/powercap.rst. Since 2020 kernels let root alone read them, and
virtual machines seldom have any: then there is nothing to read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autotune.machine.sysfs import Tree

_FOLDER = "sys/class/powercap"
_PREFIX = "intel-rapl:"
"""Of AMD's zones too."""


@dataclass(frozen=True)
class EnergyCounter:
    """One package's counter at a moment.

    Attributes:
        microjoules: since it last began anew.
        wraps_at: after how many microjoules it begins anew; None where nobody says.
    """

    microjoules: int
    wraps_at: int | None = None


Energy = Mapping[str, EnergyCounter]
"""Counters by zone; empty where nothing can be read."""


class EnergyReader:
    """Reads the counters of all packages below a root folder."""

    def __init__(self, tree: Tree) -> None:
        """Find the zones of packages; those of their parts (cores, memory) are left out."""
        self._tree = tree
        zones = [f"{_FOLDER}/{_PREFIX}{number}" for number in tree.numbered(_FOLDER, _PREFIX)]
        self._zones = {
            zone: tree.integer(f"{zone}/max_energy_range_uj")
            for zone in zones
            if (tree.text(f"{zone}/name") or "").startswith("package")
        }

    def read(self) -> Energy:
        """Read what can be read."""
        counts = {zone: self._tree.integer(f"{zone}/energy_uj") for zone in self._zones}
        known = {zone: count for zone, count in counts.items() if count is not None}
        return {zone: EnergyCounter(count, self._zones[zone]) for zone, count in known.items()}


def joules_between(before: Energy, after: Energy) -> float | None:
    """Give the joules that all packages took; None where the counters of one are not known at both moments.

    A counter that is lower than before has begun anew once: windows are shorter than the minutes that takes.
    """
    if not before or before.keys() != after.keys():
        return None
    grown = [_grown(before[zone], after[zone]) for zone in before]
    known = [microjoules for microjoules in grown if microjoules is not None]
    return sum(known) / 1e6 if len(known) == len(grown) else None


def _grown(before: EnergyCounter, after: EnergyCounter) -> int | None:
    if after.microjoules >= before.microjoules:
        return after.microjoules - before.microjoules
    if after.wraps_at is None or after.wraps_at < before.microjoules:
        return None
    return after.wraps_at - before.microjoules + after.microjoules
