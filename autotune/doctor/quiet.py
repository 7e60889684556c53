"""What would make measurements steadier: how the kernel is set up, and who else uses the machine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from autotune.doctor.diagnosis import Diagnosis
from autotune.machine.kernel_settings import KernelSettings, read_kernel_settings
from autotune.machine.machine import Machine
from autotune.machine.state import StateReader, host_change
from autotune.machine.sysfs import Tree

WATCHED_S: Final = 0.5
BUSY_SHARE: Final = 0.05
STOLEN_SHARE: Final = 0.01
"""Of a cpu's time. Source: as a block counts as disturbed, `autotune.measurement.conditions`."""
NEVER: Final = "autotune never changes it"


def examine_settings(machine: Machine, root: Path = Path("/")) -> Iterator[Diagnosis]:
    """Say what of the kernel's settings makes measurements less steady, with the command that changes it."""
    settings = read_kernel_settings(machine.allowed, root)
    yield from _frequency(settings)
    if settings.smt:
        yield Diagnosis(
            "kernel",
            "note",
            "cores run two threads at once (SMT); plans count with it",
            "nothing has to be done",
        )
    if settings.huge_pages == "always":
        yield Diagnosis(
            "kernel",
            "note",
            "large pages are given to everybody (transparent_hugepage = always), when the kernel finds some",
            f"for steadier runs: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled ({NEVER})",
        )
    if settings.balances_nodes and len(machine.nodes) > 1:
        yield Diagnosis(
            "kernel",
            "note",
            "the kernel moves pages between memory nodes while programs run (numa_balancing)",
            f"plans bind their memory; for the others: sysctl kernel.numa_balancing=0 ({NEVER})",
        )


def _frequency(settings: KernelSettings) -> Iterator[Diagnosis]:
    governors = ", ".join(settings.governors)
    if not governors:
        yield Diagnosis(
            "kernel", "ok", "the cpus' frequency is not for this machine to choose, as on virtual ones"
        )
    elif settings.governors == ("performance",):
        yield Diagnosis("kernel", "ok", "the cpus' governor is performance")
    else:
        yield Diagnosis(
            "kernel",
            "warning",
            f"the cpus' governor is {governors}: how fast they run depends on what ran before",
            f"run: cpupower frequency-set -g performance ({NEVER})",
        )
    if settings.boosts:
        yield Diagnosis(
            "kernel",
            "note",
            "cpus run faster while others idle (boost): a plan is measured as it would run, with it",
            "leave it as it is where you serve",
        )


def examine_others(machine: Machine, root: Path = Path("/")) -> Iterator[Diagnosis]:
    """Watch for half a second who uses the cpus that trials would have, and what the hypervisor takes."""
    reader, cpus = StateReader(Tree(root)), sorted(machine.allowed)
    before = reader.host(cpus)
    time.sleep(WATCHED_S)
    change = host_change(before, reader.host(cpus))
    seen = [change.cpus[cpu] for cpu in cpus if cpu in change.cpus]
    if not seen or change.seconds <= 0:
        yield Diagnosis("others", "note", "who else uses the cpus cannot be told here")
        return
    busy = max(cpu.busy_s for cpu in seen) / change.seconds
    stolen = max(cpu.steal_s for cpu in seen) / change.seconds
    if busy > BUSY_SHARE:
        names = (
            ", ".join(reader.running_on(machine.allowed, frozenset({os.getpid()})))
            or "nobody that can be seen now"
        )
        yield Diagnosis(
            "others",
            "warning",
            f"others take up to {busy:.0%} of a cpu that trials would have; among them: {names}",
            "end them, or keep them off these cpus with a cpuset; disturbed blocks are corrected",
        )
    else:
        yield Diagnosis("others", "ok", "nobody else uses the cpus now")
    if stolen > STOLEN_SHARE:
        yield Diagnosis(
            "others",
            "warning",
            f"the hypervisor takes {stolen:.0%} of a cpu away: it serves others with it",
            "measure on a machine with cpus of its own",
        )
