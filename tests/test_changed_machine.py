"""A machine, or what is installed, that changes while it is measured: nothing of that is taken for a fact."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from autotune.bench.here import machine_here
from autotune.cli import exits
from autotune.errors import ChangedMachineError
from autotune.events import Event, RunEnded
from autotune.jobs.comparison import compare_configurations, compare_plans
from autotune.jobs.reviving import Origin
from autotune.jobs.verification import verify
from autotune.machine.cpus import format_cpu_list
from autotune.measurement.measurement import Failure, FailureKind
from autotune.model.artifacts.cache import ArtifactCache
from autotune.preflight.setup import set_up
from autotune.preflight.survey import survey
from autotune.store.records import ConfirmationRecord, TrialRecord
from autotune.store.store import open_store, read_store
from autotune.testing.fake_model import SCHEMA
from autotune.testing.fake_plans import ONE, FakeStudy

ALLOWED = tuple(sorted(os.sched_getaffinity(0)))
CHANGED = exits.EXIT_CODES[ChangedMachineError]
WAIT_S = 120.0

SHRUNK = f"the set of allowed cpus differs: {format_cpu_list(ALLOWED)} then, {ALLOWED[0]} now"

pytestmark = pytest.mark.skipif(len(ALLOWED) < 2, reason="one cpu cannot become fewer")

MEDDLING = '''
import os, sys
from dataclasses import replace
from pathlib import Path
from autotune.testing.fake_backend import FakeBackend

FIRST = {min(os.sched_getaffinity(0))}
HERE = Path(__file__).parent

class Backend(FakeBackend):
    """Runs fake models. While a worker with two threads loads, what `meddle` says happens to the machine."""
    name = "meddling"
    packages = ("meddling", *FakeBackend.packages)

    def load(self, directory, precision, threads):
        session = super().load(directory, precision, threads)
        report = session.report
        session.report = lambda: replace(report(), engine="meddling")
        order = HERE / "meddle"
        if threads == 2 and "--instance" in sys.argv and order.exists():
            told = order.read_text()
            if "always" not in told:
                order.unlink()
            self.meddle(told)
        return session

    def meddle(self, order):
        if "upgrade" in order:
            (HERE / "meddling-1.0.dist-info" / "METADATA").write_text(
                "Metadata-Version: 2.1\\nName: meddling\\nVersion: 2.0\\n"
            )
        if "shrink" in order:
            os.sched_setaffinity(os.getppid(), FIRST)
        if "displace" in order:
            os.sched_setaffinity(0, FIRST)
        if "crash" in order:
            os._exit(3)
'''
"""What a cpuset that shrinks does to the study's process, and to the mask of a worker that has set it."""


