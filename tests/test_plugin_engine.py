"""An engine of another distribution, with knobs of its own: it is found, searched, proven and planned."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from autotune.cli import exits
from autotune.errors import BackendError, StudyFileError
from autotune.measurement.measurement import Failure, FailureKind, Measurement
from autotune.store.records import TrialRecord
from autotune.store.store import read_store
from autotune.testing.fake_model import SCHEMA

KNOBS = '''
"""Knobs of the sleeper: one that it is told when it is loaded, and one that its process is started with."""

import os

from autotune.spec.knob import Knob


def refuse_thunder(value, here):
    return "the walls are thin: move out" if value == "thunderous" else ""


def snore_in_force(mapped):
    return os.environ.get("SLEEPY_SNORE", "quiet")


GAIT = Knob("gait", ("walk", "run"), "how fast the sleeper goes")
SNORE = Knob(
    "snore",
    ("quiet", "loud", "thunderous"),
    "how loud the sleeper is",
    variable="SLEEPY_SNORE",
    refusal=refuse_thunder,
    in_force=snore_in_force,
)
'''

BACKEND = '''
"""An engine that sleeps for as long as its knobs say."""

import os
import sys
import time

from autotune.backends.protocol import EngineReport, StatedTimes
from autotune.testing.fake_backend import FakeBackend, FakeOutput
from autotune.placement.assignment import parse_assignment

from sleepy_engine.knobs import GAIT, SNORE

SECONDS = {"walk": 0.03, "run": 0.01}


class SleepyBackend(FakeBackend):
    name = "sleepy"
    precisions = ("fp32",)
    packages = ("sleepy-engine",)
    install_hint = "pip install sleepy-engine"
    knobs = {GAIT: precisions, SNORE: precisions}
    times = StatedTimes({"fp32": 0.1}, trial_s=1.0)

    def load_with(self, directory, precision, threads, knobs):
        return SleepySession(threads, knobs.get("gait", "walk"))


class SleepySession:
    def __init__(self, threads, gait):
        self.threads, self.gait = threads, gait
        self.batch = parse_assignment(sys.argv[1:]).batch_size

    def run(self, inputs):
        time.sleep(SECONDS[self.gait] / (3 if os.environ.get("SLEEPY_SNORE") == "loud" else 1))
        return FakeOutput((self.batch, 1), 0.0)

    def report(self):
        return EngineReport("sleepy", "1.0", "fp32", self.threads or 1, {"gait": TOLD or self.gait})

    def close(self):
        pass
'''

SEARCH: Mapping[str, Any] = {
    "backends": ["sleepy"],
    "placements": ["close"],
    "instances": [1],
    "threads": [1],
    "knobs": {"gait": ["walk", "run"], "snore": "loud"},
}
STUDY: Mapping[str, Any] = {
    "name": "small",
    "model": "fake:model.json",
    "problem": {"batch_size": 2, "sequence_length": 16},
    "search": SEARCH,
    "measure": {"warmup": "100ms", "block": "100ms", "blocks": 1, "max_blocks": 1, "disturbed": "keep"},
    "confirm": {"finalists": 1, "rounds": 3},
    "budget": {"trials": 20, "minutes": 9.0},
}


@dataclass(frozen=True)
class Installed:
    """A folder with a study, beside a folder where the engine is installed.

    Attributes:
        plugins: what pip would have made of the engine's distribution.
    """

    folder: Path
    plugins: Path

    @property
    def store(self) -> str:
        return f"sqlite:///{self.folder}/autotune.db"

    def run(self, *arguments: str, installed: bool = True) -> subprocess.CompletedProcess[str]:
        path = (str(self.plugins) if installed else "", os.environ.get("PYTHONPATH", ""))
        return subprocess.run(
            [sys.executable, "-m", "autotune", *arguments],
            cwd=self.folder,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, path)),
                "AUTOTUNE_CACHE": str(self.folder / "cache"),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def answer(self, *arguments: str, installed: bool = True) -> Any:
        ended = self.run(*arguments, "--json", installed=installed)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    def write_study(self, **search: Any) -> None:
        study = {**STUDY, "search": {**SEARCH, **search}}
        (self.folder / "study.yaml").write_text(json.dumps(study, indent=1))

    def trials(self) -> dict[str, TrialRecord]:
        """The trials by the text of their knobs."""
        with read_store(self.store) as store:
            return {trial.configuration.knobs: trial for trial in store.trials("small")}


def install(root: Path, *, knobs: str = KNOBS, told: str = "", more: str = "") -> Installed:
    """Lay out the engine's distribution as pip would, and a study beside it.

    Args:
        told: what the engine says of its knob, whatever it was asked; empty = the truth.
        more: code at the end of its module.
    """
    installed = Installed(root / "study", root / "plugins")
    package, described = (
        installed.plugins / "sleepy_engine",
        installed.plugins / "sleepy_engine-1.0.dist-info",
    )
    for folder in (installed.folder, package, described):
        folder.mkdir(parents=True)
    (package / "__init__.py").write_text('"""An engine."""\n')
    (package / "knobs.py").write_text(knobs)
    (package / "backend.py").write_text(f"{BACKEND}\n\nTOLD = {told!r}\n{more}")
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: sleepy-engine\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(
        "[autotune.backends]\nsleepy = sleepy_engine.backend:SleepyBackend\n"
    )
    (installed.folder / "model.json").write_text(json.dumps({"schema": SCHEMA, "serial_s": 0.03}))
    installed.write_study()
    return installed


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Installed, Any]:
    """An installed engine, and the plan of a study that turned its knobs."""
    installed = install(tmp_path_factory.mktemp("tuned"))
    return installed, installed.answer("tune", "study.yaml")


def test_its_knobs_are_listed_with_what_can_be_had_here(tmp_path: Path) -> None:
    installed = install(tmp_path)
    listed = {knob["name"]: knob for knob in installed.answer("engines")["knobs"]}
    assert listed["gait"] == {"name": "gait", "values": ["walk", "run"], "refused": {}, "engines": ["sleepy"]}
    assert listed["snore"]["values"] == ["quiet", "loud"]
    assert listed["snore"]["refused"] == {"thunderous": "the walls are thin: move out"}
    assert "sleepy" in listed["allocator"]["engines"]
    assert "how loud the sleeper is" in installed.run("engines").stdout


BREAKING = """
def breaking(self, *asked):
    raise ZeroDivisionError("a plug-in\\nthat breaks")


