"""Studies of a fake model to whose host a neighbour comes when the search is over, in real processes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import autotune
from autotune.cli import exits
from autotune.errors import NoisyMachineError
from autotune.events import DoubtRaised, Event, SearchEnded, TrialEnded
from autotune.store.records import ConfirmationRecord, PlanSummary
from autotune.store.store import read_store
from autotune.testing.fake_model import SCHEMA
from autotune.testing.listener import Listener

pytestmark = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="a search over one cpu has nothing to choose"
)

WAIT_S = 240.0
CODE = exits.EXIT_CODES[NoisyMachineError]


class Folder:
    """A folder with a study, its model, its cache, its store, and a neighbour that comes and goes.

    Attributes:
        neighbour: the file that is there while the neighbour is.
    """

    def __init__(self, path: Path, when: dict[str, Any]) -> None:
        """Write the study.

        Args:
            when: whom the neighbour slows, to a tenth; nothing = everybody.
        """
        self.path = path
        self.neighbour = path / "neighbour"
        slow = {
            "fault": "slow",
            "factor": 10,
            "while": str(self.neighbour),
            **({"when": when} if when else {}),
        }
        model = {
            "schema": SCHEMA,
            "serial_s": 0.004,
            "parallel_s_per_token": 2e-4,
            "speed": {"fp32": 1.0, "int8-dynamic": 8.0},
            "faults": [slow],
        }
        study = {
            "name": "small",
            "model": "fake:model.json",
            "problem": {"batch_size": 2, "sequence_length": 32},
            "search": {"placements": ["close"], "instances": [1], "threads": [1], "knobs": "none"},
            "measure": {
                **{"warmup": "200ms", "block": "50ms", "blocks": 2, "max_blocks": 2},
                **{"disturbed": "keep", "trial_timeout": "20s"},
            },
            "confirm": {"finalists": 1, "rounds": 3},
            "budget": {"trials": 4, "minutes": 5.0},
        }
        (path / "model.json").write_text(json.dumps(model))
        (path / "study.yaml").write_text(json.dumps(study))

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}/autotune.db"

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "autotune", "tune", "study.yaml"],
            cwd=self.path,
            env={**os.environ, "AUTOTUNE_CACHE": str(self.path / "cache")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def runs(self) -> tuple[ConfirmationRecord, ...]:
        with read_store(self.url) as store:
            return store.confirmations("small")

    def plans(self) -> tuple[PlanSummary, ...]:
        with read_store(self.url) as store:
            return store.plans("small")

    def searched(self) -> dict[str, float]:
        """Scores of the baseline and of the best of the search."""
        with read_store(self.url) as store:
            trials = store.trials("small")
        return {
            "baseline": next(trial.score or 0.0 for trial in trials if trial.baseline),
            "best": max(trial.score or 0.0 for trial in trials),
        }


class Arriving(Listener):
    """Lets the neighbour come when the search is over, or earlier, and go."""

    def __init__(self, neighbour: Path, *, in_search: bool = False) -> None:
        super().__init__()
        self.neighbour = neighbour
        if in_search:
            neighbour.touch()

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        if isinstance(event, TrialEnded):
            self.neighbour.unlink(missing_ok=True)


class Staying(Arriving):
    """Has the neighbour come when the search is over."""

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        if isinstance(event, SearchEnded):
            self.neighbour.touch()


@pytest.fixture
def own_folder(tmp_path: Path, own_cache: Path) -> Path:
    return tmp_path


@pytest.mark.slow
def test_a_neighbour_of_the_baseline_alone_leaves_no_plan_until_it_has_gone(tmp_path: Path) -> None:
    """The baseline falls to a tenth in the rounds: a plan would look ten times better than it is."""
    folder = Folder(tmp_path, {"threads": 0})
    with folder.start() as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if line.endswith(" trials\n"):
                folder.neighbour.touch()
        out = process.stdout.read() if process.stdout else ""
        assert process.wait(WAIT_S) == CODE, "".join(lines)
    told = " ".join("".join(lines).split())
    assert out == ""
    assert "the rounds contradict the search: baseline fell from" in told
    assert "running three more rounds" in told
    assert "after 6 rounds" in told
    assert "end it, or give the study cpus of its own" in told
    assert "--name" in told
    assert re.search(r"In search and rounds: baseline: [0-9.]+ samples/s, [0-9.]+ samples/s; trial ", told)
    assert folder.plans() == ()
    assert max(run.round for run in folder.runs()) == 6

    folder.neighbour.unlink()
    with folder.start() as process:
        _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, err
    (plan,) = folder.plans()
    searched = folder.searched()
    assert plan.gain == pytest.approx(searched["best"] / searched["baseline"], rel=0.5)
    assert {run.series for run in folder.runs()} == {1, 2}


def test_a_neighbour_that_slows_everybody_alike_leaves_the_gain_as_it_is(own_folder: Path) -> None:
    folder = Folder(own_folder, {})
    listener = Staying(folder.neighbour)
    plan = autotune.tune(folder.path / "study.yaml", store=folder.url, emit=listener)
    searched = folder.searched()
    assert listener.heard(DoubtRaised) == []
    assert plan.gain == pytest.approx(searched["best"] / searched["baseline"], rel=0.5)
    assert plan.estimate.objective_value < 0.3 * searched["best"]
    assert any("slower in the rounds than in the search, at about 0.1" in told for told in plan.warnings)


def test_a_neighbour_that_had_gone_before_the_rounds_is_not_held_against_them(own_folder: Path) -> None:
    """The search met the baseline at a tenth of its speed: the rounds know better."""
    folder = Folder(own_folder, {"threads": 0})
    listener = Arriving(folder.neighbour, in_search=True)
    plan = autotune.tune(folder.path / "study.yaml", store=folder.url, emit=listener)
    searched = folder.searched()
    assert listener.heard(DoubtRaised) == []
    assert plan.gain is not None
    assert plan.gain < 0.4 * searched["best"] / searched["baseline"]
