"""Which engines there are."""

from __future__ import annotations

from collections.abc import Iterator

from autotune.backends.inventory import engine_statuses
from autotune.backends.registry import broken_backends
from autotune.doctor.diagnosis import Diagnosis
from autotune.machine.machine import Machine


def examine_engines(machine: Machine) -> Iterator[Diagnosis]:
    """Name the engines that can be measured here with their versions, and those that cannot; imports none."""
    statuses = [status for status in engine_statuses(machine.isa) if not status.is_double]
    here = [status for status in statuses if status.is_installed]
    for status in here:
        versions = ", ".join(f"{name} {version}" for name, version in status.versions.items())
        precisions = ", ".join(status.precisions) or "no precision"
        yield Diagnosis("engines", "ok", f"{status.name} ({versions}): {precisions}")
    if not here:
        yield Diagnosis("engines", "fault", "no engine is installed", "run: pip install autotune")
    for status in statuses:
        if not status.is_installed:
            missing = ", ".join(status.missing)
            yield Diagnosis("engines", "note", f"{status.name} lacks {missing}", status.install_hint)
    for words in broken_backends():
        yield Diagnosis("engines", "warning", words)
