"""What version 0.1.0 left behind is gone on with: its store, its plan and its cache, in every command.

`assets/version-0.1.0` is what commit de44d10 of that version, the last one before `objectives/`, `bench/` and
`jobs/`, made of the study in it, with the fake engine. The tests put machine, versions and interpreter of
here in the place of those of then, as a study goes on where it began alone.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from autotune.bench.here import machine_here
from autotune.cli import exits
from autotune.cli.verify import CODES
from autotune.errors import ResumeError
from autotune.machine.document import machine_document
from autotune.measurement.measurement import Measurement
from autotune.plan.document import SCHEMA
from autotune.preflight.setup import set_up
from autotune.preflight.survey import survey
from autotune.spec.load import load_study
from autotune.store.store import read_store

ASSETS = Path(__file__).parent / "assets" / "version-0.1.0"
RunCommand = Callable[..., tuple[int, str, str]]

PLAN_ID = "kept-2c93e3"
THEN_PYTHON, THEN_CACHE = "/opt/autotune/bin/python", "/var/cache/autotune"


@dataclass(frozen=True)
class Kept:
    """A folder as a user of version 0.1.0 left it.

    Attributes:
        command: runs `autotune` in this process; the workers that it starts are processes as ever.
    """

    folder: Path
    command: RunCommand

    @property
    def store(self) -> str:
        return f"sqlite:///{self.folder}/autotune.db"

    def run(self, *arguments: str, status: Sequence[int] = (0,)) -> str:
        code, out, err = self.command(self.folder, *arguments)
        assert code in status, err
        return out

    def answer(self, *arguments: str, status: Sequence[int] = (0,)) -> Any:
        return json.loads(self.run(*arguments, "--json", status=status))


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_command: RunCommand) -> Kept:
    """Lay the kept files out, the cache's as old as its manifests say."""
    kept = Kept(tmp_path / "kept", run_command)
    monkeypatch.setenv("AUTOTUNE_CACHE", str(kept.folder / "cache"))
    shutil.copytree(ASSETS, kept.folder)
    (kept.folder / "cache").mkdir()
    (kept.folder / "artifacts").rename(kept.folder / "cache" / "artifacts")
    for manifest in kept.folder.glob("cache/artifacts/*/manifest.json"):
        for file in json.loads(manifest.read_text())["files"]:
            os.utime(manifest.with_name(file["name"]), ns=(file["mtime_ns"], file["mtime_ns"]))
    with closing(sqlite3.connect(kept.folder / "autotune.db")) as connection, connection:
        connection.executescript((kept.folder / "store.sql").read_text())
        _move_here(connection, kept.folder)
    return kept


def _move_here(connection: sqlite3.Connection, folder: Path) -> None:
    """Have the store be of this machine, with what is installed here."""
    spec = load_study(folder / "study.yaml")
    setup = set_up(survey(spec, machine_here()), base=folder, offline=True)
    machine, versions = machine_document(setup.machine), dict(setup.versions)
    connection.execute(
        "UPDATE autotune_studies SET machine = ?, versions = ?", (json.dumps(machine), json.dumps(versions))
    )
    (text,) = connection.execute("SELECT document FROM autotune_plans").fetchone()
    moved = text.replace(THEN_PYTHON, sys.executable).replace(THEN_CACHE, str(folder / "cache"))
    plan = {**json.loads(moved), "machine": machine, "versions": versions}
    connection.execute("UPDATE autotune_plans SET document = ?", (json.dumps(plan),))


def test_its_store_and_its_plan_open(kept: Kept) -> None:
    (listed,) = kept.answer("plans")
    assert (listed["id"], listed["study"], listed["objective"]) == (PLAN_ID, "kept", "throughput")
    shown = kept.answer("show", "latest")
    assert (shown["schema"], shown["id"]) == (SCHEMA, PLAN_ID)
    assert shown["study"]["spec"]["problem"]["batch_size"] == 2
    assert "int8-dynamic" in kept.run("show", "latest")
    kept.run("report", "-o", "page.html")
    assert PLAN_ID in (kept.folder / "page.html").read_text()
    with read_store(kept.store) as store:
        trials = store.trials("kept")
    assert [trial.number for trial in trials] == [0, 1]
    assert all(isinstance(trial.result, Measurement) and trial.score for trial in trials)


def test_its_cache_opens(kept: Kept) -> None:
    listed = kept.answer("cache", "list")
    manifests = [entry["manifest"] for entry in listed]
    assert {(manifest["backend"], manifest["precision"]) for manifest in manifests} == {
        ("fake", "fp32"),
        ("fake", "int8-dynamic"),
    }
    assert all(entry["complete"] for entry in listed)


def test_its_study_goes_on_where_it_ended(kept: Kept) -> None:
    plan = kept.answer("tune", "study.yaml", "--trials", "3")
    with read_store(kept.store) as store:
        trials = store.trials("kept")
        assert {summary.id for summary in store.plans()} == {PLAN_ID, plan["id"]}
    assert [trial.number for trial in trials] == [0, 1, 2]
    assert [bool(trial.host) for trial in trials] == [False, False, True]
    assert len({trial.configuration for trial in trials}) == 3
    assert plan["schema"] == SCHEMA


def test_its_plan_is_verified(kept: Kept) -> None:
    found = kept.answer("verify", PLAN_ID, "--rounds", "3", status=tuple(CODES.values()))
    assert found["verdict"] in {"holds", "better", "worse", "undecided"}
    assert found["plan"] == PLAN_ID
    assert len(found["runs"]) == 6


@pytest.fixture
def exported(kept: Kept) -> Callable[[str], Path]:
    """Export the kept plan: target → its folder."""

    def export(target: str) -> Path:
        folder = kept.folder / target
        written = kept.answer("export", PLAN_ID, "--to", target, "-o", str(folder))
        assert written
        return folder

    return export


def test_its_plan_is_exported(kept: Kept, exported: Callable[[str], Path]) -> None:
    (document,) = exported("json").glob("[!.]*.json")
    plan = json.loads(document.read_text())
    assert (plan["schema"], plan["id"]) == (SCHEMA, PLAN_ID)
    script = (exported("numactl") / "launch.sh").read_text()
    assert "autotune.worker.worker" in script
    assert str(kept.folder / "cache" / "artifacts") in script
    subprocess.run(["bash", "-n", "launch.sh"], cwd=kept.folder / "numactl", check=True)


def test_its_study_is_not_mixed_with_another_one(kept: Kept) -> None:
    study = kept.folder / "study.yaml"
    study.write_text(study.read_text().replace("batch_size: 2", "batch_size: 4"))
    kept.run("tune", "study.yaml", status=(exits.EXIT_CODES[ResumeError],))
