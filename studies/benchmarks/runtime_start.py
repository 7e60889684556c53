"""Prints what `autotune.runtime` adds to the start of a server, beyond its engine.

    python studies/benchmarks/runtime_start.py [--runs 15]

Whole processes, in turns: Python alone, with NumPy (which every engine imports), with
`import autotune.runtime`, and with all that `autotune.runtime.load` imports before it imports the engine.
Medians and ranges of wall time, and of cpu time, which neighbours on the host disturb less; the first turn is
left out. Asked of the import: less than 50 ms beyond Python.

Then, for an artifact of one file in the page cache: how long it takes to see that it is as it was, and to
read it for its digest, as of a copy, or where `load(digests=True)` asks for it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from autotune.model.artifacts.changes import changed_files, digest_of

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
ARTIFACT_MB = 256


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


def checking_ms() -> tuple[float, float]:
    """Milliseconds to look at an artifact that is as it was, and to read it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights"
        file.write_bytes(os.urandom(ARTIFACT_MB * 10**6))
        state = file.stat()
        record = {"name": file.name, "size_bytes": state.st_size, "mtime_ns": state.st_mtime_ns}
        record["sha256"] = digest_of(file)
        took = []
        for mtime_ns in (state.st_mtime_ns, state.st_mtime_ns + 10**9):
            os.utime(file, ns=(mtime_ns, mtime_ns))
            start = time.perf_counter()
            assert not list(changed_files(file.parent, [record]))
            took.append((time.perf_counter() - start) * 1e3)
    return took[0], took[1]


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
    looking, reading = checking_ms()
    print(
        f"an artifact of {ARTIFACT_MB} MB: seen to be as it was in {looking:.1f} ms, read in {reading:.0f} ms"
    )


if __name__ == "__main__":
    main()
