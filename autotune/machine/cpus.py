"""Sets of cpus as the kernel writes them: `0-3,8,10-11`."""

from __future__ import annotations

from collections.abc import Iterable

from autotune.errors import MachineError

MAX_CPU = 65_535
"""Largest cpu number accepted; the kernel's own bound is CONFIG_NR_CPUS <= 8192 on every architecture."""

MAX_DIGITS = 9
MAX_TEXT = 8 * MAX_CPU
"""Longest text accepted: every cpu by itself, with its comma, and some."""
_REMEDY = "write it as the kernel does: 0-3,8"


def parse_cpu_list(text: str) -> frozenset[int]:
    """Read a kernel cpu list (`cpulist`, `Cpus_allowed_list`); empty text is the empty set.

    Raises:
        MachineError: the text is not a cpu list.
    """
    cpus: set[int] = set()
    if len(text) > MAX_TEXT:
        raise MachineError(f"a text of {len(text)} characters is not a cpu list", remedy=_REMEDY)
    for part in text.strip().split(","):
        if not part.strip():
            continue
        first, dash, last = part.strip().partition("-")
        if not (_is_number(first) and (not dash or _is_number(last))):
            raise MachineError(f"{_shown(text)} is not a cpu list", remedy=_REMEDY)
        low, high = int(first), int(last) if dash else int(first)
        if low > high or high > MAX_CPU:
            raise MachineError(
                f"{_shown(text)} is not a cpu list: {part!r} is not an ascending range up to {MAX_CPU}",
                remedy=_REMEDY,
            )
        cpus.update(range(low, high + 1))
    return frozenset(cpus)


def _shown(text: str) -> str:
    return repr(text) if len(text) <= 100 else f"{text[:100]!r}..."


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS


def format_cpu_list(cpus: Iterable[int]) -> str:
    """Write cpus (or node numbers) in kernel notation, ascending, runs joined."""
    runs: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if runs and cpu == runs[-1][1] + 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)
