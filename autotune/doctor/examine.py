"""The whole examination, part by part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from autotune.bench.lock import lock_holder
from autotune.doctor.clock import examine_clock
from autotune.doctor.diagnosis import Diagnosis
from autotune.doctor.disks import examine_disks
from autotune.doctor.engines import examine_engines
from autotune.doctor.limits import examine_limits
from autotune.doctor.lock import examine_lock
from autotune.doctor.quiet import examine_others, examine_settings
from autotune.doctor.service import examine_service
from autotune.doctor.stored import examine_store
from autotune.doctor.tools import examine_tools
from autotune.errors import AutotuneError
from autotune.machine.machine import Machine


@dataclass(frozen=True)
class Patient:
    """What is examined.

    Attributes:
        machine: this one.
        store: URL of a store.
        service, ca: as `examine_service` has them.
    """

    machine: Machine
    store: str
    service: str | None = None
    ca: Path | None = None


def examine(patient: Patient) -> tuple[Diagnosis, ...]:
    """Look at everything once; nothing is changed, and nothing that measures is waited for.

    While something measures, what would disturb it is left out: the store is not read as a whole, and
    nobody watches who else is busy.
    """
    is_measuring = lock_holder() is not None
    machine = patient.machine
    parts: tuple[tuple[str, Callable[[], Iterable[Diagnosis]]], ...] = (
        ("store", lambda: examine_store(patient.store, thorough=not is_measuring)),
        ("service", lambda: examine_service(patient.service, patient.ca)),
        ("lock", examine_lock),
        ("engines", lambda: examine_engines(machine)),
        ("limits", lambda: examine_limits(machine)),
        ("tools", lambda: examine_tools(machine)),
        ("disk", examine_disks),
        ("clock", examine_clock),
        ("kernel", lambda: examine_settings(machine)),
        ("others", lambda: () if is_measuring else examine_others(machine)),
    )
    return tuple(diagnosis for area, part in parts for diagnosis in _guarded(area, part))


def _guarded(area: str, part: Callable[[], Iterable[Diagnosis]]) -> Iterator[Diagnosis]:
    """What a part finds; where it cannot look, that it cannot."""
    try:
        yield from part()
    except AutotuneError as error:
        yield Diagnosis(area, "fault", error.problem, error.remedy)
    except OSError as error:
        yield Diagnosis(area, "warning", f"it cannot be looked at: {error}")
