"""Programs that exported plans start, or that help to look."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from autotune.doctor.diagnosis import Diagnosis
from autotune.machine.machine import Machine


def examine_tools(machine: Machine) -> Iterator[Diagnosis]:
    """Say whether numactl, taskset and hwloc are there, and who needs them."""
    needs_numactl = len(machine.allowed_nodes) > 1
    found = shutil.which("numactl")
    if found:
        yield Diagnosis("tools", "ok", f"numactl is {found}")
    else:
        why = (
            "needed by launch scripts here"
            if needs_numactl
            else "not needed on a machine with one memory node"
        )
        yield Diagnosis(
            "tools",
            "warning" if needs_numactl else "note",
            f"numactl is not installed; {why}",
            "install it: apt install numactl",
        )
    if not shutil.which("taskset"):
        yield Diagnosis(
            "tools",
            "note" if found else "warning",
            "taskset is not installed; launch scripts pin with it",
            "install it: apt install util-linux",
        )
    if not shutil.which("lstopo") and not shutil.which("lstopo-no-graphics"):
        yield Diagnosis(
            "tools",
            "note",
            "hwloc's lstopo is not installed; only people need it",
            "install it: apt install hwloc-nox",
        )
