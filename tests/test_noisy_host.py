"""A study beside a CPU hog: disturbed trials are run again, and a machine that stays noisy gives no plan."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from autotune.cli import exits
from autotune.errors import NoisyMachineError
from autotune.store.store import read_store
from autotune.testing.stolen import StolenTime
from autotune.trial.measurement import Failure, FailureKind, Measurement

STUDY = {
    "name": "beside",
    "model": "fake:model.json",
    "problem": {"batch_size": 2, "sequence_length": 32},
    "search": {"precisions": ["fp32"], "threads": [1], "placements": ["close"], "knobs": "none"},
    "measure": {"warmup": "200ms", "block": "300ms", "blocks": 2, "max_blocks": 2},
    "confirm": {"finalists": 1, "rounds": 3},
}
MODEL = {"schema": "autotune.fake/1", "timing": "busy", "serial_s": 0.02}
HOG = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"
QUIET_PERCENT = 20.0
RETRIES = 3

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


def until_quiet(folder: Path, status: int, err: str) -> tuple[int, str]:
    """Go on with a study that this host disturbed without a hog, as its error says, a few times at most."""
    for _ in range(RETRIES):
        if status != exits.EXIT_CODES[NoisyMachineError]:
            break
        with start(folder) as again:
            _, err = again.communicate(timeout=240)
        status = again.returncode
    return status, err


def test_a_hog_that_stays_leaves_no_plan_but_says_that_the_machine_was_too_noisy(folder: Path) -> None:
    with hog(), start(folder) as process:
        out, err = process.communicate(timeout=240)
    assert process.returncode == exits.EXIT_CODES[NoisyMachineError], err
    assert "the machine was too noisy" in err
    assert "other processes took" in err
    assert out == ""
    with read_store(f"sqlite:///{folder}/autotune.db") as store:
        results = [trial.result for trial in store.trials("beside")]
        assert store.plans() == ()
    disturbed = [one for one in results if isinstance(one, Failure) and one.kind == FailureKind.DISTURBED]
    assert len(disturbed) > len(results) / 2


def test_trials_that_a_hog_disturbed_are_run_again_and_the_plan_is_the_one_without_it(folder: Path) -> None:
    stolen = StolenTime()
    with hog() as process, start(folder) as tuning:
        assert tuning.stderr is not None
        for line in tuning.stderr:
            if line.startswith("["):
                assert "baseline" in line
                assert "disturbed: " in line
                break
        process.kill()
        _, err = tuning.communicate(timeout=240)
    status, err = until_quiet(folder, tuning.returncode, err)
    if status == exits.EXIT_CODES[NoisyMachineError] and stolen.is_much:
        pytest.skip(f"the hypervisor took {stolen.share:.0%} of the cpus: {err}")
    assert status == 0, err
    with read_store(f"sqlite:///{folder}/autotune.db") as store:
        trials, plan = store.trials("beside"), store.plan("latest")
    assert isinstance(trials[0].result, Failure)
    again = [one for one in trials if one.baseline and isinstance(one.result, Measurement)]
    assert len(again) == 1
    assert (plan.configuration.instances, plan.configuration.threads_per_instance) == (2, 1)
    assert plan.confirmation.verdict == "better"
