"""Prints how long commands that only read take on a large store, and how large it is.

    python studies/benchmarks/store.py [--trials 10000] [--plans 100]

The store is built in a temporary folder: studies of 100 trials with 100 raw latencies each. Timed is the
whole process that a user starts, from its start to its end, five times.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import insert

from autotune.spec.configuration import Configuration
from autotune.store.records import StudyRecord, TrialRecord
from autotune.store.rows import plan_row, trial_row
from autotune.store.store import StudyStore, open_store
from autotune.store.tables import plans, trials
from autotune.testing.plans import build_measurement, build_plan

TRIALS_PER_STUDY = 100
RUNS = 5
COMMANDS = (("plans",), ("plans", "--json"), ("show", "latest"), ("export", "latest", "--to", "json"))


def main() -> None:
    """Build the store and time the commands."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=10_000, help="trials in the store")
    parser.add_argument("--plans", type=int, default=100, help="plans in the store")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with open_store(f"sqlite:///{folder}/autotune.db") as store:
            fill(store, options.trials, options.plans)
        size_mib = (folder / "autotune.db").stat().st_size / 2**20
        print(f"store: {options.trials} trials, {options.plans} plans, {size_mib:.0f} MiB")
        for command in COMMANDS:
            print(timing(command, folder))


def fill(store: StudyStore, trial_count: int, plan_count: int) -> None:
    """Write the rows in one transaction: one each, as `record_trial` does, would take minutes of syncing."""
    studies = [f"study-{index}" for index in range(max(1, trial_count // TRIALS_PER_STUDY))]
    for study in studies:
        store.create_study(StudyRecord(study, 0.0, {}, {}, {}, "0" * 64, "fake:model.json"))
    with store.transaction() as connection:
        for study_id in range(1, len(studies) + 1):
            rows = [trial_row(trial(number), study_id) for number in range(TRIALS_PER_STUDY)]
            connection.execute(insert(trials), rows)
        for index in range(plan_count):
            plan = build_plan(id=f"study-{index:06x}", created_s=float(index))
            connection.execute(insert(plans), plan_row(plan, index % len(studies) + 1))


def trial(number: int) -> TrialRecord:
    """A trial of two instances with fifty requests each."""
    configuration = Configuration(2, 1, "close", "0", False, "fake", "fp32")
    result = build_measurement(instances=2, requests=50)
    return TrialRecord("", number, configuration, False, 0.0, 1.0, result, 160.0)


def timing(command: Sequence[str], folder: Path) -> str:
    """Time a command's process."""
    times_s = []
    for _ in range(RUNS):
        start_s = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "autotune", *command], cwd=folder, stdout=subprocess.DEVNULL, check=True
        )
        times_s.append(time.perf_counter() - start_s)
    words = f"autotune {' '.join(command)}"
    return f"{words:32} median {statistics.median(times_s):.3f} s, fastest {min(times_s):.3f} s"


if __name__ == "__main__":
    main()
