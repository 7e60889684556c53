"""How many looks are built side by side."""

from __future__ import annotations

from dataclasses import replace

from autotune.bench.looking import EACH_BYTES, MOST_AT_ONCE, at_once
from autotune.machine.machine import Machine
from autotune.machine.read import read_machine


def two_cores(machine: Machine) -> Machine:
    """This machine as one with two cores and memory for both."""
    cores = tuple(replace(machine.cores[0], cpus=(cpu,)) for cpu in (0, 1))
    both = frozenset({0, 1})
    sizes = {"memory_bytes": 4 * EACH_BYTES, "memory_limit_bytes": None, "quota_cpus": None}
    return replace(machine, cores=cores, allowed=both, online=both, **sizes)  # type: ignore[arg-type]


def test_as_many_looks_are_built_at_once_as_have_a_core_and_memory() -> None:
    machine = two_cores(read_machine())
    assert at_once(machine) == 2
    assert at_once(replace(machine, quota_cpus=1.5)) == 1
    assert at_once(replace(machine, memory_limit_bytes=EACH_BYTES + 1)) == 1
    assert at_once(replace(machine, memory_bytes=1)) == 1
    assert at_once(replace(machine, memory_bytes=None)) == 2
    many = frozenset(range(64))
    cores = tuple(replace(machine.cores[0], cpus=(cpu,)) for cpu in many)
    large = replace(machine, cores=cores, allowed=many, online=many, memory_bytes=99 * EACH_BYTES)
    assert at_once(large) == MOST_AT_ONCE
