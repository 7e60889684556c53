"""Prints how long it takes to prepare all artifacts of quickstart: the first time, and from the cache.

    python studies/benchmarks/preparation.py [--study studies/quickstart.yaml]

Every engine that is installed and every precision that it has here, one after the other, in a cache of its
own that is empty at first. Asked: below 3 minutes the first time, below 2 s from the cache. Nothing else
should run.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from autotune.backends.preparation import prepare_artifact
from autotune.errors import AutotuneError
from autotune.model.cache import ArtifactCache
from autotune.model.sources import resolve_model
from autotune.preflight import Survey, survey
from autotune.spec.load import load_study

QUICKSTART = Path(__file__).resolve().parents[1] / "quickstart.yaml"
ASKED_S = {"first": 180.0, "from the cache": 2.0}
PREPARATION_TIMEOUT_S = 1800.0


def prepare_all(label: str, surveyed: Survey, base: Path, cache: Path) -> None:
    """Prepare everything once and print what each took, and all together."""
    spec = surveyed.spec
    begin = time.perf_counter()
    model = resolve_model(spec.models[0], base=base, seed=spec.seed, offline=True)
    for backend, precisions in surveyed.engines.items():
        for precision in precisions:
            start = time.perf_counter()
            try:
                prepare_artifact(
                    model,
                    backend,
                    precision,
                    surveyed.machine.isa,
                    ArtifactCache(cache),
                    timeout_s=PREPARATION_TIMEOUT_S,
                    shapes=[(spec.problem.batch_size, spec.problem.longest or 1)],
                )
                outcome = ""
            except AutotuneError as error:
                outcome = f": {error.problem}"
            print(f"{label}: {backend} {precision} {time.perf_counter() - start:.2f} s{outcome}", flush=True)
    total_s = time.perf_counter() - begin
    held = "holds" if total_s < ASKED_S[label] else "MISSED"
    print(f"{label}: all in {total_s:.1f} s: {held} (< {ASKED_S[label]:g} s)", flush=True)


def main() -> None:
    """From an empty cache, then from the full one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--study", type=Path, default=QUICKSTART)
    study = parser.parse_args().study
    surveyed = survey(load_study(study))
    for reason in surveyed.left_out:
        print(f"left out: {reason}")
    with tempfile.TemporaryDirectory() as name:
        for label in ASKED_S:
            prepare_all(label, surveyed, study.parent, Path(name))


if __name__ == "__main__":
    main()
