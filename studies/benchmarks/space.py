"""Prints how long it takes to enumerate and place the full space of a large machine.

python studies/benchmarks/space.py
"""

from __future__ import annotations

import statistics
import time

from autotune.machine.machine import Machine
from autotune.search.space import SearchSpace, build_space
from autotune.spec.configuration import Precision
from autotune.spec.problem import Problem
from autotune.spec.study import Search, StudySpec
from autotune.testing.machines import build_machine

RUNS = 7
ENGINES: dict[str, tuple[Precision, ...]] = {
    "pytorch": ("fp32", "bf16", "int8-dynamic"),
    "onnxruntime": ("fp32", "int8-dynamic"),
}
SPEC = StudySpec(
    name="space",
    model="random:distilbert-base",
    scenario="offline",
    problem=Problem(batch_size=8, sequence_length=128),
    search=Search(smt=(False, True)),
)


def main() -> None:
    """Build the space several times."""
    machine = build_machine(
        packages=8, nodes_per_package=1, cores_per_node=64, threads_per_core=2, l3_per_node=8
    )
    runs = [_timed(machine) for _ in range(RUNS)]
    space = runs[0][0]
    times_s = [time_s for _, time_s in runs]
    print(f"{len(machine.online)} cpus, {len(ENGINES)} engines")
    print(f"{len(space.configurations)} configurations under {space.size_before_symmetry} names")
    print(
        f"enumerated and placed in {statistics.median(times_s):.2f} s "
        f"(median of {RUNS}; {min(times_s):.2f} to {max(times_s):.2f}); the bound is 2 s"
    )


def _timed(machine: Machine) -> tuple[SearchSpace, float]:
    start_s = time.perf_counter()
    space = build_space(SPEC, machine, ENGINES)
    return space, time.perf_counter() - start_s


if __name__ == "__main__":
    main()
