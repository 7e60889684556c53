"""Prints what quickstart takes, from an empty cache and from a warm one, and where the time goes.

    python studies/benchmarks/quickstart.py [--warm-runs 1]

Every run is `autotune tune studies/quickstart.yaml` as a process of its own, on a store of its own; the
cache is a temporary folder, empty for the first run. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from autotune.measurement.measurement import Measurement
from autotune.store.store import open_store

STUDY = Path(__file__).resolve().parents[1] / "quickstart.yaml"


def run(label: str, folder: Path, cache: Path) -> None:
    """Tune once and print the figures."""
    url = f"sqlite:///{folder}/{label}.db"
    start = time.perf_counter()
    tuned = subprocess.run(
        [sys.executable, "-P", "-m", "autotune", "tune", str(STUDY), "--store", url, "--json"],
        env={**os.environ, "AUTOTUNE_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    wall_s = time.perf_counter() - start
    plan = json.loads(tuned.stdout)
    with open_store(url) as store:
        results = [trial.result for trial in store.trials(plan["study"]["name"])]
    measured = [result for result in results if isinstance(result, Measurement)]
    windows_s = sum(result.measuring_s for result in measured)
    warmup_s = sum(result.warmup_s for result in measured)
    before, after = plan["baseline"]["throughput_sps"], plan["estimate"]["throughput_sps"]
    print(
        f"{label}: wall {wall_s:.1f} s, of it windows {windows_s:.1f} s + warm-up {warmup_s:.1f} s"
        f" = {(windows_s + warmup_s) / wall_s:.0%}; {len(results)} trials,"
        f" {len(results) - len(measured)} failed; {before:.1f} -> {after:.1f} samples/s,"
        f" gain {plan['gain']:.2f}",
        flush=True,
    )


def main() -> None:
    """One run from an empty cache, then warm ones."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--warm-runs", type=int, default=1)
    warm_runs = parser.parse_args().warm_runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run("cold", folder, folder / "cache")
        for number in range(1, warm_runs + 1):
            run(f"warm-{number}", folder, folder / "cache")


if __name__ == "__main__":
    main()
