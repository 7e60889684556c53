"""Prints how long the command line takes to answer: `autotune --help`, against a bare Python start.

    python studies/benchmarks/startup.py [--runs 15]

Wall times of whole processes, the two commands interleaved; medians and ranges are printed.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "autotune --help": [sys.executable, "-P", "-m", "autotune", "--help"],
}


def seconds(argv: list[str]) -> float:
    """Wall time of one run."""
    start = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(runs + 1):
        for name, argv in COMMANDS.items():
            taken = seconds(argv)
            if number > 0:  # the first round fills the page cache and writes bytecode
                times[name].append(taken)
    for name, values in times.items():
        low, middle, high = min(values), statistics.median(values), max(values)
        print(f"{name:16} median {middle:.3f} s  (min {low:.3f}, max {high:.3f}, {runs} runs)")


if __name__ == "__main__":
    main()
