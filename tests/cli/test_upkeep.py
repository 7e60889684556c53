"""A store is copied, pruned and put back while a study runs in it, with real processes."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from autotune.store.records import StudyRecord, TrialRecord
from autotune.store.store import open_store, read_store
from autotune.testing.fake_model import SCHEMA
from autotune.testing.fake_trial import processes_of
from autotune.testing.store_contract import MEASURED
from autotune.testing.store_contract import STUDY as OLD
from tests.conftest import RunCommand

STUDY: dict[str, Any] = {
    "name": "small",
    "model": "fake:model.json",
    "problem": {"batch_size": 1, "sequence_length": 1},
    "objective": "throughput",
    "search": {
        "placements": ["close"],
        "instances": [1, 2],
        "threads": [1, 2],
        "precisions": ["int8-dynamic"],
    },
    "measure": {
        **{"warmup": "100ms", "block": "50ms", "blocks": 2, "max_blocks": 2},
        **{"disturbed": "keep", "trial_timeout": "20s"},
    },
    "confirm": {"finalists": 1, "rounds": 3},
    "budget": {"trials": 50, "minutes": 9.0},
}
MODEL = {"schema": SCHEMA, "parallel_s_per_token": 0.02, "speed": {"fp32": 1.0, "int8-dynamic": 2.0}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a study, and a store that holds another one, of long ago."""
    monkeypatch.setenv("AUTOTUNE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "study.yaml").write_text(json.dumps(STUDY))
    (tmp_path / "model.json").write_text(json.dumps(MODEL))
    with open_store(f"sqlite:///{tmp_path}/autotune.db") as store:
        store.create_study(StudyRecord(**{**vars(OLD), "name": "old", "created_s": 1.0}))
        store.record_trial(TrialRecord(**{**vars(MEASURED), "study": "old", "ended_s": 2.0}))
    return tmp_path


@pytest.fixture
def tuning(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A study that runs, and has measured its baseline."""
    command = [sys.executable, "-m", "autotune", "tune", "study.yaml"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=folder, stdout=pipe, stderr=pipe, text=True, process_group=0, env={**os.environ}
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "baseline:" in line:
                break
        yield process
        process.kill()
    assert processes_of(folder) == []


def trials_in(file: Path, study: str) -> tuple[TrialRecord, ...]:
    with read_store(f"sqlite:///{file}") as store:
        return store.trials(study)


def test_a_store_is_copied_and_pruned_while_a_study_runs_which_misses_nothing(
    folder: Path, tuning: subprocess.Popen[str], run_command: RunCommand
) -> None:
    code, out, err = run_command(folder, "backup", "first.db", "--json")
    assert code == 0, err
    assert json.loads(out)["trials"] >= 2
    code, out, err = run_command(folder, "restore", "first.db", "--force")
    assert (code, out) == (12, "")
    assert "in use by a study" in err
    code, out, err = run_command(folder, "prune", "--older-than", "90d")
    assert code == 0, err
    assert "1 trial and 0 runs of rounds of 1 study" in out
    assert "when nobody runs" in err
    out, err = tuning.communicate()
    assert tuning.returncode == 0, err
    assert "plan small-" in out
    database = folder / "autotune.db"
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with read_store(f"sqlite:///{database}") as store:
        assert store.studies() == ("small",)
    measured = trials_in(database, "small")
    copied = trials_in(folder / "first.db", "small")
    assert copied == measured[: len(copied)]
    goes_on_from_a_copy(folder, run_command, len(measured))


def goes_on_from_a_copy(folder: Path, run_command: RunCommand, trials: int) -> None:
    """A copy in the store's place is a store in which the study goes on, and measures nothing twice."""
    code, out, err = run_command(folder, "restore", "first.db")
    assert (code, out) == (12, "")
    assert "it is newer" in err
    code, out, err = run_command(folder, "restore", "first.db", "--force")
    assert code == 0, err
    assert "2 studies" in out
    before = trials_in(folder / "autotune.db", "small")
    code, out, err = run_command(folder, "tune", "study.yaml")
    assert code == 0, err
    after = trials_in(folder / "autotune.db", "small")
    assert after[: len(before)] == before
    assert len(after) == trials


def test_a_study_whose_trials_were_pruned_keeps_its_plan_and_can_be_tuned_anew(
    folder: Path, run_command: RunCommand
) -> None:
    code, out, err = run_command(folder, "tune", "study.yaml", "--trials", "2", "--json")
    assert code == 0, err
    plan = json.loads(out)["id"]
    code, out, err = run_command(folder, "prune", "--older-than", "0s", "--dry-run", "--json")
    assert (code, json.loads(out)["plans"]) == (0, [])
    assert set(json.loads(out)["studies"]) == {"old", "small"}
    code, out, err = run_command(folder, "prune", "--older-than", "0s")
    assert code == 0, err
    assert run_command(folder, "show", plan)[0] == 0
    code, out, err = run_command(folder, "report", plan, "-o", "report.html")
    assert code == 0, err
    code, out, err = run_command(folder, "tune", "study.yaml", "--trials", "2")
    assert code == 0, err
    assert len(trials_in(folder / "autotune.db", "small")) == 2
    code, out, err = run_command(folder, "prune", "--older-than", "0s", "--no-keep-plans")
    assert code == 0, err
    with read_store(f"sqlite:///{folder}/autotune.db") as store:
        assert (store.studies(), store.plans()) == ((), ())


def test_an_age_that_is_none_is_refused(folder: Path, run_command: RunCommand) -> None:
    code, _, err = run_command(folder, "prune", "--older-than", "long")
    assert code == 2
    assert "90d" in err
