"""The main job with the fake backend, in real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, redirect_stderr, redirect_stdout
from io import StringIO
from itertools import product
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from autotune.cli import exits
from autotune.cli.main import run
from autotune.errors import BackendError, NoPlanError, ResumeError, StudyError, StudyFileError
from autotune.events import SearchEnded
from autotune.jobs.tuning import tune
from autotune.measurement.measurement import Failure, FailureKind, Measurement
from autotune.plan.document import Plan, parse_plan
from autotune.stop import Stop, Stopped
from autotune.store.records import ConfirmationRecord, TrialRecord
from autotune.store.store import open_store, read_store
from autotune.testing.fake_model import SCHEMA
from autotune.testing.fake_trial import processes_of
from autotune.testing.listener import Listener

pytestmark = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="a search over one cpu has nothing to choose"
)

MODEL: dict[str, Any] = {
    "schema": SCHEMA,
    "serial_s": 0.008,
    "parallel_s_per_token": 4e-4,
    "thread_efficiency": 0.5,
    "speed": {"fp32": 1.0, "bf16": 0.5, "int8-dynamic": 8.0},
}
"""Int8 is so much faster that a few rounds show it on a host that is busy with other tests, too."""
STUDY: dict[str, Any] = {
    "name": "small",
    "model": "fake:model.json",
    "problem": {"batch_size": 2, "sequence_length": 32},
    "objective": "throughput",
    "search": {
        "placements": ["close"],
        "instances": [1, 2],
        "threads": [1, 2],
        "precisions": ["int8-dynamic"],
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
TWINNED = {"budget": {"trials": 50, "minutes": 10.0}}
SURE = {"confirm": {"finalists": 1, "rounds": 6}}
"""For tests in which the best has to win: of three rounds a single disturbed one leaves it open."""
CONFIRMED = ("better", "baseline")
"""Verdicts of a confirmation that was run to its end; which of them is no matter of resuming."""
SLOW_TO_PREPARE = '''
import time
from dataclasses import replace
from autotune.testing.fake_backend import FakeBackend

class Backend(FakeBackend):
    """Runs fake models under another name, and takes its time to prepare them."""
    name = "slow"

    def prepare(self, model, precision, directory):
        time.sleep(3)
        super().prepare(model, precision, directory)

    def load(self, directory, precision, threads):
        session = super().load(directory, precision, threads)
        told = session.report
        session.report = lambda: replace(told(), engine="slow")
        return session
'''
WITHOUT_MEMORY = SLOW_TO_PREPARE.replace("time.sleep(3)", "raise MemoryError")
BESIDE_A_NEIGHBOUR = SLOW_TO_PREPARE.replace("import time", "from pathlib import Path").replace(
    "time.sleep(3)",
    "if (Path(__file__).parent / 'neighbour').exists():\n            raise MemoryError",
)
ON_ONE_CPU = (
    "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])}); os.execv(sys.argv[2], sys.argv[2:])"
)
WAIT_S = 60.0
"""How long these tests wait for something that must happen."""


TOO_OLD = """
from autotune.errors import UnsupportedError
from autotune.testing.fake_backend import FakeBackend

class Backend(FakeBackend):
    name = "old"

    def prepare(self, model, precision, directory):
        raise UnsupportedError("this old engine knows no model", remedy="pip install 'old>=2'")
