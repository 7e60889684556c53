"""A study beside a CPU hog: every trial has its value, and the plan is the one that there is without."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from autotune.measurement.measurement import Measurement
from autotune.plan.document import Plan
from autotune.store.store import read_store

STUDY = {
    "name": "beside",
    "model": "fake:model.json",
    "problem": {"batch_size": 2, "sequence_length": 32},
    "search": {"precisions": ["fp32"], "threads": [1], "placements": ["close"], "knobs": "none"},
    "measure": {"warmup": "200ms", "block": "300ms", "blocks": 2, "max_blocks": 2},
    "confirm": {"finalists": 1, "rounds": 3},
    "budget": {"minutes": 9.0},  # less than it takes for a twin to run in the rounds, too
}
MODEL = {"schema": "autotune.fake/1", "timing": "busy", "serial_s": 0.02}
HOG = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"
QUIET_PERCENT = 20.0

pytestmark = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs a cpu beside the hog's")


@contextmanager
def hog() -> Iterator[subprocess.Popen[bytes]]:
    """A process that takes all it gets of the last allowed cpu."""
    cpu = str(max(os.sched_getaffinity(0)))
    process = subprocess.Popen([sys.executable, "-c", HOG, cpu])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    busy = max(psutil.cpu_percent(1.0, percpu=True))
    if busy > QUIET_PERCENT:
        pytest.skip(f"other work takes {busy:.0f} % of a cpu already")
    (tmp_path / "model.json").write_text(json.dumps(MODEL))
    (tmp_path / "study.yaml").write_text(json.dumps(STUDY))
    return tmp_path


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "autotune", "tune", "study.yaml"],
        cwd=folder,
        env={**os.environ, "AUTOTUNE_CACHE": str(folder / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def plan_of(folder: Path) -> Plan:
    with read_store(f"sqlite:///{folder}/autotune.db") as store:
        assert all(isinstance(trial.result, Measurement) for trial in store.trials("beside"))
        return store.plan("latest")


def test_a_hog_that_stays_changes_nothing_of_the_plan_which_says_what_it_went_through(folder: Path) -> None:
    with hog(), start(folder) as process:
        out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    plan = plan_of(folder)
    assert plan.confirmation.verdict in ("better", "likely")
    assert plan.configuration.placement != "unpinned"
    assert "other processes took" in plan.confirmation.quietness
    assert "What would help: stop other work" in plan.confirmation.quietness
    assert "other processes took" in " ".join(out.split())


def test_a_hog_that_comes_and_goes_leaves_the_plan_that_there_is_without_it(folder: Path) -> None:
    with start(folder) as tuning:
        while tuning.poll() is None:
            with hog():
                time.sleep(1.0)
            time.sleep(1.0)
        _, err = tuning.communicate(timeout=240)
    assert tuning.returncode == 0, err
    plan = plan_of(folder)
    assert (plan.configuration.instances, plan.configuration.threads_per_instance) == (2, 1)
    assert plan.confirmation.verdict in ("better", "likely")
    assert "other processes took" in plan.confirmation.quietness
