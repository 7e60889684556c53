"""Prints what `autotune.runtime` adds to the start of a server, beyond its engine.

    python studies/benchmarks/runtime_start.py [--runs 15]

Whole processes, in turns: Python alone, with NumPy (which every engine imports), with
`import autotune.runtime`, and with all that `autotune.runtime.load` imports before it imports the engine.
Medians and ranges; the first turn is left out. Asked of the last two: less than 50 ms beyond what the process
has anyway.
"""

from __future__ import annotations

import argparse
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
ASKED_S = 0.05


def seconds(program: str) -> float:
    """Wall time of one process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-P", "-c", program], check=True)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for number in range(runs + 1):
        for name, program in PROGRAMS.items():
            taken = seconds(program)
            if number > 0:
                times[name].append(taken)
    for name, values in times.items():
        line = f"{name:18} median {statistics.median(values) * 1e3:.0f} ms"
        line += f"  (min {min(values) * 1e3:.0f}, max {max(values) * 1e3:.0f}, {runs} runs)"
        if name in BEYOND:
            pairs = zip(values, times[BEYOND[name]], strict=True)
            more = statistics.median(value - before for value, before in pairs)
            held = "holds" if more < ASKED_S else "MISSED"
            line += f"; {more * 1e3:.0f} ms beyond {BEYOND[name]}: {held}"
        print(line)


if __name__ == "__main__":
    main()