class Folder:
    """A folder with a study of a fake model, its plug-in, its cache and its store."""

    def __init__(self, path: Path, plugins: Path) -> None:
        self.path = path
        self.plugins = plugins
        self.url = f"sqlite:///{path}/autotune.db"
        model = {"schema": SCHEMA, "serial_s": 0.008, "parallel_s_per_token": 4e-4, "thread_efficiency": 0.5}
        (path / "model.json").write_text(json.dumps(model))
        (path / "study.yaml").write_text(json.dumps(STUDY))

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "autotune", "tune", "study.yaml"],
            cwd=self.path,
            env={
                **os.environ,
                "AUTOTUNE_CACHE": str(self.path / "cache"),
                "PYTHONPATH": str(self.plugins),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def tune(self, status: int = 0) -> str:
        """Run `autotune tune` to its end; gives what it wrote on stderr."""
        with self.start() as process:
            _, err = process.communicate(timeout=WAIT_S)
        assert process.returncode == status, err
        return err

    def meddle(self, order: str) -> None:
        (self.plugins / "meddle").write_text(order)

    def trials(self) -> tuple[TrialRecord, ...]:
        with read_store(self.url) as store:
            return store.trials("changing")

    def confirmations(self) -> tuple[ConfirmationRecord, ...]:
        with read_store(self.url) as store:
            return store.confirmations("changing")

    def optuna_states(self) -> list[TrialState]:
        with open_store(self.url) as store:
            study = optuna.load_study(study_name="changing", storage=store.optuna_storage())
            return [trial.state for trial in study.trials]


STUDY: dict[str, Any] = {
    "name": "changing",
    "model": "fake:model.json",
    "problem": {"batch_size": 2, "sequence_length": 32},
    "search": {
        "backends": ["meddling"],
        "placements": ["close"],
        "instances": [1, 2],
        "threads": [1, 2],
        "precisions": ["fp32"],
    },
    "measure": {
        "warmup": "100ms",
        "block": "50ms",
        "blocks": 2,
        "max_blocks": 2,
        "disturbed": "keep",  # other tests may run on this host
        "trial_timeout": "20s",
    },
    "confirm": {"finalists": 1, "rounds": 3},
    "budget": {"trials": 50, "minutes": 9.0},  # less than it takes for a twin to run in the rounds, too
}


@pytest.fixture
def folder(tmp_path: Path, install_backend: Callable[[str, str, str], Path]) -> Folder:
    return Folder(tmp_path, install_backend("meddling", "meddling", MEDDLING))


@pytest.fixture
def whole() -> Iterator[None]:
    """Gives this process all of its cpus back."""
    yield
    os.sched_setaffinity(0, ALLOWED)


def two_threads(trials: tuple[TrialRecord, ...]) -> list[TrialRecord]:
    return [one for one in trials if one.configuration.threads_per_instance == 2]


@pytest.mark.parametrize(
    "order",
    [
        "shrink",
        pytest.param("shrink, displace", marks=pytest.mark.slow),
        pytest.param("shrink, crash", marks=pytest.mark.slow),
    ],
)
def test_what_ran_while_the_cpuset_shrank_is_not_kept_whether_it_was_measured_or_failed(
    folder: Folder, order: str
) -> None:
    folder.meddle(order)
    err = folder.tune(status=CHANGED)
    assert f"error: the machine changed while the study ran: {SHRUNK}." in err
    assert "every trial that ended before is kept" in err
    kept = folder.trials()
    assert kept[0].baseline
    assert two_threads(kept) == []
    assert TrialState.RUNNING not in folder.optuna_states()
    folder.tune()  # a new process has all cpus again
    trials = folder.trials()
    assert trials[: len(kept)] == kept
    assert two_threads(trials)
    assert [one for one in trials if isinstance(one.result, Failure)] == []


@pytest.mark.slow
@pytest.mark.parametrize("order", ["displace", "displace, crash"])
def test_workers_that_a_cpuset_has_displaced_before_it_was_back_are_launched_again(
    folder: Folder, order: str
) -> None:
    folder.meddle(order)
    folder.tune()
    assert [one for one in folder.trials() if isinstance(one.result, Failure)] == []


@pytest.mark.slow
def test_what_failed_displaced_again_and_again_is_tried_again_by_the_next_call(folder: Folder) -> None:
    folder.meddle("displace, crash, always")
    assert "the same command tries that again" in folder.tune()
    (failed,) = two_threads(folder.trials())
    assert isinstance(failed.result, Failure)
    assert (failed.result.kind, failed.may_pass) == (FailureKind.CRASH, True)
    (folder.plugins / "meddle").unlink()
    folder.tune()
    first, second = two_threads(folder.trials())
    assert first == failed
    assert second.score is not None


@pytest.mark.slow
def test_workers_that_are_never_where_they_are_asked_to_be_have_failed(folder: Folder) -> None:
    folder.meddle("displace always")
    folder.tune()
    for trial in two_threads(folder.trials()):
        assert isinstance(trial.result, Failure)
        assert trial.result.kind == FailureKind.PLACEMENT


@pytest.mark.slow
def test_a_configuration_that_fails_on_a_machine_that_stays_as_it_is_has_failed(
    folder: Folder,
) -> None:
    folder.meddle("crash")
    folder.tune()
    (failed,) = two_threads(folder.trials())
    assert isinstance(failed.result, Failure)


@pytest.mark.slow
def test_an_engine_that_is_upgraded_meanwhile_ends_the_study_until_it_is_what_it_was(folder: Folder) -> None:
    folder.meddle("upgrade")
    described = folder.plugins / "meddling-1.0.dist-info" / "METADATA"
    before = described.read_text()
    err = folder.tune(status=CHANGED)
    assert "error: what is installed changed while the study ran: meddling: 1.0 -> 2.0." in err
    assert two_threads(folder.trials()) == []
    assert "meddling: 1.0 -> 2.0" in folder.tune(status=CHANGED)
    described.write_text(before)
    folder.tune()
    assert two_threads(folder.trials())


@pytest.mark.slow
def test_rounds_that_were_over_before_the_cpuset_shrank_are_kept_and_gone_on_with(folder: Folder) -> None:
    with folder.start() as process:
        assert process.stderr is not None
        lines = (line for line in process.stderr if "[round 1]" in line)
        assert next(lines, "")
        os.sched_setaffinity(process.pid, {ALLOWED[0]})
        _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == CHANGED, err
    assert SHRUNK in err
    kept = folder.confirmations()
    assert kept
    with read_store(folder.url) as store:
        assert store.plans("changing") == ()
    folder.tune()
    assert folder.confirmations()[: len(kept)] == kept
    assert {one.series for one in folder.confirmations()} == {1}
    with read_store(folder.url) as store:
        assert store.plan("changing").confirmation.rounds >= 3


def test_a_study_is_not_begun_on_fewer_cpus_than_it_was_set_up_with(folder: Folder) -> None:
    """What is legal was laid out before; it waits for another trial, while its cpuset shrinks."""
    with host_lock_held() as holder, folder.start() as process:
        assert process.stderr is not None
        assert next((line for line in process.stderr if "waiting for it to end" in line), "")
        os.sched_setaffinity(process.pid, {ALLOWED[0]})
        holder.communicate("")
        _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == CHANGED, err
    assert SHRUNK in err
    assert folder.trials() == ()


HOLDER = """
import sys
from autotune.bench.lock import host_lock
with host_lock(print):
    print("held", flush=True)
    sys.stdin.read()
"""


def host_lock_held() -> subprocess.Popen[str]:
    """A process that holds the host's lock until its stdin ends."""
    holder = subprocess.Popen(
        [sys.executable, "-P", "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert any(line == "held\n" for line in holder.stdout)
    return holder


@pytest.mark.slow
def test_waiting_for_another_trial_eats_no_budget_and_how_long_it_was_is_said(folder: Folder) -> None:
    study = {**STUDY, "budget": {"minutes": 0.6}}
    (folder.path / "study.yaml").write_text(json.dumps(study))
    with host_lock_held() as holder, folder.start() as process:
        assert process.stderr is not None
        assert next((line for line in process.stderr if "waiting for it to end" in line), "")
        time.sleep(37)  # longer than the whole budget
        holder.communicate("")
        _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, err
    waited = next(line for line in err.splitlines() if line.startswith("waited "))
    assert waited.endswith("s for it; no budget of minutes counts that")
    assert len(folder.trials()) > 1
    with read_store(folder.url) as store:
        spent = store.plan("changing").confirmation.spent
    assert spent is not None
    assert spent.waiting_s >= 19
    assert spent.preparing_s < 19


CACHE_HOLDER = """
import sys
from contextlib import ExitStack
from pathlib import Path
from autotune.model.artifacts.cache import ArtifactCache
with ExitStack() as stack:
    for key in sys.argv[2:]:
        stack.enter_context(ArtifactCache(Path(sys.argv[1])).exclusively(key))
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
def test_waiting_for_what_another_container_prepares_eats_no_budget_either(folder: Folder) -> None:
    """It has a host lock of its own, and the same cache."""
    (folder.path / "study.yaml").write_text(json.dumps({**STUDY, "budget": {"trials": 1}}))
    folder.tune()
    cache = ArtifactCache(folder.path / "cache")
    made = [entry.key for entry in cache.entries()]
    assert cache.remove(made) == tuple(made) != ()
    study = {**STUDY, "name": "waiting", "budget": {"minutes": 0.6}}
    (folder.path / "study.yaml").write_text(json.dumps(study))
    command = [sys.executable, "-P", "-c", CACHE_HOLDER, str(cache.root), *made]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder,
        folder.start() as process,
    ):
        assert holder.stdout is not None
        assert next(holder.stdout) == "held\n"
        assert process.stderr is not None
        told = next((line for line in process.stderr if "waiting for it to end" in line), "")
        assert f"another process with the cache {cache.root} prepares fake:model.json for " in told
        time.sleep(37)  # longer than the whole budget
        holder.communicate("")
        _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, err
    assert "s for it; no budget of minutes counts that" in err
    with read_store(folder.url) as store:
        spent = store.plan("waiting").confirmation.spent
        assert len(store.trials("waiting")) > 1, err
    assert spent is not None
    assert spent.waiting_s >= 37
    assert spent.preparing_s < 37


def shrink(event: Event) -> None:
    """Take cpus away from this process after the first run of a round."""
    if isinstance(event, RunEnded):
        os.sched_setaffinity(0, {ALLOWED[0]})


@pytest.mark.usefixtures("whole")
def test_a_plan_is_not_verified_on_two_machines(own_study: FakeStudy) -> None:
    plan = own_study.plan(2.0)
    with pytest.raises(ChangedMachineError, match=SHRUNK):
        verify(plan, origin=Origin(own_study.folder), emit=shrink)


@pytest.mark.usefixtures("whole")
def test_nor_are_plans_or_configurations_compared_on_two(own_study: FakeStudy) -> None:
    plan, setup = (
        own_study.plan(2.0),
        set_up(survey(own_study.spec, machine_here()), base=own_study.folder, offline=True),
    )
    with pytest.raises(ChangedMachineError, match=SHRUNK):
        compare_configurations(setup, ONE, setup.space.baseline, emit=shrink)
    os.sched_setaffinity(0, ALLOWED)
    with pytest.raises(ChangedMachineError, match=SHRUNK):
        compare_plans(plan, plan, origin=Origin(own_study.folder), emit=shrink)
