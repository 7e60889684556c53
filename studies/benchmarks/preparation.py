"""Prints how long it takes to prepare all artifacts of quickstart: the first time, and from the cache.

    python studies/benchmarks/preparation.py [--study studies/quickstart.yaml]

Every engine that is installed and every precision that it has here, one after the other, in a cache of its
own that is empty at first. Timed is all that a first run needs before it can measure: finding the model,
preparing each artifact, and comparing its answers with the fp32 reference's. Asked: below 3 minutes the first
time, below 2 s from the cache, and that nothing breaks; what an engine does not support is named and does not
count. Nothing else should run.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from autotune.errors import AutotuneError, UnsupportedError
from autotune.measuring import Bench
from autotune.preflight import Survey, set_up, survey
from autotune.report.progress import Observer
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


def prepare(label: str, bench: Bench, one: Configuration) -> bool:
    """Prepare and compare one artifact and print what that took; whether nothing broke."""
    start, is_sound = time.perf_counter(), True
    try:
        bench.commands(one)
        outcome = bench.refusal(one)
    except UnsupportedError as error:
        outcome = f"unsupported: {error.problem}"
    except AutotuneError as error:
        outcome, is_sound = f"FAILED: {error.problem}", False
    took_s = time.perf_counter() - start
    print(f"{label}: {one.backend} {one.precision} {took_s:.2f} s{outcome and f': {outcome}'}", flush=True)
    return is_sound


def prepare_all(label: str, surveyed: Survey, base: Path) -> None:
    """Prepare everything once and print what each took, and all together."""
    begin = time.perf_counter()
    bench = Bench(set_up(surveyed, base=base, offline=True), Observer())
    failed = sum(not prepare(label, bench, one) for one in one_of_each(bench.setup.space))
    total_s = time.perf_counter() - begin
    held = "holds" if total_s < ASKED_S[label] and not failed else "MISSED"
    broken = f", {failed} failed" if failed else ""
    print(f"{label}: all in {total_s:.1f} s{broken}: {held} (< {ASKED_S[label]:g} s)", flush=True)


def main() -> None:
    """From an empty cache, then from the full one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--study", type=Path, default=QUICKSTART)
    study = parser.parse_args().study
    surveyed = survey(load_study(study))
    for reason in surveyed.left_out:
        print(f"left out: {reason}")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["AUTOTUNE_CACHE"] = cache
        for label in ASKED_S:
            prepare_all(label, surveyed, study.parent)


if __name__ == "__main__":
    main()
