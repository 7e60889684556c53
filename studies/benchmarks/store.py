"""Prints how long commands that only read take on a large store, and how large it is.

    python studies/benchmarks/store.py [--trials 10000] [--plans 100] [--runs 5] [--against CHECKOUT]

The store is built in a temporary folder: studies of 100 trials with 100 raw latencies each. Timed is the
whole process that a user starts, from its start to its end, and the processor time that it takes, which other
work on the machine hardly changes. With `--against`, the autotune of another checkout (of an older version,
say) takes turns with this one, each on a store of its own making.
"""

from __future__ import annotations

import argparse
import os
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sqlalchemy import insert

from autotune.spec.configuration import Configuration
from autotune.store.records import StudyRecord, TrialRecord
from autotune.store.rows import plan_row, trial_row
from autotune.store.store import StudyStore
from autotune.store.tables import plans, trials
from autotune.testing.plans import build_measurement, build_plan

TRIALS_PER_STUDY = 100
HERE = Path(__file__).resolve().parents[2]
COMMANDS = (("plans",), ("plans", "--json"), ("show", "latest"), ("export", "latest", "--to", "json"))


def main() -> None:
    """Build the store and time the commands."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=10_000, help="trials in the store")
    parser.add_argument("--plans", type=int, default=100, help="plans in the store")
    parser.add_argument("--runs", type=int, default=5, help="of every command")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="takes turns with this version")
    options = parser.parse_args()
    checkouts = [HERE, *([options.against.resolve()] if options.against else [])]
    with tempfile.TemporaryDirectory() as name:
        stores = {checkout: Path(name, str(number)) for number, checkout in enumerate(checkouts)}
        for checkout, folder in stores.items():
            build(checkout, folder, options.trials, options.plans)
            size_mib = (folder / "autotune.db").stat().st_size / 2**20
            print(f"store: {options.trials} trials, {options.plans} plans, {size_mib:.0f} MiB")
        for command in COMMANDS:
            for line in timings(command, stores, options.runs):
                print(line)


def build(checkout: Path, folder: Path, trial_count: int, plan_count: int) -> None:
    """Have a checkout build its own store, as versions may differ in what a store is."""
    folder.mkdir()
    code = (
        "from autotune.store.store import open_store; from studies.benchmarks.store import fill\n"
        f"with open_store('sqlite:///autotune.db') as store: fill(store, {trial_count}, {plan_count})"
    )
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    subprocess.run([sys.executable, "-P", "-c", code], cwd=folder, env=environment, check=True)


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


def timings(command: Sequence[str], stores: Mapping[Path, Path], runs: int) -> Iterator[str]:
    """Time a command's process, the checkouts in turns; the first run of each fills caches and counts not."""
    times_s: dict[Path, list[tuple[float, float]]] = {checkout: [] for checkout in stores}
    for number in range(runs + 1):
        for checkout, folder in stores.items():
            taken_s = seconds(command, folder, checkout)
            if number > 0:
                times_s[checkout].append(taken_s)
    for checkout, taken in times_s.items():
        walls_s, cpus_s = zip(*taken, strict=True)
        yield (
            f"{f'autotune {shlex.join(command)}':32} {checkout.name:12}"
            f" median {statistics.median(walls_s):.3f} s, fastest {min(walls_s):.3f} s;"
            f" cpu median {statistics.median(cpus_s):.3f} s"
        )


def seconds(command: Sequence[str], folder: Path, checkout: Path) -> tuple[float, float]:
    """Run a command once, and give its wall time and its processor time."""
    before, start_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, "-P", "-m", "autotune", *command],
        env={**os.environ, "PYTHONPATH": str(checkout)},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    wall_s, after = time.perf_counter() - start_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
