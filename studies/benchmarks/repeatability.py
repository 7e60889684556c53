"""Prints how well quickstart repeats: several runs from empty stores, then `autotune verify` of every plan.

    python studies/benchmarks/repeatability.py [--runs 3] [--study FILE] [--against CHECKOUT]
        [--cache DIR | --cold]

Every run is `autotune tune studies/quickstart.yaml` (or the given study) as a process and on a store of its
own, with one cache for all of them that a first run fills; with `--cold` every run has an empty one of its
own. With `--against`, the autotune of another checkout (of an older version, say) takes turns with this one
over the same study, so that both see the same machine; where that checkout has a virtual environment of its
own, `.venv`, it runs in that, which knows the engines that it registers. Nothing else should run meanwhile:
three runs and their verification take a quarter of an hour.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Outcome:
    """One run of quickstart.

    Attributes:
        cache: that it began with.
        plan: its document.
        wall_s: of the whole command.
    """

    checkout: Path
    store: str
    cache: Path
    plan: dict[str, Any]
    wall_s: float

    @property
    def throughput_sps(self) -> float:
        """What the plan promises."""
        return float(self.plan["estimate"]["throughput_sps"])

    @property
    def layout(self) -> tuple[Any, ...]:
        """The configuration, to compare with other plans'."""
        return tuple(self.plan["configuration"].values())

    def lists(self, other: Outcome) -> bool:
        """Whether this plan is the other's configuration, or says that they are tied."""
        rivals = self.plan.get("confirmation", {}).get("rivals", [])
        tied = [tuple(one["configuration"].values()) for one in rivals if one["standing"] == "tied"]
        return other.layout in (self.layout, *tied)


class Runner:
    """Runs a checkout's command line with one cache."""

    def __init__(self, folder: Path, study: Path, cache: Path | None, *, is_cold: bool) -> None:
        self.folder = folder
        self.study = study
        self.cache = cache or folder / "cache"
        self.is_cold = is_cold

    def autotune(self, checkout: Path, cache: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command; its exit status is the caller's to judge."""
        environment = {
            **os.environ,
            "AUTOTUNE_CACHE": str(cache),
            "PYTHONPATH": str(checkout),
        }
        return subprocess.run(
            [_python(checkout), "-P", "-m", "autotune", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def quickstart(self, checkout: Path, name: str) -> Outcome:
        """Tune from an empty store.

        Raises:
            SystemExit: it gave no plan; with what it said.
        """
        store = f"sqlite:///{self.folder}/{name}.db"
        cache = self.folder / f"{name}-cache" if self.is_cold else self.cache
        start = time.perf_counter()
        ran = self.autotune(checkout, cache, "tune", str(self.study), "--store", store, "--json")
        wall_s = time.perf_counter() - start
        if ran.returncode:
            raise SystemExit(f"{name} gave no plan (exit status {ran.returncode}):\n{ran.stderr[-2000:]}")
        return Outcome(checkout, store, cache, json.loads(ran.stdout), wall_s)


def _python(checkout: Path) -> str:
    """Give the interpreter of a checkout: that of its own virtual environment, or else this one."""
    own = checkout / ".venv" / "bin" / "python"
    return str(own) if checkout != HERE and own.exists() else sys.executable


def show(name: str, one: Outcome) -> None:
    """Print one run."""
    plan = one.plan
    confirmed = plan.get("confirmation", {})
    span = plan["estimate"].get("objective_range")
    interval = f" ({span['low']:.1f} to {span['high']:.1f})" if span else ""
    chosen = plan["configuration"]
    print(
        f"{name}: wall {one.wall_s:.0f} s; {chosen['instances']} x {chosen['threads_per_instance']}"
        f" {chosen['backend']} {chosen['precision']}: {one.throughput_sps:.2f} samples/s{interval},"
        f" gain {plan['gain']:.2f}; {confirmed.get('verdict', 'not confirmed')},"
        f" {confirmed.get('rounds', 0)} rounds, {confirmed.get('dropped_blocks', 0)} blocks dropped",
        flush=True,
    )


def summary(label: str, outcomes: list[Outcome]) -> None:
    """Print how far the runs of one checkout are from each other."""
    values = [one.throughput_sps for one in outcomes]
    gains = [float(one.plan["gain"]) for one in outcomes]
    pairs = list(combinations(outcomes, 2))
    listed = sum(one.lists(other) and other.lists(one) for one, other in pairs)
    print(
        f"{label}: throughputs within {max(values) / min(values) - 1:.1%} of each other"
        f" (standard deviation {_deviation(values):.1%}), gains within {max(gains) / min(gains) - 1:.1%};"
        f" {listed} of {len(pairs)} pairs are the same configuration or tied in both;"
        f" wall {statistics.median(one.wall_s for one in outcomes):.0f} s (median)",
        flush=True,
    )


def _deviation(values: list[float]) -> float:
    return statistics.stdev(map(math.log, values)) if len(values) > 1 else 0.0


def verify(runner: Runner, outcomes: list[Outcome]) -> None:
    """Run every plan of this checkout again, and print what `autotune verify` says."""
    for one in outcomes:
        ran = runner.autotune(one.checkout, one.cache, "verify", one.plan["id"], "--store", one.store)
        print(f"verify {one.plan['id']}: exit status {ran.returncode}\n{ran.stdout.rstrip()}", flush=True)


def main() -> None:
    """Fill the caches, take turns, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--study", type=Path, default=HERE / "studies" / "quickstart.yaml")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT")
    caches = parser.add_mutually_exclusive_group()
    caches.add_argument("--cache", type=Path, metavar="DIR", help="one that is filled already")
    caches.add_argument("--cold", action="store_true", help="an empty one for every run")
    options = parser.parse_args()
    checkouts = [HERE, *([options.against.resolve()] if options.against else [])]
    with tempfile.TemporaryDirectory() as name:
        runner = Runner(Path(name), options.study.resolve(), options.cache, is_cold=options.cold)
        if options.cache is None and not options.cold:
            for checkout in checkouts:
                runner.quickstart(checkout, f"{checkout.name}-preparation")
        found: dict[Path, list[Outcome]] = {checkout: [] for checkout in checkouts}
        for number in range(1, options.runs + 1):
            for checkout in checkouts:
                outcome = runner.quickstart(checkout, f"{checkout.name}-{number}")
                found[checkout].append(outcome)
                show(f"{checkout.name} run {number}", outcome)
        for checkout, outcomes in found.items():
            summary(checkout.name, outcomes)
        verify(runner, found[HERE])


if __name__ == "__main__":
    main()