SleepyBackend.{member} = breaking
"""


def test_an_engine_that_breaks_where_it_is_asked_what_it_can_do_is_left_out_with_the_reason(
    tmp_path: Path,
) -> None:
    installed = install(tmp_path, more=BREAKING.format(member="unsupported"))
    why = "its plug-in breaks where it is asked: ZeroDivisionError: a plug-in that breaks"
    (engine,) = (engine for engine in installed.answer("engines")["engines"] if engine["name"] == "sleepy")
    assert engine["refused"] == {"fp32": why}
    assert f"not here: sleepy fp32: {why}" in installed.run("engines").stdout
    refused = installed.run("tune", "study.yaml", "--dry-run")
    assert refused.returncode == exits.EXIT_CODES[BackendError], refused.stderr
    assert why in refused.stderr
    installed.write_study(backends="auto", knobs="none")
    assert installed.run("tune", "study.yaml", "--dry-run").returncode == 0


def test_a_knob_that_breaks_where_it_is_asked_cannot_be_had_and_says_so(tmp_path: Path) -> None:
    installed = install(tmp_path, knobs=KNOBS.replace('return "the walls', "raise OSError(value) #"))
    listed = {knob["name"]: knob for knob in installed.answer("engines")["knobs"]}
    why = "its declaration breaks where it is asked: OSError: "
    assert listed["snore"]["refused"] == {value: why + value for value in ("loud", "thunderous")}
    installed.write_study(knobs={"snore": "thunderous"})
    refused = installed.run("tune", "study.yaml", "--dry-run")
    assert refused.returncode == exits.EXIT_CODES[StudyFileError], refused.stderr
    assert f"thunderous cannot be had here: {why}thunderous" in refused.stderr


def test_an_engine_that_breaks_where_it_is_to_be_started_fails_its_trials_and_not_the_study(
    tmp_path: Path,
) -> None:
    installed = install(tmp_path, more=BREAKING.format(member="environment"))
    installed.write_study(knobs="none")
    ended = installed.run("tune", "study.yaml")
    assert ended.returncode == 0, ended.stderr
    with read_store(installed.store) as store:
        results = {trial.configuration.backend: trial.result for trial in store.trials("small")}
    failed = results.pop("sleepy")
    assert isinstance(failed, Failure)
    assert failed.kind == FailureKind.UNSUPPORTED
    assert "ZeroDivisionError: a plug-in that breaks" in failed.reason
    assert all(isinstance(result, Measurement) for result in results.values())


MANY = (
    KNOBS
    + """
