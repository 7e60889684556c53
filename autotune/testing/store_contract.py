"""The tests that a store passes on every database: subclass `StoreContract` in a test module.

```python
class TestOnMyServer(StoreContract):
    @pytest.fixture
    def url(self) -> str:
        return "postgresql+psycopg://…"     # of a database that is empty
```
"""

# The names of tests are sentences.
# ruff: noqa: D102

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from subprocess import PIPE, Popen

import optuna
import pytest

from autotune.errors import StoreError
from autotune.measurement.measurement import Failure, FailureKind
from autotune.spec.configuration import Configuration
from autotune.store.records import ConfirmationRecord, StudyRecord, TrialRecord
from autotune.store.store import open_store, read_store
from autotune.testing.plans import build_measurement, build_plan

CONFIGURATION = Configuration(2, 1, "per-node", "0-1", True, "fake", "int8-dynamic")

STUDY = StudyRecord(
    name="quickstart",
    created_s=1_790_000_000.25,
    spec={"model": "fake:model.json", "limits": {"latency": None}},
    machine={"allowed": "0-1", "fingerprint": "abc"},
    versions={"autotune": "0.1.0"},
    model_digest="5e" * 32,
    model_source="fake:model.json",
)

MEASURED = TrialRecord(
    study=STUDY.name,
    number=0,
    configuration=CONFIGURATION,
    baseline=False,
    started_s=1_790_000_001.5,
    ended_s=1_790_000_009.125,
    result=build_measurement(instances=2, request_s=0.1),
    score=160.0,
    violations={"latency_p99_s": -0.5},
    host="a-host",
)

FAILED = replace(
    MEASURED,
    number=1,
    baseline=True,
    result=Failure(FailureKind.CRASH, "ended with exit status 70", "Traceback: \u2028 \x00 \x1b[0m é 漢"),
    score=None,
    violations={},
)

WRITERS, TRIALS_EACH = 4, 5
WRITE = """
import sys
from autotune.store.store import open_store
from autotune.testing.store_contract import MEASURED, TRIALS_EACH
from dataclasses import replace

first = int(sys.argv[2]) * TRIALS_EACH
with open_store(sys.argv[1]) as store:
    print("open", flush=True)
    sys.stdin.readline()
    for number in range(first, first + TRIALS_EACH):
        store.record_trial(replace(MEASURED, number=number))
"""
OPEN = """
import sys
from autotune.store.store import open_store
sys.stdin.readline()
with open_store(sys.argv[1]) as store:
    store.optuna_storage()
"""


def run_at_once(program: str, arguments: Sequence[Sequence[str]], *, say_open: bool) -> None:
    """Start a program several times, let all begin at once, and require that all end well."""
    with ExitStack() as ended:
        started = [
            ended.enter_context(_started([sys.executable, "-c", program, *given])) for given in arguments
        ]
        for process in started:
            if say_open:
                assert process.stdout is not None
                assert process.stdout.readline() == "open\n", process.communicate()[1]
        for process in started:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        for process in started:
            _, complaint = process.communicate(timeout=120)
            assert process.returncode == 0, complaint


@contextmanager
def _started(command: Sequence[str]) -> Iterator[Popen[str]]:
    """Start a process that has ended when the block has."""
    with Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


