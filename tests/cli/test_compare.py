"""`autotune compare` with the fake backend, in real processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from autotune.cli import exits
from autotune.cli.main import app
from autotune.errors import (
    AutotuneError,
    BackendError,
    PlacementError,
    StoreError,
    StudyFileError,
    UnsupportedError,
)
from autotune.measurement.measurement import Failure, FailureKind
from autotune.plan.document import format_plan
from autotune.spec.configuration import Configuration
from autotune.store.records import StudyRecord, TrialRecord
from autotune.store.store import open_store
from autotune.testing.fake_plans import ONE, FakeStudy
from autotune.testing.fake_trial import processes_of

RunCommand = Callable[..., tuple[int, str, str]]

WAIT_S = 120.0
FP32 = Configuration(1, 1, "close", "0", smt=False, backend="fake", precision="fp32")
FAST = {"fp32": 1.0, "int8-dynamic": 8.0}
"""So much faster that three rounds show it on a host that is busy with other tests, too."""


def start(study: FakeStudy, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "autotune", "compare", *arguments],
        cwd=study.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def run(run_command: RunCommand) -> RunCommand:
    """Runs `autotune compare` beside a study's model: (study, *arguments) → exit code, stdout, stderr."""
    return lambda study, *arguments: run_command(study.folder, "compare", *arguments)


def study_file(study: FakeStudy) -> str:
    """The study as a file beside its model (JSON is YAML)."""
    values = {
        "name": "fake",
        "model": study.spec.model,
        "problem": {"batch_size": 1, "sequence_length": 1},
        "measure": {
            "warmup": "200ms",
            "block": "100ms",
            "blocks": 2,
            "trial_timeout": "20s",
            "disturbed": "keep",
        },
    }
    (study.folder / "study.yaml").write_text(json.dumps(values))
    return "study.yaml"


def test_the_faster_of_two_plan_files_is_named(run: RunCommand, own_study: FakeStudy) -> None:
    own_study.write_model(speed=FAST)
    for name, configuration in (("fast", ONE), ("slow", FP32)):
        (own_study.folder / f"{name}.json").write_text(format_plan(own_study.plan(2.0, configuration)))
    code, out, err = run(own_study, "slow.json", "fast.json")
    assert code == 0, err
    assert "B is faster: A / B = 0." in out
    assert out.startswith("A: plan fake-")
    assert "[round 1] A: " in err
    assert "[round 3] B: " in err
    assert processes_of(own_study.folder) == []


def test_a_configuration_is_compared_with_the_baseline_in_one_document(
    run: RunCommand, own_study: FakeStudy
) -> None:
    own_study.write_model(speed=FAST)
    configuration = "1x1,close,fake,int8-dynamic"
    code, out, err = run(own_study, configuration, "baseline", "--study", study_file(own_study), "--json")
    assert code == 0, err
    document = json.loads(out)
    assert document["schema"] == "autotune.comparison/1"
    assert document["verdict"] == "a"
    assert document["ratio"]["low"] > 1
    assert document["b"].startswith("1 x default threads, unpinned")
    assert document["zone"] == 0.02
    assert {one["name"] for one in document["runs"]} == {"A", "B"}


def test_a_stored_trial_is_meant_by_its_number(run: RunCommand, own_study: FakeStudy) -> None:
    crash = Failure(FailureKind.CRASH, "it was killed")
    own_study.write_model(faults=[{"fault": "crash", "when": {"precision": "int8-dynamic"}}])
    with open_store(f"sqlite:///{own_study.folder}/autotune.db") as store:
        store.create_study(StudyRecord("fake", 0.0, {}, {}, {}, "d", "m"))
        store.record_trial(TrialRecord("fake", 3, ONE, False, 0.0, 1.0, crash, None))
    code, out, _ = run(own_study, "3", "baseline", "--study", study_file(own_study))
    assert code == exits.UNDECIDED
    assert f"A: {ONE}: not measured" in out
    assert "A does not run: crash" in out
    code, _, err = run(own_study, "4", "baseline", "--study", study_file(own_study))
    assert code == 2
    assert "has no trial 4" in err


