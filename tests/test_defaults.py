"""What people start today is in the race: a study of real engines, which looks at them first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from autotune.plan.document import Plan
from autotune.store.records import TrialRecord
from autotune.store.store import read_store

pytestmark = [pytest.mark.engines, pytest.mark.slow, pytest.mark.timeout(600)]

STUDY = {
    "name": "race",
    "model": "random:minilm-l6",
    "problem": {"batch_size": 1, "sequence_length": 16},
    "search": {
        "backends": ["pytorch", "onnxruntime"],
        "precisions": ["fp32", "int8-dynamic"],
        "knobs": "none",
    },
    "measure": {"warmup": "500ms", "block": "100ms", "blocks": 2, "max_blocks": 2},
    "confirm": {"finalists": 1, "rounds": 3},
    "budget": {"trials": 3, "minutes": 5},
}


class Race:
    """The study, run once for all tests."""

    def __init__(self, folder: Path) -> None:
        (folder / "study.yaml").write_text(json.dumps(STUDY))
        done = subprocess.run(
            [sys.executable, "-m", "autotune", "tune", "study.yaml"],
            cwd=folder,
            env={**os.environ, "AUTOTUNE_CACHE": str(folder / "cache")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        self.out, self.err = done.stdout, done.stderr
        with read_store(f"sqlite:///{folder}/autotune.db") as store:
            self.trials: tuple[TrialRecord, ...] = tuple(store.trials("race"))
            self.plan: Plan = store.plan("latest")


@pytest.fixture(scope="module")
def race(tmp_path_factory: pytest.TempPathFactory) -> Race:
    return Race(tmp_path_factory.mktemp("race"))


def test_every_engine_and_precision_is_looked_at_before_the_first_trial(race: Race) -> None:
    lines = [line for line in race.err.splitlines() if line.startswith(("looked at", "["))]
    assert lines[0].startswith("looked at 4 engines and precisions in ")
    assert lines[1].startswith("[1/3] baseline: ")
    assert race.plan.confirmation.spent is not None
    assert race.plan.confirmation.spent.looking_s > 0


def test_a_default_is_measured_before_any_layout_of_an_engine(race: Race) -> None:
    assert race.trials[0].baseline
    first = race.trials[1].configuration
    assert (first.placement, first.threads_per_instance, first.instances) == ("unpinned", 0, 1)
    assert first.backend == "onnxruntime"
    assert any("default: 1 x default threads, unpinned" in line for line in race.err.splitlines())


def test_the_best_default_runs_in_every_round_beside_the_baseline(race: Race) -> None:
    assert race.err.count("[round 1] default: ") == race.err.count("[round 1] baseline: ") == 1


def test_the_plan_is_shown_with_its_ratio_to_the_best_default(race: Race) -> None:
    default = race.plan.confirmation.default
    assert default is not None
    assert default.configuration.placement == "unpinned"
    assert "default" in race.out
    assert default.said == "plan" or default.ratio_range is not None
    assert default.said == "plan" or f"{default.ratio:.2f}x the best default" in race.out
