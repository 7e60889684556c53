"""`autotune verify` with the fake backend, in real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autotune.cli import exits
from autotune.cli.main import app
from autotune.errors import ModelError
from autotune.events import RunEnded
from autotune.jobs.reviving import Origin
from autotune.jobs.verification import Verification, verify
from autotune.measurement.measurement import Measurement
from autotune.model.artifacts.cache import ArtifactCache
from autotune.plan.document import Plan, format_plan
from autotune.rounds.running import Run
from autotune.statistics.paired import Interval
from autotune.store.records import StudyRecord
from autotune.store.store import open_store
from autotune.testing.fake_plans import MODEL_FILE, FakeStudy
from autotune.testing.fake_trial import processes_of
from autotune.testing.listener import Listener

TRUE_GAIN = 2.0
"""Of the fake study's plans, by its model's closed form."""

RunCommand = Callable[..., tuple[int, str, str]]

WAIT_S = 120.0

HOG = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"


def write(study: FakeStudy, plan: Plan) -> str:
    """Write the plan to a file beside the study's model; its name."""
    (study.folder / "plan.json").write_text(format_plan(plan))
    return "./plan.json"


def start(study: FakeStudy, plan: Plan, *arguments: str) -> subprocess.Popen[str]:
    """Start `autotune verify` on the plan's file."""
    return subprocess.Popen(
        [sys.executable, "-m", "autotune", "verify", write(study, plan), *arguments],
        cwd=study.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def run(run_command: RunCommand) -> RunCommand:
    """Runs `autotune verify` on a plan's file: (study, plan, *arguments) → exit code, stdout, stderr."""

    def run_on(study: FakeStudy, plan: Plan, *arguments: str) -> tuple[int, str, str]:
        return run_command(study.folder, "verify", write(study, plan), *arguments)

    return run_on


@pytest.mark.quiet  # a verdict that hangs on how busy the host is
def test_a_plan_that_holds_exits_with_0_and_shows_then_and_now(run: RunCommand, own_study: FakeStudy) -> None:
    plan = own_study.plan(Interval(TRUE_GAIN, 1.9, 2.1, 0.95, 3))
    code, out, err = run(own_study, plan, "--tolerance", "50%")
    assert code == 0, err
    assert out.startswith(f"holds: plan {plan.id}: its gain over the baseline is ")
    rows = {line.split()[0]: line for line in out.splitlines()[1:] if line.split()}
    assert rows["then"].split() == ["then", "now"]
    assert "2.000x (95 %: 1.900x to 2.100x)" in rows["gain"]
    assert "20.0 samples/s" in rows["plan"]
    assert "10.0 samples/s" in rows["baseline"]
    assert "[round 1] plan: " in err
    assert "[round 3] baseline: " in err
    assert processes_of(own_study.folder) == []


def test_a_plan_that_is_worse_has_an_exit_code_of_its_own_and_a_document(
    run: RunCommand, own_study: FakeStudy
) -> None:
    plan = own_study.plan(20.0)
    code, out, err = run(own_study, plan, "--json", "--tolerance", "0.1")
    document = json.loads(out)
    assert code == exits.WORSE, err
    assert document["schema"] == "autotune.verification/1"
    assert (document["plan"], document["verdict"], document["tolerance"]) == (plan.id, "worse", 0.1)
    assert document["then"]["goodness"] == 20.0
    assert document["now"]["goodness"]["high"] < 20.0
    assert {one["name"] for one in document["runs"]} == {"plan", "baseline"}
    assert all(one["value"] > 0 for one in document["runs"])


def test_a_stale_plan_has_an_exit_code_of_its_own_and_starts_nothing(
    run: RunCommand, own_study: FakeStudy
) -> None:
    plan = own_study.plan(TRUE_GAIN)
    elsewhere = plan.model_copy(update={"machine": {**plan.machine, "allowed": "0-191"}})
    code, out, err = run(own_study, elsewhere)
    assert code == exits.STALE, err
    assert out.startswith("stale: ")
    assert "the set of allowed cpus differs: 0-191 then" in out
    assert err == ""


def test_undecided_has_an_exit_code_of_its_own(run: RunCommand, tmp_path: Path, own_cache: Path) -> None:
    study = FakeStudy(tmp_path, {"faults": [{"fault": "crash", "when": {"precision": "fp32"}}]})
    code, out, _ = run(study, study.plan(TRUE_GAIN))
    assert code == exits.UNDECIDED
    assert "The baseline does not run any more: crash" in out
    assert own_cache.is_dir()


def test_the_verdicts_have_codes_apart_from_those_of_errors() -> None:
    codes = {exits.WORSE, exits.STALE, exits.UNDECIDED}
    assert len(codes) == 3
    assert not codes & {0, 1, 2, *exits.EXIT_CODES.values()}


@pytest.mark.parametrize("tolerance", ["much", "-1%", "100%", "nan", ""])
def test_a_tolerance_that_is_no_share_is_a_wrong_command_line(tolerance: str) -> None:
    ended = CliRunner().invoke(app, ["verify", "./plan.json", "--tolerance", tolerance])
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "--tolerance" in ended.stderr


def test_a_plan_of_the_store_is_found_and_the_store_left_as_it_is(
    run_command: RunCommand, own_study: FakeStudy
) -> None:
    fault = {"fault": "crash", "when": {"precision": "int8-dynamic"}}
    own_study.write_model(faults=[fault])
    plan, path = own_study.plan(TRUE_GAIN), own_study.folder / "autotune.db"
    with open_store(f"sqlite:///{path}") as store:
        store.create_study(StudyRecord("fake", 0.0, {}, {}, {}, "d", "m"))
        store.save_plan(plan)
    before = path.read_bytes()
    code, out, err = run_command(own_study.folder, "verify", "fake")
    assert code == exits.WORSE, err
    assert out.startswith(f"worse: plan {plan.id}")
    assert path.read_bytes() == before


def plan_run(verification: Verification) -> Run:
    return next(run for run in verification.runs if run.entrant.name == "plan")


def verified(study: FakeStudy, plan: Plan, *, stop_after: int | None = None) -> Verification:
    """Verify a plan, and stop after so many runs."""
    listener = Listener(stop_after=stop_after)
    found = verify(plan, tolerance=0.5, origin=Origin(study.folder), emit=listener, stop=listener.stop)
    assert found.stopped == (stop_after is not None)
    assert len(listener.heard(RunEnded)) == len(found.runs)
    return found


def test_the_stored_commands_are_run_with_an_artifact_that_is_made_again_and_without_the_model(
    own_study: FakeStudy,
) -> None:
    plan = own_study.plan(TRUE_GAIN)
    held = ArtifactCache()
    assert held.remove([entry.key for entry in held.entries()])
    marked = plan.instances[0].model_copy(update={"env": {**plan.instances[0].env, "MARK": "kept"}})
    plan = plan.model_copy(update={"instances": (marked,)})
    first = verified(own_study, plan, stop_after=2)
    (own_study.folder / MODEL_FILE).unlink()
    second = verified(own_study, plan, stop_after=2)
    for verification in (first, second):
        assert all(isinstance(run.result, Measurement) for run in verification.runs)
        assert plan_run(verification).entrant.commands == plan.commands()


def test_a_model_that_is_gone_and_needed_is_named_before_anything_is_measured(own_study: FakeStudy) -> None:
    plan = own_study.plan(TRUE_GAIN)
    (own_study.folder / MODEL_FILE).unlink()
    listener = Listener()
    with pytest.raises(ModelError, match=r"model\.json is not a file"):
        verify(plan, tolerance=0.5, origin=Origin(own_study.folder), emit=listener)
    assert listener.heard(RunEnded) == []


def test_an_artifact_in_another_cache_is_used_there(
    own_study: FakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = own_study.plan(TRUE_GAIN)
    monkeypatch.setenv("AUTOTUNE_CACHE", str(tmp_path / "other"))
    own_study.write_model()
    started = plan_run(verified(own_study, plan, stop_after=2)).entrant.commands
    was, moved = (commands[0].worker.assignment for commands in (plan.commands(), started))
    assert moved.artifact.is_relative_to(tmp_path / "other" / "artifacts")
    assert moved == replace(was, artifact=moved.artifact)


@pytest.fixture
def hogs() -> Iterator[None]:
    """A busy process on each allowed cpu."""
    cpus = sorted(os.sched_getaffinity(0))
    started = [subprocess.Popen([sys.executable, "-c", HOG, str(cpu)]) for cpu in cpus]
    yield
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.quiet  # hogs for everybody
@pytest.mark.usefixtures("hogs", "own_cache")
def test_a_machine_that_is_noisy_is_measured_all_the_same_and_the_result_says_by_what(tmp_path: Path) -> None:
    measure = {"warmup_s": 0.1, "block_s": 0.3, "blocks": 1, "trial_timeout_s": 20.0}
    study = FakeStudy(tmp_path, {"timing": "busy", "parallel_s_per_token": 0.02}, measure=measure)
    found = verified(study, study.plan(None))
    assert all(isinstance(run.result, Measurement) for run in found.runs)
    assert "other processes took" in found.quietness
    assert "What would help: stop other work" in found.quietness


def lines_until(process: subprocess.Popen[str], text: str) -> None:
    """Read stderr up to and including the line with this text."""
    assert process.stderr is not None
    lines: list[str] = []
    for line in process.stderr:
        lines.append(line)
        if text in line:
            return
    raise AssertionError(f"{text!r} never came: {lines}")


def wait_until(happened: Callable[[], object]) -> bool:
    """Poll until something happens; whether it did."""
    end_s = time.monotonic() + WAIT_S
    while time.monotonic() < end_s:
        if happened():
            return True
        time.sleep(0.02)
    return False


def test_ctrl_c_prints_what_is_known_so_far_and_leaves_no_process(own_study: FakeStudy) -> None:
    process = start(own_study, own_study.plan(TRUE_GAIN), "--json")
    lines_until(process, "[round 1]")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == exits.INTERRUPTED, err
    document = json.loads(out)
    assert document["verdict"] == "undecided"
    assert document["runs"]
    assert "Traceback" not in err
    assert "stopping; whatever was measured so far is kept" in err
    assert processes_of(own_study.folder) == []


def test_after_kill_9_nothing_is_left(tmp_path: Path, own_cache: Path) -> None:
    study = FakeStudy(tmp_path, {"load_s": 20.0})
    process = start(study, study.plan(TRUE_GAIN))
    assert wait_until(lambda: processes_of(own_cache))
    process.kill()
    process.communicate()
    assert wait_until(lambda: not processes_of(study.folder))
