"""The machine that this process runs on, for whoever only wants to know it: imports nothing that measures."""

from __future__ import annotations

from pathlib import Path

from autotune.machine.machine import Machine
from autotune.machine.read import read_machine


def machine_here(root: Path = Path("/")) -> Machine:
    """Read the machine that this process runs on.

    Args:
        root: of another one, as a recording of it.

    Raises:
        MachineError: it cannot be read.
    """
    return read_machine(root)