MANY = [Knob(f"dial{number}", tuple("abcdef"), "a dial") for number in range(30)]
"""
)
DIALS = """
from sleepy_engine.knobs import MANY
SleepyBackend.knobs = {**SleepyBackend.knobs, **{knob: ("fp32",) for knob in MANY}}
"""


def test_an_engine_of_very_many_knobs_has_as_many_turned_as_there_is_room_for(tmp_path: Path) -> None:
    installed = install(tmp_path, knobs=MANY, more=DIALS)
    installed.write_study(knobs="auto")
    outlook = installed.run("tune", "study.yaml", "--dry-run", "--trials", "200", "--minutes", "60")
    (said,) = (line for line in outlook.stdout.splitlines() if "ways" in line)
    assert said.endswith(
        "of sleepy fp32: all its knobs could be set in more than 2,000 ways;"
        " list those to turn in search.knobs"
    )
    assert "gait" not in said
    assert said.count("dial") == 30 - 2  # beside 4 allocators, 2 gaits and 3 snores: 24 * 6 ** 2 ways
    installed.write_study(knobs={f"dial{number}": list("abcdef") for number in range(6)})
    refused = installed.run("tune", "study.yaml", "--dry-run")
    assert refused.returncode == exits.EXIT_CODES[StudyFileError], refused.stdout
    assert "search.knobs: 46656 combinations are too many: at most 2000" in refused.stderr


def test_the_schema_of_study_files_lists_its_knobs(tmp_path: Path) -> None:
    ended = install(tmp_path).run("schema")
    forms = json.loads(ended.stdout)["properties"]["search"]["properties"]["knobs"]["anyOf"]
    (mapping,) = (form for form in forms if "properties" in form)
    assert mapping["properties"]["gait"]["description"] == "how fast the sleeper goes"


def test_a_trial_measures_its_knobs_in_a_worker_that_reads_them_back(tuned: tuple[Installed, Any]) -> None:
    trials = tuned[0].trials()
    assert {"", "gait=run", "snore=loud"} <= trials.keys()
    for knobs, gait, snore in (
        ("", "walk", "quiet"),
        ("gait=run", "run", "quiet"),
        ("snore=loud", "walk", "loud"),
    ):
        result = trials[knobs].result
        assert isinstance(result, Measurement), result
        seen = result.observations[0].knobs
        assert (seen["gait"], seen["snore"]) == (gait, snore)


def test_the_plan_shows_its_knobs_and_starts_workers_with_them(tuned: tuple[Installed, Any]) -> None:
    installed, plan = tuned
    assert plan["configuration"]["knobs"] == "gait=run snore=loud"
    assert plan["instances"][0]["env"]["SLEEPY_SNORE"] == "loud"
    assert plan["instances"][0]["worker"]["knobs"] == "gait=run snore=loud"
    assert "gait=run snore=loud" in installed.run("show", plan["id"]).stdout


def test_a_plan_is_shown_where_its_engine_is_not_installed(tuned: tuple[Installed, Any]) -> None:
    installed, plan = tuned
    assert installed.answer("show", plan["id"], installed=False)["configuration"] == plan["configuration"]
    assert "gait=run snore=loud" in installed.run("plans", installed=False).stdout


def test_a_worker_that_has_something_else_than_asked_is_no_measurement(tmp_path: Path) -> None:
    installed = install(tmp_path, told="walk")
    installed.write_study(knobs={"gait": "run"})
    ended = installed.run("tune", "study.yaml")
    assert ended.returncode == 0, ended.stderr
    result = installed.trials()["gait=run"].result
    assert isinstance(result, Failure)
    assert (result.kind, result.reason) == (FailureKind.PLACEMENT, "gait is walk, not run")


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"gate": "run"}, "search.knobs.gate: 'gate' is not a knob (did you mean gait?)"),
        ({"gait": ["trot"]}, "search.knobs.gait[0]: 'trot' is not a value of gait: write walk, run"),
        ({"snore": "thunderous"}, "thunderous cannot be had here: the walls are thin"),
        ({"spinning": False}, "no engine of this study reads spinning"),
    ],
    ids=str,
)
def test_what_is_wrong_with_its_knobs_is_told_as_of_any_other(
    tmp_path: Path, knobs: dict[str, Any], words: str
) -> None:
    installed = install(tmp_path)
    installed.write_study(knobs=knobs)
    refused = installed.run("tune", "study.yaml", "--dry-run")
    assert refused.returncode == exits.EXIT_CODES[StudyFileError], refused.stdout
    assert words in refused.stderr


def test_an_engine_that_takes_a_known_knobs_name_for_something_else_is_left_out(tmp_path: Path) -> None:
    installed = install(tmp_path, knobs=KNOBS.replace('"gait"', '"spinning"'))
    installed.write_study(knobs="none")
    engines = installed.answer("engines")
    assert "sleepy" not in {engine["name"] for engine in engines["engines"]}
    assert engines["broken"] == [
        "backend 'sleepy' of sleepy-engine is left out:"
        " another engine has a knob 'spinning' that is not its own"
    ]
    refused = installed.run("tune", "study.yaml")
    assert refused.returncode == exits.EXIT_CODES[BackendError], refused.stderr
    assert engines["broken"][0] in refused.stderr
