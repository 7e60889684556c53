"""Prints what `autotune.runtime` adds to the start of a server, beyond its engine.

    python studies/benchmarks/runtime_start.py [--runs 15]

Whole processes, in turns: Python alone, with NumPy (which every engine imports), with
`import autotune.runtime`, and with all that `autotune.runtime.load` imports before it imports the engine.
Medians and ranges of wall time, and of cpu time, which neighbours on the host disturb less; the first turn is
left out. Asked of the import: less than 50 ms beyond Python.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

LOADING = "import numpy; import autotune.runtime.loading, autotune.runtime.session"
PROGRAMS = {
    "python": "pass",
    "numpy": "import numpy",
    "autotune.runtime": "import autotune.runtime",
    "what load imports": LOADING,
}
BEYOND = {"autotune.runtime": "python", "what load imports": "numpy"}
"""What each is compared with."""
ASKED_MS = 50


def seconds(program: str) -> tuple[float, float]:
    """Wall time and cpu time of one process."""
    start, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, "-P", "-c", program], check=True)
    after = os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - start, cpu_s


def beyond(values: list[float], others: list[float]) -> float:
    """By how much values exceed others of the same turns, in milliseconds."""
    return statistics.median(value - other for value, other in zip(values, others, strict=True)) * 1e3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    walls: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    cpus: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for number in range(runs + 1):
        for name, program in PROGRAMS.items():
            wall_s, cpu_s = seconds(program)
            if number > 0:
                walls[name].append(wall_s)
                cpus[name].append(cpu_s)
    for name, values in walls.items():
        spread = f"min {min(values) * 1e3:.0f}, max {max(values) * 1e3:.0f}, {runs} runs"
        line = f"{name:18} median {statistics.median(values) * 1e3:.0f} ms ({spread})"
        if name in BEYOND:
            more = beyond(values, walls[BEYOND[name]])
            line += (
                f"; {more:.0f} ms beyond {BEYOND[name]}, cpu {beyond(cpus[name], cpus[BEYOND[name]]):.0f} ms"
            )
            if name == "autotune.runtime":
                line += f" ({'holds' if more < ASKED_MS else 'MISSED'}: {ASKED_MS} ms)"
        print(line)


if __name__ == "__main__":
    main()