"""


class Folder:
    """A folder with a study, its model, its cache and its store."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / "autotune.db"
        self.url = f"sqlite:///{self.database}"
        self.write()

    def write(self, *, model: Mapping[str, Any] | None = None, **study: Any) -> None:
        """Write model and study, with these values in the place of the usual ones (JSON is YAML)."""
        (self.path / "model.json").write_text(json.dumps({**MODEL, **(model or {})}))
        (self.path / "study.yaml").write_text(json.dumps({**STUDY, **study}))

    def start(self, *arguments: str, cpu: int | None = None) -> subprocess.Popen[str]:
        """Start `autotune tune` in a process group of its own, allowed on one cpu if given."""
        prefix = () if cpu is None else (sys.executable, "-c", ON_ONE_CPU, str(cpu))
        environment = {**os.environ, "AUTOTUNE_CACHE": str(self.path / "cache")}
        return subprocess.Popen(
            [*prefix, sys.executable, "-m", "autotune", "tune", "study.yaml", *arguments],
            cwd=self.path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def tune(self, *arguments: str, status: int = 0) -> tuple[str, str]:
        """Run `autotune tune` to its end in this process; gives what it wrote on stdout and stderr.

        Its children are processes as ever; importing all of it anew takes longer than many of these tests.
        """
        with pytest.MonkeyPatch.context() as patch, StringIO() as out, StringIO() as err:
            patch.chdir(self.path)
            patch.setenv("AUTOTUNE_CACHE", str(self.path / "cache"))
            patch.setattr(sys, "argv", ["autotune", "tune", "study.yaml", *arguments])
            with redirect_stdout(out), redirect_stderr(err):
                found = run()
            assert found == status, err.getvalue()
            return out.getvalue(), err.getvalue()

    def search(self) -> None:
        """Run the search alone, to its end; what it stores is what `tune` would then confirm."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AUTOTUNE_CACHE", str(self.path / "cache"))
            listener = Listener(stop_after=1, of=SearchEnded)
            tuned = tune(self.path / "study.yaml", store=self.url, emit=listener, stop=listener.stop)
            assert tuned.stopped

    def tune_apart(self, *arguments: str, status: int = 0, cpu: int | None = None) -> tuple[str, str]:
        """Do the same in a process of its own."""
        with self.start(*arguments, cpu=cpu) as process:
            out, err = process.communicate(timeout=WAIT_S * 4)
        assert process.returncode == status, err
        return out, err

    def trials(self) -> tuple[TrialRecord, ...]:
        with read_store(self.url) as store:
            return store.trials("small")

    def confirmations(self) -> tuple[ConfirmationRecord, ...]:
        with read_store(self.url) as store:
            return store.confirmations("small")

    def plan(self, ref: str = "latest") -> Plan:
        with read_store(self.url) as store:
            return store.plan(ref)

    def optuna_states(self) -> list[TrialState]:
        with open_store(self.url) as store:
            study = optuna.load_study(study_name="small", storage=store.optuna_storage())
            return [trial.state for trial in study.trials]

    def files(self) -> set[Path]:
        return set(self.path.rglob("*"))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture(scope="module")
def after_one_trial(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A folder whose study has its baseline; copy it."""
    begun = Folder(tmp_path_factory.mktemp("begun"))
    begun.tune("--trials", "1")
    return begun


@pytest.fixture
def begun(after_one_trial: Folder, tmp_path: Path) -> Folder:
    """A folder of this test's own whose study has its baseline."""
    return Folder(Path(shutil.copytree(after_one_trial.path, tmp_path / "begun")))


@pytest.fixture(scope="module")
def surely_tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Folder, str, str]:
    """A folder whose study was tuned to its end, surely, and what that wrote; copy it."""
    folder = Folder(tmp_path_factory.mktemp("tuned"))
    folder.write(**SURE)
    return folder, *folder.tune_apart()


@pytest.fixture
def tuned(surely_tuned: tuple[Folder, str, str], tmp_path: Path) -> Folder:
    """A folder of this test's own whose study was tuned to its end, surely."""
    folder = Folder(Path(shutil.copytree(surely_tuned[0].path, tmp_path / "tuned")))
    folder.write(**SURE)
    return folder


@pytest.fixture(scope="module")
def after_the_search(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A folder whose study, with a twin in its rounds, has been searched and not confirmed; copy it."""
    folder = Folder(tmp_path_factory.mktemp("searched"))
    folder.write(**TWINNED)
    folder.search()
    return folder


@pytest.fixture
def searched(after_the_search: Folder, tmp_path: Path) -> Folder:
    """A folder of this test's own whose study has been searched and not confirmed."""
    folder = Folder(Path(shutil.copytree(after_the_search.path, tmp_path / "searched")))
    folder.write(**TWINNED)
    return folder


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that the test started; those that are left are killed."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def wait_until(happened: Callable[[], object], within_s: float = WAIT_S) -> bool:
    """Poll until something happens; whether it did."""
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        if happened():
            return True
        time.sleep(0.02)
    return False


def lines_until(process: subprocess.Popen[str], text: str) -> list[str]:
    """Read stderr up to and including the line with this text."""
    assert process.stderr is not None
    lines: list[str] = []
    for line in process.stderr:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"{text!r} never came: {lines}")


