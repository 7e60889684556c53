"""Prints what quickstart takes, from an empty cache and from a warm one, and where the time goes.

    python studies/benchmarks/quickstart.py [--warm-runs 1] [--study studies/quickstart.yaml]

Every run is `autotune tune STUDY` as a process of its own, on a store of its own; the cache is a temporary
folder, empty for the first run. Run it where nothing but `pip install .` was installed, so that the engines
are those of a new user (asked of a cold run on two cores: at least 8 configurations measured beside the
baseline, within 3 minutes), and with nothing else to do for the machine meanwhile.
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


def run(label: str, study: Path, folder: Path, cache: Path) -> None:
    """Tune once and print the figures."""
    url = f"sqlite:///{folder}/{label}.db"
    start = time.perf_counter()
    tuned = subprocess.run(
        [sys.executable, "-P", "-m", "autotune", "tune", str(study), "--store", url, "--json"],
        env={**os.environ, "AUTOTUNE_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    wall_s = time.perf_counter() - start
    plan = json.loads(tuned.stdout)
    with open_store(url) as store:
        trials = store.trials(plan["study"]["name"])
    measured = [trial.result for trial in trials if isinstance(trial.result, Measurement)]
    beside = [trial for trial in trials if not trial.baseline and isinstance(trial.result, Measurement)]
    defaults = sum(trial.configuration.placement == "unpinned" for trial in beside)
    windows_s = sum(result.measuring_s for result in measured)
    warmup_s = sum(result.warmup_s for result in measured)
    before, after = plan["baseline"]["throughput_sps"], plan["estimate"]["throughput_sps"]
    print(
        f"{label}: wall {wall_s:.1f} s, of it windows {windows_s:.1f} s + warm-up {warmup_s:.1f} s"
        f" = {(windows_s + warmup_s) / wall_s:.0%}; {len(trials)} trials,"
        f" {len(trials) - len(measured)} failed, {len(beside)} measured beside the baseline"
        f" ({defaults} defaults); {before:.1f} -> {after:.1f} samples/s,"
        f" gain {plan['gain']:.2f}",
        flush=True,
    )


def main() -> None:
    """One run from an empty cache, then warm ones."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--warm-runs", type=int, default=1)
    parser.add_argument("--study", type=Path, default=STUDY)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run("cold", options.study, folder, folder / "cache")
        for number in range(1, options.warm_runs + 1):
            run(f"warm-{number}", options.study, folder, folder / "cache")


if __name__ == "__main__":
    main()