class StoreContract:
    """What a store promises on any database, as tests."""

    @pytest.fixture
    def url(self) -> str:
        """Give the URL of a database that holds nothing yet."""
        raise NotImplementedError

    @pytest.fixture
    def begun(self, url: str) -> str:
        with open_store(url) as store:
            store.create_study(STUDY)
        return url

    def test_a_study_comes_back_as_it_was_and_its_name_is_taken(self, begun: str) -> None:
        with open_store(begun) as store:
            assert store.find_study(STUDY.name) == STUDY
            assert store.find_study("other") is None
            assert store.studies() == (STUDY.name,)
            with pytest.raises(StoreError, match="already holds a study 'quickstart'"):
                store.create_study(replace(STUDY, created_s=0.0))
            assert store.find_study(STUDY.name) == STUDY

    def test_trials_come_back_with_their_raw_values_by_number(self, begun: str) -> None:
        with open_store(begun) as store:
            store.record_trial(FAILED)
            store.record_trial(MEASURED)
        with read_store(begun) as store:
            assert store.trials(STUDY.name) == (MEASURED, FAILED)
            first, second = store.trial_summaries(STUDY.name)
        assert (first.score, first.failure, second.score, second.failure) == (160.0, None, None, "crash")

    def test_a_trial_is_recorded_once(self, begun: str) -> None:
        with open_store(begun) as store:
            store.record_trial(MEASURED)
            with pytest.raises(StoreError, match="already has a trial 0"):
                store.record_trial(replace(MEASURED, score=1.0))
            assert store.trials(STUDY.name) == (MEASURED,)

    def test_an_unknown_study_names_the_near_one(self, begun: str) -> None:
        with open_store(begun) as store, pytest.raises(StoreError) as caught:
            store.record_trial(replace(MEASURED, study="quickstar"))
        assert caught.value.remedy == "did you mean quickstart?"

    def test_rounds_come_back_in_the_order_in_which_they_were_run(self, begun: str) -> None:
        runs = [
            ConfirmationRecord(
                study=STUDY.name,
                series=series,
                round=number,
                position=position,
                contender=f"trial {position}",
                trial=position,
                configuration=CONFIGURATION,
                started_s=1_790_000_020.0,
                ended_s=1_790_000_029.0,
                result=MEASURED.result,
                score=158.0,
                violations={},
                host="a-host",
            )
            for series in (1, 2)
            for number in (1, 2)
            for position in (0, 1)
        ]
        with open_store(begun) as store:
            for run in reversed(runs):
                store.record_confirmation(run)
            with pytest.raises(StoreError, match="already has a run"):
                store.record_confirmation(runs[0])
            assert store.count_confirmations(STUDY.name) == len(runs)
        with read_store(begun) as store:
            assert store.confirmations(STUDY.name) == tuple(runs)
            assert store.confirmations(STUDY.name, series=2) == tuple(runs[4:])

    def test_plans_come_back_and_are_found_by_every_kind_of_reference(self, begun: str) -> None:
        older = build_plan(created_s=1_790_000_100.0)
        newer = build_plan(id="quickstart-000001", created_s=1_790_000_200.0)
        with open_store(begun) as store:
            store.save_plan(newer)
            store.save_plan(older)
            store.save_plan(older)
        with read_store(begun) as store:
            assert [plan.id for plan in store.plans()] == [newer.id, older.id]
            for reference in ("latest", "quickstart", newer.id, newer.id[:-2]):
                assert store.plan(reference) == newer
            assert store.plan(older.id) == older

    def test_a_failing_transaction_leaves_nothing(self, begun: str) -> None:
        with open_store(begun) as store:
            with pytest.raises(StoreError, match="a value cannot be kept"):
                store.record_trial(replace(MEASURED, violations={"p99": float("nan")}))
            assert store.trials(STUDY.name) == ()

    def test_a_reader_cannot_write(self, begun: str) -> None:
        with read_store(begun) as store, pytest.raises(StoreError):
            store.record_trial(MEASURED)
        with read_store(begun) as store:
            assert store.trials(STUDY.name) == ()

    def test_opening_it_again_changes_nothing(self, begun: str) -> None:
        with open_store(begun) as store:
            store.record_trial(MEASURED)
        with open_store(begun) as store:
            assert store.studies() == (STUDY.name,)
            assert store.trials(STUDY.name) == (MEASURED,)

    def test_optuna_goes_on_in_the_same_database(self, begun: str) -> None:
        with open_store(begun) as store:
            study = optuna.create_study(storage=store.optuna_storage(), study_name=STUDY.name)
            study.tell(study.ask(), 1.0)
        with open_store(begun) as store:
            study = optuna.load_study(storage=store.optuna_storage(), study_name=STUDY.name)
            assert [trial.value for trial in study.trials] == [1.0]
            assert store.studies() == (STUDY.name,)

    def test_several_processes_may_make_it_at_once(self, url: str) -> None:
        run_at_once(OPEN, [[url]] * WRITERS, say_open=False)
        with open_store(url) as store:
            store.create_study(STUDY)
            assert store.studies() == (STUDY.name,)

    def test_several_processes_record_trials_at_once_and_lose_none(self, begun: str) -> None:
        run_at_once(WRITE, [[begun, str(writer)] for writer in range(WRITERS)], say_open=True)
        with read_store(begun) as store:
            numbers = [trial.number for trial in store.trials(STUDY.name)]
        assert numbers == list(range(WRITERS * TRIALS_EACH))