def kill_at(folder: Folder, started: list[subprocess.Popen[str]], text: str) -> None:
    """Kill -9 a run when this text comes; none of its processes is left."""
    process = folder.start()
    started.append(process)
    lines_until(process, text)
    process.kill()
    assert wait_until(lambda: not processes_of(folder.path), within_s=5)


def exit_of(error: type[Any]) -> int:
    return exits.EXIT_CODES[error]


def test_a_study_measures_every_configuration_once_and_stores_the_best_as_a_plan(
    surely_tuned: tuple[Folder, str, str], tuned: Folder
) -> None:
    _, out, err = surely_tuned
    plan, trials = tuned.plan(), tuned.trials()
    assert len({trial.configuration for trial in trials}) == len(trials)
    best = max(trials, key=lambda trial: trial.score or 0.0)
    assert plan.trial == best.number
    assert plan.configuration == best.configuration
    assert plan.configuration.precision == "int8-dynamic"
    assert plan.gain is not None
    assert plan.gain > 2
    assert plan.baseline is not None
    assert plan.id in out
    assert f"autotune show {plan.id}" in out
    assert f"autotune export {plan.id}" in out
    assert "\nbaseline " in out
    assert f"[{len(trials)}/{len(trials)}]" in err
    _, err = tuned.tune()
    assert "every configuration has been tried" in err
    assert (tuned.trials(), tuned.plan()) == (trials, plan)


def test_a_budget_of_trials_counts_over_all_runs(begun: Folder) -> None:
    (baseline,) = begun.trials()
    assert baseline.baseline
    assert baseline.configuration.placement == "unpinned"
    _, err = begun.tune("--trials", "2")
    assert begun.trials()[0] == baseline
    assert [trial.number for trial in begun.trials()] == [0, 1]
    assert "the budget of 2 trials is used up" in err


def test_a_budget_of_minutes_still_measures_the_baseline(folder: Folder) -> None:
    _, err = folder.tune("--minutes", "0.0001")
    assert [trial.baseline for trial in folder.trials()] == [True]
    assert folder.plan().gain == 1
    assert "the search's part of the budget of 0.0001 minutes is used up" in err