def test_a_trial_of_a_model_that_the_study_has_no_more_is_refused_with_those_that_it_has(
    own_study: FakeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(own_study.folder)
    crash = Failure(FailureKind.CRASH, "it was killed")
    with open_store("sqlite:///autotune.db") as store:
        store.create_study(StudyRecord("fake", 0.0, {}, {}, {}, "d", "m"))
        gone = replace(ONE, model="fake:gone.json")
        store.record_trial(TrialRecord("fake", 5, gone, False, 0.0, 1.0, crash, None))
    ended = CliRunner().invoke(app, ["compare", "5", "baseline", "--study", study_file(own_study)])
    assert ended.exit_code == 2
    said = " ".join(ended.stderr.replace("│", " ").split())
    assert "trial 5 runs fake:gone.json; the study file has fake:model.json" in said


@pytest.mark.parametrize(
    ("configuration", "error", "said"),
    [
        ("9999x1,close,fake,fp32", PlacementError, "threads are more than may run here"),
        ("1x1,close,fake,fp32,7", PlacementError, "are not on this machine"),
        ("1x1,close,no-such,fp32", BackendError, "is not a known backend"),
        ("1x1,close,pytorch,fp32", UnsupportedError, "a fake one runs in the fake backend"),
        ("1x1,close,fake,bf16", UnsupportedError, "has no precision 'bf16'"),
        ("1x1,close,fake,fp32,openmp=libiomp5", UnsupportedError, "fake fp32 does not read openmp"),
        ("3", StoreError, "there is no store"),
        ("1x1,nowhere,fake,fp32", None, "is not a placement"),
        ("quick", None, "INSTANCESxTHREADS"),
    ],
)
def test_a_configuration_that_cannot_be_run_is_refused_before_anything_is_measured(
    shared_study: FakeStudy,
    monkeypatch: pytest.MonkeyPatch,
    configuration: str,
    error: type[AutotuneError] | None,
    said: str,
) -> None:
    monkeypatch.chdir(shared_study.folder)
    arguments = ["compare", configuration, "baseline", "--study", study_file(shared_study)]
    ended = CliRunner().invoke(app, arguments)
    assert ended.stdout == ""
    assert "[round" not in ended.stderr
    if error is None:
        assert ended.exit_code == 2
        assert said in " ".join(ended.stderr.replace("│", " ").split())
    else:
        assert isinstance(ended.exception, error)
        assert said in str(ended.exception)
        assert str(ended.exception).startswith("A (") or error is StoreError


TABLE = """\
prices:
  - {provider: acme, type: tiny, cores: 1, per_hour: 0.2, currency: EUR, source: a letter, date: 2026-01-31}
"""


def cost_study(study: FakeStudy, machine_type: str) -> str:
    """A study for cost whose machine stands in a table, beside that table."""
    path = study.folder / study_file(study)
    values = {**json.loads(path.read_text()), "objective": "cost", "price": {"type": machine_type}}
    path.write_text(json.dumps(values))
    (study.folder / "mine.yaml").write_text(TABLE)
    return path.name


def test_a_studys_machine_type_is_looked_up_in_the_table_that_is_named(
    run: RunCommand, own_study: FakeStudy
) -> None:
    own_study.write_model(speed=FAST)
    named = ("--study", cost_study(own_study, "tiny"), "--prices", "mine.yaml")
    code, out, err = run(own_study, "1x1,close,fake,int8-dynamic", "1x1,close,fake,fp32", *named)
    assert code == 0, err
    assert "A is cheaper" in out
    assert "EUR per million" in out


@pytest.mark.parametrize(
    ("machine_type", "arguments", "said"),
    [
        ("huge", ("--study", "study.yaml", "--prices", "mine.yaml"), "mine.yaml has no machine type 'huge'"),
        ("tiny", ("--study", "study.yaml", "--prices", "none.yaml"), "none.yaml"),
        ("tiny", ("--study", "study.yaml"), "has no machine type 'tiny'"),
    ],
)
def test_a_machine_type_that_no_table_tells_is_refused_before_anything_is_measured(
    shared_study: FakeStudy,
    monkeypatch: pytest.MonkeyPatch,
    machine_type: str,
    arguments: Sequence[str],
    said: str,
) -> None:
    monkeypatch.chdir(shared_study.folder)
    monkeypatch.delenv("AUTOTUNE_PRICES", raising=False)
    cost_study(shared_study, machine_type)
    ended = CliRunner().invoke(app, ["compare", "1x1,close,fake,fp32", "baseline", *arguments])
    assert isinstance(ended.exception, StudyFileError)
    assert said in str(ended.exception)
    assert "[round" not in ended.stderr


def test_a_table_of_prices_belongs_to_a_study() -> None:
    ended = CliRunner().invoke(app, ["compare", "a", "b", "--prices", "mine.yaml"])
    assert ended.exit_code == 2
    assert "belongs to --study" in " ".join(ended.stderr.replace("│", " ").split())


@pytest.mark.parametrize("arguments", [(), ("latest",), ("a", "b", "c")])
def test_two_sides_are_asked_for(arguments: Sequence[str]) -> None:
    assert CliRunner().invoke(app, ["compare", *arguments]).exit_code == 2


def test_ctrl_c_prints_what_is_known_so_far_and_leaves_no_process(own_study: FakeStudy) -> None:
    arguments = ("1x1,close,fake,int8-dynamic", "baseline", "--study", study_file(own_study))
    process = start(own_study, *arguments)
    assert process.stderr is not None
    assert any("[round 1]" in line for line in process.stderr)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == exits.INTERRUPTED, err
    assert out.startswith("A: 1 x 1 threads")
    assert "undecided" in out
    assert "Traceback" not in err
    assert processes_of(own_study.folder) == []
