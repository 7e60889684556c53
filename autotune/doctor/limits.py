"""What this process may use of the machine, and whether that will do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from autotune.doctor.diagnosis import Diagnosis
from autotune.machine.cpus import format_cpu_list
from autotune.machine.kernel_settings import read_kernel_settings
from autotune.machine.machine import Machine
from autotune.units import format_bytes, format_count

SHORT_BYTES: Final = 2 << 30
"""Less hardly holds one engine with a model of BERT's size. Source: stated."""


def examine_limits(machine: Machine, root: Path = Path("/")) -> Iterator[Diagnosis]:
    """Say how many cpus and how much memory there are for trials, and what cgroup and cpuset take away."""
    allowed = format_count(len(machine.allowed), "cpu")
    yield Diagnosis("limits", "ok", f"{allowed} may be used ({format_cpu_list(machine.allowed)})")
    if machine.allowed != machine.online:
        barred = format_cpu_list(machine.online - machine.allowed)
        yield Diagnosis("limits", "note", f"affinity or cpuset bars cpus {barred}; nothing will run there")
    if len(machine.allowed_cores) == 1:
        yield Diagnosis(
            "limits",
            "note",
            "there is one core: what measures shares it with everything else",
            "measure on a machine with a spare core, or trust the intervals",
        )
    yield from _quota(machine)
    if machine.doubtful_nodes:
        yield Diagnosis("limits", "warning", "memory nodes share cpus, so no memory is bound to nodes")
    yield from _memory(machine, root)


def _quota(machine: Machine) -> Iterator[Diagnosis]:
    quota = machine.quota_cpus
    if quota is None:
        return
    words = f"the cgroup has a CPU quota of {quota:g} cpus"
    if machine.quota_is_too_small:
        yield Diagnosis("limits", "fault", words, "raise it to at least 1 cpu: no study is run under less")
    elif quota < len(machine.allowed):
        yield Diagnosis(
            "limits",
            "warning",
            f"{words}, below the {len(machine.allowed)} that are allowed: more threads are throttled",
            "give whole cpus (docker --cpuset-cpus, systemd AllowedCPUs=) in the place of a quota",
        )
    else:
        yield Diagnosis("limits", "ok", words)


def _memory(machine: Machine, root: Path) -> Iterator[Diagnosis]:
    settings = read_kernel_settings(machine.allowed, root)
    sizes = (machine.memory_limit_bytes, machine.memory_bytes)
    most = min((size for size in sizes if size is not None), default=None)
    available = settings.available_bytes
    if most is not None:
        free = "" if available is None else f", {format_bytes(available)} of the machine's can be had now"
        short = min(most, available if available is not None else most) < SHORT_BYTES
        words = f"{format_bytes(most)} of memory may be used{free}"
        remedy = "end what takes it, or raise the limit" if short else ""
        yield Diagnosis("limits", "warning" if short else "ok", words, remedy)
    if settings.swap_used_bytes:
        yield Diagnosis(
            "limits",
            "warning",
            f"{format_bytes(settings.swap_used_bytes)} of memory lie on disks (swap)",
            "free memory, then run: swapoff -a && swapon -a",
        )