def test_no_engine_is_prepared_for_which_the_time_that_is_left_is_too_short(
    folder: Folder, install_backend: Callable[[str, str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(install_backend("slow", "slow", SLOW_TO_PREPARE)))
    search = {"backends": ["slow"], "instances": [1], "threads": [1], "placements": ["close"]}
    folder.write(search=search, budget={"minutes": 0.2})
    folder.tune_apart()
    assert [trial.configuration.precision for trial in folder.trials()] in (
        ["fp32", "int8-dynamic"],
        ["fp32"],  # the baseline's: a host so slow that it took all of the search's time
    )


def test_want_of_memory_while_preparing_is_told_as_that(
    folder: Folder, install_backend: Callable[[str, str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(install_backend("slow", "slow", WITHOUT_MEMORY)))
    folder.write(search={**STUDY["search"], "backends": ["slow"]})
    _, err = folder.tune_apart()
    failed = [trial.result for trial in folder.trials() if not trial.baseline]
    assert [getattr(result, "kind", None) for result in failed] == [FailureKind.OUT_OF_MEMORY]
    assert "out_of_memory" in err
    assert "not enough memory to prepare fake:model.json" in err


@pytest.mark.slow
def test_what_a_neighbour_left_no_memory_to_prepare_is_tried_again_when_it_has_gone(
    folder: Folder, install_backend: Callable[[str, str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins = install_backend("slow", "slow", BESIDE_A_NEIGHBOUR)
    monkeypatch.setenv("PYTHONPATH", str(plugins))
    (plugins / "neighbour").touch()
    folder.write(search={**STUDY["search"], "backends": ["slow"]})
    _, err = folder.tune_apart()
    _, failed = folder.trials()
    assert isinstance(failed.result, Failure)
    assert (failed.result.kind, failed.may_pass) == (FailureKind.OUT_OF_MEMORY, True)
    assert "but for what failed for a reason that may pass: the same command tries that again" in err
    plan = folder.plan()
    folder.tune_apart()
    assert [trial.may_pass for trial in folder.trials()] == [False, True, True]
    assert folder.plan() == plan, "nothing was learned, so that nothing is confirmed anew"
    (plugins / "neighbour").unlink()
    folder.tune_apart()
    measured = {trial.configuration for trial in folder.trials() if trial.score is not None}
    assert failed.configuration in measured
    assert len(measured) == 4, "the baseline, and all that has one thread or two"


@pytest.mark.slow
def test_what_an_older_store_keeps_as_a_fact_for_want_of_memory_in_preparing_is_tried_again(
    folder: Folder, install_backend: Callable[[str, str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins = install_backend("slow", "slow", BESIDE_A_NEIGHBOUR)
    monkeypatch.setenv("PYTHONPATH", str(plugins))
    (plugins / "neighbour").touch()
    folder.write(search={**STUDY["search"], "backends": ["slow"]})
    folder.tune_apart()
    _, failed = folder.trials()
    assert failed.may_pass
    as_older_versions_kept_it(folder.database)
    assert folder.trials()[1] == failed, "its words tell it"
    (plugins / "neighbour").unlink()
    folder.tune_apart()
    measured = {trial.configuration for trial in folder.trials() if trial.score is not None}
    assert failed.configuration in measured
    assert len(measured) == 4, "the baseline, and all that has one thread or two"


def as_older_versions_kept_it(database: Path) -> None:
    """Take away all that says of failures that their reason may pass: ours and Optuna's."""
    with closing(sqlite3.connect(database)) as connection, connection:
        told = connection.execute("UPDATE autotune_trials SET result = json_remove(result, '$.may_pass')")
        assert told.rowcount > 0
        told = connection.execute("DELETE FROM trial_user_attributes WHERE key = 'may_pass'")
        assert told.rowcount > 0


def test_json_prints_the_stored_plan_and_nothing_else_on_stdout(begun: Folder) -> None:
    out, _ = begun.tune("--json", "--trials", "1")
    assert parse_plan(out) == begun.plan()


def test_a_dry_run_makes_no_store_and_no_artifact_and_says_what_would_be_tried(folder: Folder) -> None:
    before = folder.files()
    out, _ = folder.tune("--dry-run")
    document = json.loads(folder.tune("--dry-run", "--json")[0])
    written = {path for path in folder.files() - before if path.is_file()}
    assert written <= set((folder.path / "cache" / "digests").iterdir())
    assert f"baseline: {document_configuration(document['baseline'])}" in out
    assert document["configurations"] <= document["configurations_before_symmetry"]
    assert document["trials_at_most"] == document["configurations"] + 1 == 4
    assert document["estimate_s"] > 0
    assert document["engines"] == {"fake": ["int8-dynamic"]}


def document_configuration(values: dict[str, Any]) -> str:
    from autotune.spec.configuration import Configuration

    return str(Configuration.from_parameters(values))


def test_another_name_is_another_study(begun: Folder) -> None:
    begun.tune("--trials", "1", "--name", "other")
    with read_store(begun.url) as store:
        assert set(store.studies()) == {"small", "other"}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(("--trials", "0"), "--trials"), (("--minutes", "-1"), "--minutes"), (("--name", "a/b"), "--name")],
)
def test_a_wrong_option_is_refused_before_anything_is_written(
    folder: Folder, arguments: tuple[str, ...], named: str
) -> None:
    before = folder.files()
    _, err = folder.tune(*arguments, status=2)
    assert named in err
    assert folder.files() == before


@pytest.mark.parametrize(
    ("study", "error"),
    [
        ({"problem": {"batch_size": 0, "sequence_length": 1}}, StudyFileError),
        ({"search": {"backends": ["no-such-engine"]}}, BackendError),
        ({"search": {"instances": [60_000]}}, StudyFileError),
    ],
)
def test_a_study_that_cannot_run_is_refused_before_anything_is_written(
    folder: Folder, study: dict[str, Any], error: type[Any]
) -> None:
    folder.write(**study)
    before = folder.files()
    folder.tune(status=exit_of(error))
    assert folder.files() == before


FAULTS: list[dict[str, Any]] = [
    {"fault": "crash", "at": "measure", "when": {"instances": 1, "threads": 1, "precision": "fp32"}},
    {"fault": "hang_ignoring_sigterm", "at": "measure", "when": {"threads": 2, "precision": "fp32"}},
    {"fault": "nan", "when": {"instances": 2, "precision": "fp32"}},
    {"fault": "unsupported", "when": {"precision": "bf16"}},
    {"fault": "memory_error", "when": {"instances": 2, "precision": "int8-dynamic"}},
    {"fault": "wrong_threads", "when": {"threads": 2, "precision": "int8-dynamic"}},
]


def test_failing_configurations_of_every_kind_do_not_stop_the_study(folder: Folder) -> None:
    folder.write(
        model={"faults": FAULTS},
        search={**STUDY["search"], "precisions": ["fp32", "bf16", "int8-dynamic"]},
        measure={**STUDY["measure"], "trial_timeout": "8s"},
    )
    folder.search()
    trials = folder.trials()
    kinds = [str(trial.result.kind) for trial in trials if isinstance(trial.result, Failure)]
    assert set(kinds) >= {"crash", "timeout", "wrong_output", "unsupported", "out_of_memory", "placement"}
    assert kinds.count("unsupported") == 1, "the pair is dropped after its first failure"
    assert isinstance(trials[folder.plan().trial].result, Measurement)
    assert folder.optuna_states().count(TrialState.FAIL) == len(kinds)
    assert processes_of(folder.path) == []


def test_a_fake_model_has_no_answers_to_compare_and_its_plan_says_so(after_one_trial: Folder) -> None:
    quality = after_one_trial.plan().quality
    assert quality is not None
    assert (quality.inputs, quality.sequences, quality.cosine) == ("none", 0, None)


def test_texts_that_the_study_cannot_use_are_refused_before_it_is_begun(folder: Folder) -> None:
    folder.write(quality={"texts": "model.json"})
    _, err = folder.tune(status=exit_of(StudyFileError))
    assert "quality.texts: fake:model.json has no tokenizer" in err
    _, err = folder.tune("--dry-run", status=exit_of(StudyFileError))
    assert "quality.texts" in err
    assert not folder.database.exists()


def test_an_engine_that_cannot_be_prepared_says_what_would_help(
    folder: Folder, install_backend: Callable[[str, str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(install_backend("old", "old", TOO_OLD)))
    folder.write(search={**STUDY["search"], "backends": ["old"], "instances": 1, "threads": 1})
    _, err = folder.tune_apart()
    (failure,) = (trial.result for trial in folder.trials() if isinstance(trial.result, Failure))
    assert failure.reason == "this old engine knows no model (pip install 'old>=2')"
    assert failure.reason in err


def test_a_precision_that_cannot_be_prepared_is_an_unsupported_configuration(folder: Folder) -> None:
    both = {**STUDY["search"], "precisions": ["fp32", "int8-dynamic"]}
    folder.write(model={"speed": {"fp32": 1.0}}, search=both)
    folder.search()
    failures = [trial for trial in folder.trials() if isinstance(trial.result, Failure)]
    assert [str(trial.result.kind) for trial in failures if isinstance(trial.result, Failure)] == [
        "unsupported"
    ]
    assert failures[0].configuration.precision == "int8-dynamic"
    assert folder.plan().configuration.precision == "fp32"


def test_a_failing_baseline_leaves_the_gain_unknown_and_says_so(folder: Folder) -> None:
    folder.write(model={"faults": [{"fault": "crash", "when": {"threads": 0}}]})
    out, err = folder.tune("--trials", "2")
    plan = folder.plan()
    assert plan.gain is None
    assert plan.baseline is None
    assert any("baseline" in warning for warning in plan.warnings)
    assert "warning: " in err
    assert "unknown" in out


def test_a_study_in_which_nothing_succeeds_says_what_failed(folder: Folder) -> None:
    folder.write(model={"faults": [{"fault": "crash"}]})
    _, err = folder.tune(status=exit_of(NoPlanError))
    assert "crash" in err
    with read_store(folder.url) as store:
        assert store.plans() == ()


def test_the_best_configuration_within_the_limits_wins(tuned: Folder) -> None:
    free = tuned.plan()
    assert free.configuration.instances == 2
    limit = free.estimate.memory_bytes * 3 // 4
    tuned.write(name="limited", limits={"memory": f"{limit}B"})
    tuned.tune()
    limited = tuned.plan("limited")
    assert limited.configuration.instances == 1
    assert limited.estimate.memory_bytes <= limit


def test_when_nothing_meets_the_limits_the_nearest_is_named_with_its_miss(folder: Folder) -> None:
    folder.write(limits={"latency": {"p50": "100us"}})
    out, err = folder.tune(status=exit_of(NoPlanError))
    nearest = min(folder.trials(), key=lambda trial: trial.violations["latency"])
    assert out == ""
    assert str(nearest.configuration) in err
    assert f"{nearest.violations['latency']:.1%}" in err
    assert "p50 latency" in err


def test_a_latency_objective_is_minimised(folder: Folder) -> None:
    folder.write(objective="latency", **SURE)
    folder.tune()
    plan = folder.plan()
    best = min(folder.trials(), key=lambda trial: trial.score or 0.0)
    assert (plan.objective, plan.scenario) == ("latency_p50", "single_stream")
    assert plan.configuration == best.configuration
    assert plan.gain is not None
    assert plan.gain > 1


def test_after_kill_9_no_child_lives_and_the_next_run_repeats_no_finished_trial(
    folder: Folder, started: list[subprocess.Popen[str]]
) -> None:
    process = folder.start()
    started.append(process)
    lines_until(process, "[2/")
    assert wait_until(lambda: processes_of(folder.path / "cache"))
    process.kill()
    assert wait_until(lambda: not processes_of(folder.path), within_s=5)
    kept = folder.trials()
    folder.search()
    trials = folder.trials()
    states = folder.optuna_states()
    assert len(kept) >= 2
    assert trials[: len(kept)] == kept
    assert len({trial.configuration for trial in trials}) == len(trials)
    assert TrialState.RUNNING not in states
    assert states.count(TrialState.COMPLETE) == len(trials)


def test_after_kill_9_in_the_confirmation_the_next_run_repeats_no_round_that_was_kept(
    folder: Folder, started: list[subprocess.Popen[str]]
) -> None:
    folder.write(**TWINNED)
    kill_at(folder, started, "[round 2]")
    kept = folder.confirmations()
    assert len(kept) >= 4
    trials = folder.trials()
    _, err = folder.tune()
    confirmed = folder.confirmations()
    assert folder.trials() == trials
    assert confirmed[: len(kept)] == kept
    assert {run.series for run in confirmed} == {1}
    times = Counter(run.contender for run in confirmed)
    assert set(times.values()) == {3}
    assert {"twin", "baseline"} < set(times)
    assert "[round 1]" not in err
    assert folder.plan().confirmation.verdict in CONFIRMED


def test_an_interrupted_confirmation_leaves_a_plan_that_says_so_until_it_is_confirmed(
    folder: Folder, started: list[subprocess.Popen[str]]
) -> None:
    process = folder.start("--json")
    started.append(process)
    lines_until(process, "[round 1]")
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == exits.INTERRUPTED, err
    assert parse_plan(out).confirmation.verdict == "unconfirmed"
    folder.tune()
    plan = folder.plan()
    assert plan.confirmation.verdict in CONFIRMED
    folder.tune()
    assert folder.plan() == plan, "a confirmed plan is not confirmed again"


def record_noisy_confirmation(folder: Folder, disturbed: str) -> None:
    """Keep three rounds in which one contender or all were disturbed, as a call that ended so leaves them."""
    failure = Failure(FailureKind.DISTURBED, "6 of 6 blocks were disturbed")
    trials = folder.trials()
    leader = max((one for one in trials if not one.baseline), key=lambda one: one.score or 0.0)
    contenders = {"baseline": trials[0], f"trial {leader.number}": leader, "twin": leader}
    with open_store(folder.url) as store:
        for number, (position, (name, trial)) in product((1, 2, 3), enumerate(contenders.items())):
            spoiled = disturbed in (name, "all")
            store.record_confirmation(
                ConfirmationRecord(
                    study="small",
                    series=1,
                    round=number,
                    position=position,
                    contender=name,
                    trial=trial.number,
                    configuration=trial.configuration,
                    started_s=time.time(),
                    ended_s=time.time(),
                    result=failure if spoiled else trial.result,
                    score=None if spoiled else trial.score,
                )
            )


@pytest.mark.parametrize("disturbed", ["all", "baseline"])
def test_a_confirmation_that_came_to_nothing_in_noise_is_run_anew(searched: Folder, disturbed: str) -> None:
    record_noisy_confirmation(searched, disturbed)
    searched.tune()
    plan = searched.plan()
    assert plan.confirmation.verdict in CONFIRMED
    assert plan.baseline is not None
    assert {run.series for run in searched.confirmations()} == {1, 2}


def test_new_trials_are_confirmed_anew(folder: Folder) -> None:
    folder.tune("--trials", "2")
    folder.tune()
    series = {run.series for run in folder.confirmations()}
    assert series == {1, 2}


def test_where_nothing_is_faster_than_the_baseline_nothing_is_claimed(folder: Folder) -> None:
    folder.write(
        model={"thread_efficiency": 0.0, "speed": {"fp32": 1.0}, "serial_s": 0.01},
        search={"instances": [1], "threads": [1, 2], "precisions": ["fp32"], "placements": ["close"]},
    )
    out, _ = folder.tune()
    plan = folder.plan()
    assert plan.confirmation.verdict in ("baseline", "tied", "likely")
    assert plan.gain is not None
    assert 0.9 < plan.gain < 1.1
    assert "with 95 % confidence" not in " ".join(out.split()).replace("Nothing was shown", "")


def test_an_unusable_cache_ends_the_run_and_costs_no_configuration(folder: Folder) -> None:
    (folder.path / "cache").write_text("a file where a folder should be")
    _, err = folder.tune(status=6)
    assert "cannot be written" in err
    assert folder.trials() == ()
    (folder.path / "cache").unlink()
    folder.tune("--trials", "1")
    assert folder.plan().gain is not None


def test_a_pruned_artifact_is_made_again(folder: Folder, started: list[subprocess.Popen[str]]) -> None:
    process = folder.start()
    started.append(process)
    lines_until(process, "[2/")
    for artifact in (folder.path / "cache" / "artifacts").iterdir():
        artifact.rename(folder.path / artifact.name)
    _, err = process.communicate(timeout=WAIT_S * 4)
    assert process.returncode == 0, err
    crashed = [trial for trial in folder.trials() if isinstance(trial.result, Failure)]
    assert len(crashed) <= 1, "only the trial that was running may have missed it"


def test_a_study_whose_trials_optuna_lost_is_refused(begun: Folder) -> None:
    optuna.delete_study(study_name="small", storage=begun.url)
    _, err = begun.tune(status=9)
    assert "it was deleted or replaced" in err


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["ctrl-c", "sigterm", "closed terminal"]
)
def test_an_interrupted_run_stores_and_prints_the_plan_of_the_best_so_far(
    folder: Folder, started: list[subprocess.Popen[str]], number: signal.Signals
) -> None:
    process = folder.start("--json")
    started.append(process)
    lines_until(process, "[2/")
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == exits.INTERRUPTED, err
    assert "Traceback" not in err
    assert parse_plan(out) == folder.plan()
    assert TrialState.RUNNING not in folder.optuna_states()
    assert processes_of(folder.path) == []
    begun = folder.trials()
    folder.search()
    assert folder.trials()[: len(begun)] == begun
    assert len({trial.configuration for trial in folder.trials()}) == len(folder.trials()) == 4


def test_an_interruption_before_any_result_says_that_there_is_no_plan(
    folder: Folder, started: list[subprocess.Popen[str]]
) -> None:
    folder.write(model={"load_s": 30.0})
    process = folder.start()
    started.append(process)
    assert wait_until(lambda: processes_of(folder.path / "cache"))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == exits.INTERRUPTED
    assert out == ""
    assert "interrupted" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="fake"),
        pytest.param({"model": "random:minilm-l6", "search": {"backends": ["pytorch"]}}, id="real"),
    ],
)
def test_a_signal_that_was_only_remembered_is_heeded_before_anything_is_prepared(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    cache = folder.path / "cache"
    monkeypatch.setenv("AUTOTUNE_CACHE", str(cache))
    (folder.path / "study.yaml").write_text(json.dumps({**STUDY, **changes}))
    stop = Stop()
    stop.set()  # as a signal does that came while the study was set up
    with pytest.raises(Stopped):
        tune(folder.path / "study.yaml", store=folder.url, stop=stop)
    assert not list(cache.rglob("manifest.json"))


def change_study(folder: Folder) -> None:
    folder.write(objective={"latency": "p99"})


def change_model(folder: Folder) -> None:
    folder.write(model={"serial_s": 0.009})


def change_versions(folder: Folder) -> None:
    with sqlite3.connect(folder.database) as connection:
        connection.execute("UPDATE autotune_studies SET versions = json_set(versions, '$.python', '3.0.1')")
    connection.close()


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (change_study, "objective.kind: throughput -> latency"),
        (change_model, "model fake:model.json: "),
        (change_versions, "python: 3.0.1 -> "),
    ],
)
def test_a_study_made_with_something_else_is_refused_with_old_and_new(
    begun: Folder, change: Callable[[Folder], None], difference: str
) -> None:
    before = begun.trials()
    change(begun)
    _, err = begun.tune(status=exit_of(ResumeError))
    assert difference in err
    assert "--name" in err
    assert begun.trials() == before


def test_a_study_made_on_another_machine_is_refused_with_what_differs(folder: Folder) -> None:
    folder.write(search={**STUDY["search"], "instances": [1], "threads": [1]})
    folder.tune("--trials", "1")
    _, err = folder.tune_apart(status=exit_of(ResumeError), cpu=min(os.sched_getaffinity(0)))
    assert "allowed" in err
    assert len(folder.trials()) == 1


def test_an_optuna_study_of_the_same_name_that_is_not_ours_is_left_alone(folder: Folder) -> None:
    with open_store(folder.url) as store:
        optuna.create_study(study_name="small", storage=store.optuna_storage())
    _, err = folder.tune(status=exit_of(StudyError))
    assert "autotune did not make" in err
    with read_store(folder.url) as store:
        assert store.studies() == ()


def test_a_second_run_of_the_same_study_at_once_is_refused(
    folder: Folder, started: list[subprocess.Popen[str]]
) -> None:
    folder.write(model={"load_s": 1.0})
    started.append(folder.start())
    assert wait_until(lambda: processes_of(folder.path / "cache"))
    _, err = folder.tune(status=exit_of(StudyError))
    assert "is being tuned by another process" in err


def test_the_parent_maps_no_engine_and_python_gets_the_plan(folder: Folder) -> None:
    folder.write(search={**STUDY["search"], "instances": [1], "threads": [1]})
    program = (
        "import sys, autotune\n"
        "assert not {'optuna', 'pydantic', 'sqlalchemy'} & set(sys.modules), 'import autotune is light'\n"
        "plan = autotune.tune('study.yaml', store=sys.argv[1])\n"
        "engines = ('torch', 'transformers', 'onnxruntime', 'onnx')\n"
        "maps = open('/proc/self/maps').read()\n"
        "assert not set(engines) & set(sys.modules), sys.modules.keys()\n"
        "assert not any(f'/{engine}/' in maps for engine in engines), maps\n"
        "print(plan.id)\n"
    )
    environment = {**os.environ, "AUTOTUNE_CACHE": str(folder.path / "cache")}
    command = [sys.executable, "-W", "error", "-c", program, folder.url]
    ended = subprocess.run(
        command, cwd=folder.path, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == folder.plan().id


def test_ctrl_c_in_python_stores_the_best_so_far_and_is_python_s_own(
    folder: Folder, started: list[subprocess.Popen[str]]
) -> None:
    program = (
        "import sys, autotune\n"
        "try:\n"
        "    autotune.tune('study.yaml', store=sys.argv[1], emit=lambda event: print(event, flush=True))\n"
        "except KeyboardInterrupt as interrupt:\n"
        "    sys.exit(f'caught: {interrupt}')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, folder.url],
        cwd=folder.path,
        env={**os.environ, "AUTOTUNE_CACHE": str(folder.path / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    started.append(process)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("TrialEnded"):
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 1
    assert err.endswith(f"caught: the best so far is {folder.plan().id}\n")
    assert folder.plan().confirmation.verdict == "unconfirmed"
