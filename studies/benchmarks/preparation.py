"""Prints how long it takes to prepare all artifacts of quickstart: the first time, and from the cache.

    python studies/benchmarks/preparation.py [--study studies/quickstart.yaml]

Every engine that is installed and every precision that it has here, one after the other, in a cache of its
own that is empty at first: finding the model and preparing each artifact. Asked: below 3 minutes the first
time, below 2 s from the cache, and that nothing breaks; what an engine does not support is named and does not
count. Comparing each one's answers with the fp32 reference's, which a first run needs too, is timed beside.
Nothing else should run.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from autotune.bench.here import machine_here
from autotune.bench.local import LocalHost
from autotune.errors import AutotuneError, UnsupportedError
from autotune.preflight.setup import set_up
from autotune.preflight.survey import Survey, survey
from autotune.search.space import SearchSpace
from autotune.spec.configuration import Configuration, Prepared
from autotune.spec.load import load_study

QUICKSTART = Path(__file__).resolve().parents[1] / "quickstart.yaml"
ASKED_S = {"first": 180.0, "from the cache": 2.0}


def one_of_each(space: SearchSpace) -> list[Configuration]:
    """The first configuration of every artifact, the baseline's before the others."""
    found: dict[Prepared, Configuration] = {}
    for one in (space.baseline, *space.configurations):
        found.setdefault(one.prepared, one)
    return list(found.values())


@dataclass
class Spent:
    """What was done so far.

    Attributes:
        preparing_s, comparing_s: seconds that making artifacts and comparing their answers took.
        failed: artifacts that something broke for.
    """

    preparing_s: float = 0.0
    comparing_s: float = 0.0
    failed: int = 0


def prepare(label: str, host: LocalHost, one: Configuration, spent: Spent) -> None:
    """Prepare and compare one artifact, and print what that took."""
    start, prepared, outcome = time.perf_counter(), None, ""
    try:
        host.admit(one, compare=False)
        prepared = time.perf_counter()
        outcome = host.admit(one).refusal
    except UnsupportedError as error:
        outcome = f"unsupported: {error.problem}"
    except AutotuneError as error:
        outcome = f"FAILED: {error.problem}"
        spent.failed += 1
    end = time.perf_counter()
    preparing_s, comparing_s = (prepared or end) - start, end - (prepared or end)
    spent.preparing_s += preparing_s
    spent.comparing_s += comparing_s
    took = f"prepared in {preparing_s:.2f} s, compared in {comparing_s:.2f} s"
    print(f"{label}: {one.backend} {one.precision} {took}{outcome and f': {outcome}'}", flush=True)


def prepare_all(label: str, surveyed: Survey, base: Path) -> None:
    """Prepare everything once, and print what all of it took."""
    begin, spent = time.perf_counter(), Spent()
    host = LocalHost(set_up(surveyed, base=base, offline=True))
    spent.preparing_s += time.perf_counter() - begin
    for one in one_of_each(host.setup.space):
        prepare(label, host, one, spent)
    held = "holds" if spent.preparing_s < ASKED_S[label] and not spent.failed else "MISSED"
    broken = f", {spent.failed} failed" if spent.failed else ""
    print(
        f"{label}: all prepared in {spent.preparing_s:.1f} s{broken}: {held} (< {ASKED_S[label]:g} s); "
        f"answers compared in {spent.comparing_s:.1f} s more",
        flush=True,
    )


def main() -> None:
    """From an empty cache, then from the full one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--study", type=Path, default=QUICKSTART)
    study = parser.parse_args().study
    surveyed = survey(load_study(study), machine_here())
    for reason in surveyed.left_out:
        print(f"left out: {reason}")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["AUTOTUNE_CACHE"] = cache
        for label in ASKED_S:
            prepare_all(label, surveyed, study.parent)


if __name__ == "__main__":
    main()
