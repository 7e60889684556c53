from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from autotune.errors import ResumeError
from autotune.measurement.measurement import Failure, FailureKind, Measurement
from autotune.measurement.statistics import memory_bytes
from autotune.model.stored_study import StoredQuality, as_stored, study_document
from autotune.objectives.catalogue import objective_of
from autotune.search.leases import this_coordinator
from autotune.search.outcomes import configuration_of
from autotune.search.resume import refuse_differences, study_differences
from autotune.search.score import needed_percentile, score, violations
from autotune.search.space import SearchSpace, build_space
from autotune.search.study import Answer, SearchStudy, open_search
from autotune.spec.aim import Aim
from autotune.spec.configuration import Configuration, Precision
from autotune.spec.named_file import TextsFile
from autotune.spec.problem import Problem
from autotune.spec.study import Budget, LatencyLimit, Limits, Search, StudySpec
from autotune.store.store import open_store
from autotune.testing.fake_model import FakeModel
from autotune.testing.machines import build_machine
from autotune.testing.simulation import simulated_measurement

MACHINE = build_machine(packages=1, nodes_per_package=1, cores_per_node=4)
ENGINES: Mapping[str, tuple[Precision, ...]] = {"fake": ("fp32", "int8-dynamic")}
MODEL = FakeModel(
    serial_s=0.001,
    parallel_s_per_token=1e-5,
    thread_efficiency=0.5,
    memory_bytes=1000,
    speed={"fp32": 1.0, "int8-dynamic": 2.0},
)
SPEC = StudySpec(
    name="a-study",
    model="fake:m.json",
    problem=Problem(batch_size=8, sequence_length=128),
    objective=Aim(kind="throughput"),
    scenario="offline",
    budget=Budget(trials=None, minutes=None),
)
LATENCY = SPEC.model_copy(update={"objective": Aim(kind="latency", percentile=90.0)})


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[BaseStorage]:
    with open_store(f"sqlite:///{tmp_path}/autotune.db") as store:
        yield store.optuna_storage()


def a_space(spec: StudySpec = SPEC) -> SearchSpace:
    return build_space(spec, MACHINE, ENGINES)


def answer_to(spec: StudySpec, configuration: Configuration) -> Answer:
    measurement = simulated_measurement(MODEL, configuration, spec.problem)
    return Answer(measurement, score(spec, measurement), violations(spec, measurement))


def run(study: SearchStudy, spec: StudySpec, count: int = 1000) -> dict[int, Configuration]:
    told: dict[int, Configuration] = {}
    while len(told) < count and study.untried():
        proposal = study.ask()
        study.tell(proposal.number, answer_to(spec, proposal.configuration))
        told[proposal.number] = proposal.configuration
    return told


def in_optuna(storage: BaseStorage, name: str = SPEC.name) -> optuna.Study:
    return optuna.load_study(study_name=name, storage=storage)


def test_optuna_holds_the_named_parameters_and_a_readable_summary(storage: BaseStorage) -> None:
    told = run(open_search(SPEC, a_space(), storage), SPEC, 5)
    for trial in in_optuna(storage).trials:
        assert trial.state == TrialState.COMPLETE
        assert trial.params == told[trial.number].parameters()
        assert trial.user_attrs["summary"].startswith(f"{told[trial.number]}: score ")


def test_the_baseline_lies_within_the_distributions_of_trial_0(storage: BaseStorage) -> None:
    run(open_search(SPEC, a_space(), storage), SPEC, 1)
    (trial,) = in_optuna(storage).trials
    assert trial.params == a_space().baseline.parameters()
    assert trial.params["placement"] == "unpinned"
    assert trial.params["threads_per_instance"] == 0
    assert set(trial.distributions) == set(trial.params)


@pytest.mark.parametrize("spec", [SPEC, LATENCY], ids=["throughput", "latency"])
def test_optunas_best_trial_is_the_best_for_the_objective(storage: BaseStorage, spec: StudySpec) -> None:
    run(open_search(spec, a_space(spec), storage), spec)
    study = in_optuna(storage)
    best = max if spec is SPEC else min
    assert study.direction.name.lower() == objective_of(spec).direction
    assert study.best_value == best(trial.value for trial in study.trials if trial.value is not None)


def test_optunas_importances_speak_of_our_parameters(storage: BaseStorage) -> None:
    run(open_search(SPEC, a_space(), storage), SPEC)
    importances = optuna.importance.get_param_importances(in_optuna(storage))
    assert {"instances", "threads_per_instance", "precision"} <= set(importances)
    assert set(importances) <= set(SPEC_PARAMETERS)


SPEC_PARAMETERS = Configuration(1, 1, "close", "0", False, "fake", "fp32").parameters()


def test_limits_are_constraints_that_optunas_best_trial_respects(storage: BaseStorage) -> None:
    free = {one: answer_to(SPEC, one) for one in a_space().configurations}
    fastest = max(free.values(), key=lambda one: one.score or 0.0)
    assert isinstance(fastest.result, Measurement)
    spec = SPEC.model_copy(update={"limits": Limits(memory_bytes=memory_bytes(fastest.result) - 1)})
    run(open_search(spec, a_space(spec), storage), spec)
    best = in_optuna(storage).best_trial
    assert best.value is not None
    assert best.value < (fastest.score or 0.0)
    assert best.constraints["memory"] <= 0
    assert any(trial.constraints["memory"] > 0 for trial in in_optuna(storage).trials)


def test_a_failed_configuration_is_a_fail_trial_that_says_why(storage: BaseStorage) -> None:
    study = open_search(SPEC, a_space(), storage)
    proposal = study.ask()
    study.tell(proposal.number, Answer(Failure(FailureKind.CRASH, "exit status 70"), None, {}))
    (trial,) = in_optuna(storage).trials
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs["failure"] == "crash"
    assert "exit status 70" in trial.user_attrs["summary"]


def test_an_interrupted_trial_is_told_fail_and_its_configuration_proposed_again(storage: BaseStorage) -> None:
    first = open_search(SPEC, a_space(), storage)
    run(first, SPEC, 2)
    lost = first.ask()
    resumed = open_search(SPEC, a_space(), storage)
    resumed.settle({})
    assert in_optuna(storage).trials[lost.number].state == TrialState.FAIL
    assert resumed.ask().configuration == lost.configuration


def test_a_trial_that_was_kept_but_not_told_is_told_and_never_repeated(storage: BaseStorage) -> None:
    first = open_search(SPEC, a_space(), storage)
    lost = first.ask()
    answer = replace(answer_to(SPEC, lost.configuration), violations={"memory": 0.5})
    resumed = open_search(SPEC, a_space(), storage)
    resumed.settle({lost.number: answer})
    told = in_optuna(storage).trials[lost.number]
    assert (told.state, told.value, told.constraints) == (TrialState.COMPLETE, answer.score, {"memory": 0.5})
    assert lost.configuration not in run(resumed, SPEC).values()


def test_a_failure_that_was_kept_but_not_told_and_may_pass_is_tried_again(storage: BaseStorage) -> None:
    lost = open_search(SPEC, a_space(), storage).ask()
    resumed = open_search(SPEC, a_space(), storage)
    passing = Failure(FailureKind.OUT_OF_MEMORY, "another program has it", may_pass=True)
    resumed.settle({lost.number: Answer(passing, None, {})})
    told = in_optuna(storage).trials[lost.number]
    assert (told.state, told.user_attrs["failure"]) == (TrialState.FAIL, "out_of_memory")
    assert lost.configuration in run(resumed, SPEC).values()


def test_a_failure_that_optuna_was_told_as_a_fact_and_that_may_pass_is_tried_again(
    storage: BaseStorage,
) -> None:
    """As older versions told it; all with as many instances, or more, were ruled out by it."""
    study = open_search(SPEC, a_space(), storage)
    lost = study.ask()
    study.tell(lost.number, Answer(Failure(FailureKind.OUT_OF_MEMORY, "another program has it"), None, {}))
    as_before = open_search(SPEC, a_space(), storage)
    as_before.settle({})
    resumed = open_search(SPEC, a_space(), storage)
    passing = Failure(FailureKind.OUT_OF_MEMORY, "another program has it", may_pass=True)
    resumed.settle({lost.number: Answer(passing, None, {})})
    assert resumed.untried() > as_before.untried()
    assert lost.configuration in run(resumed, SPEC).values()


def test_a_configuration_that_is_being_run_is_not_proposed_again(storage: BaseStorage) -> None:
    study, before = open_search(SPEC, a_space(), storage), open_search(SPEC, a_space(), storage).untried()
    asked = [study.ask() for _ in range(4)]
    assert len({proposal.configuration for proposal in asked}) == 4
    assert study.untried() == before - 4
    told = run(study, SPEC)
    assert not {proposal.configuration for proposal in asked} & set(told.values())
    for proposal in asked:
        study.tell(proposal.number, answer_to(SPEC, proposal.configuration))
    assert len(in_optuna(storage).trials) == before


def test_what_another_is_just_asking_for_is_waited_for(storage: BaseStorage) -> None:
    """Optuna writes a new trial's parameters one by one: until then nobody knows what it runs."""
    wanted = open_search(SPEC, a_space(), storage, holder="ours").ask().configuration
    study = in_optuna(storage)
    distributions = study.trials[0].distributions
    study.tell(0, state=TrialState.FAIL)
    theirs = study.ask()

    def write_slowly() -> None:
        time.sleep(0.3)
        for name, value in wanted.parameters().items():
            made = distributions[name]
            storage.set_trial_param(theirs._trial_id, name, made.to_internal_repr(value), made)
        theirs.set_user_attr("lease", {"holder": "theirs", "until_s": time.time() + 60})

    ours = open_search(SPEC, a_space(), storage, holder="ours")
    writer = threading.Thread(target=write_slowly)
    writer.start()
    try:
        proposed = ours.ask()
        ours.settle({})
    finally:
        writer.join()
    assert proposed.configuration != wanted
    running = [trial.number for trial in study.trials if trial.state == TrialState.RUNNING]
    assert running == [theirs.number]


def test_what_waits_for_a_drop_is_dropped_when_its_failure_is_told(storage: BaseStorage) -> None:
    study = open_search(SPEC, a_space(), storage)
    run(study, SPEC, 1)
    proposal = study.ask()
    broken = Failure(FailureKind.CRASH, "preparing broke", pair_wide=True, may_pass=True)
    study.tell(proposal.number, Answer(broken, None, {}))
    later = run(study, SPEC)
    assert proposal.configuration.prepared not in {one.prepared for one in later.values()}
    again = open_search(SPEC, a_space(), storage)
    again.settle({proposal.number: Answer(broken, None, {})})
    assert proposal.configuration in run(again, SPEC).values()


def test_settling_leaves_the_trials_of_another_coordinator_running(storage: BaseStorage) -> None:
    other = open_search(SPEC, a_space(), storage, holder="other")
    theirs = other.ask()
    ours = open_search(SPEC, a_space(), storage, holder="ours")
    lost = ours.ask()
    assert lost.configuration != theirs.configuration
    resumed = open_search(SPEC, a_space(), storage, holder="ours")
    resumed.settle({theirs.number: answer_to(SPEC, theirs.configuration)})
    states = [trial.state for trial in in_optuna(storage).trials]
    assert states == [TrialState.RUNNING, TrialState.FAIL]
    assert resumed.ask().configuration == lost.configuration
    other.tell(theirs.number, answer_to(SPEC, theirs.configuration))
    assert in_optuna(storage).trials[theirs.number].state == TrialState.COMPLETE


@pytest.mark.parametrize(
    ("killed", "resumed"),
    [("4f1c 174cc27b", "93ab 174cc27b"), ("node 174cc27b", "node 0d2e66f1"), ("node", "node 174cc27b")],
    ids=["container started anew", "machine started anew", "boot unknown"],
)
def test_a_coordinator_that_was_killed_goes_on_under_another_of_its_names(
    storage: BaseStorage, killed: str, resumed: str
) -> None:
    lost = open_search(SPEC, a_space(), storage, holder=killed).ask()
    again = open_search(SPEC, a_space(), storage, holder=resumed)
    again.settle({})
    assert in_optuna(storage).trials[0].state == TrialState.FAIL
    assert again.ask().configuration == lost.configuration


def test_a_coordinator_is_named_for_its_host_and_its_boot(tmp_path: Path) -> None:
    (tmp_path / "boot_id").write_text("174cc27b-1f73\n")
    name = socket.gethostname()
    assert this_coordinator(tmp_path / "boot_id") == f"{name} 174cc27b-1f73"
    assert this_coordinator(tmp_path / "nothing") == name
    assert this_coordinator().startswith(name)


@pytest.mark.parametrize("lease", [None, {"holder": "other", "until_s": 1.0}, {"holder": 7}, "damaged"])
def test_a_trial_that_nobody_holds_any_more_is_settled(storage: BaseStorage, lease: object) -> None:
    lost = open_search(SPEC, a_space(), storage, holder="other").ask()
    optuna.trial.Trial(in_optuna(storage), in_optuna(storage).trials[0]._trial_id).set_user_attr(
        "lease", lease
    )
    resumed = open_search(SPEC, a_space(), storage, holder="ours")
    resumed.settle({})
    assert in_optuna(storage).trials[0].state == TrialState.FAIL
    assert resumed.ask().configuration == lost.configuration


def test_settling_a_study_that_ended_well_changes_nothing(storage: BaseStorage) -> None:
    study = open_search(SPEC, a_space(), storage)
    run(study, SPEC, 3)
    before = in_optuna(storage).trials
    study.settle({})
    assert in_optuna(storage).trials == before


def test_violations_are_relative_and_signed() -> None:
    configuration = Configuration(2, 1, "close", "0", False, "fake", "fp32")
    measurement = simulated_measurement(MODEL, configuration, SPEC.problem)
    seconds = score(LATENCY, measurement)
    limits = Limits(latency=LatencyLimit(percentile=50.0, max_s=seconds / 1.5), memory_bytes=4000)
    found = violations(SPEC.model_copy(update={"limits": limits}), measurement)
    assert found == {"latency": pytest.approx(0.5), "memory": pytest.approx(-0.5)}
    assert violations(SPEC, measurement) == {}


def test_the_needed_percentile_is_the_highest_that_is_asked_for() -> None:
    limit = Limits(latency=LatencyLimit(percentile=99.0, max_s=1.0))
    assert needed_percentile(SPEC) is None
    assert needed_percentile(LATENCY) == 90.0
    assert needed_percentile(LATENCY.model_copy(update={"limits": limit})) == 99.0
    assert needed_percentile(SPEC.model_copy(update={"limits": limit})) == 99.0


def test_a_ratio_above_1_is_better_for_both_objectives() -> None:
    assert objective_of(SPEC).ratio(30.0, 10.0) == pytest.approx(3)
    assert objective_of(LATENCY).ratio(0.01, 0.03) == pytest.approx(3)


def test_a_changed_study_is_refused_with_old_and_new_value() -> None:
    old = study_document(SPEC)
    new = study_document(LATENCY)
    differences = study_differences(old, new)
    assert "objective.kind: throughput -> latency" in differences
    with pytest.raises(ResumeError, match=r"objective\.percentile: 50\.0 -> 90\.0") as caught:
        refuse_differences("a-study", differences)
    assert "--name" in caught.value.remedy


def test_texts_are_the_same_wherever_they_lie_and_others_if_they_have_changed() -> None:
    def naming(texts: str, digest: str) -> dict[str, Any]:
        quality = StoredQuality(texts=TextsFile(path=texts), texts_digest=digest)
        return study_document(as_stored(SPEC).model_copy(update={"quality": quality}))

    assert study_differences(naming("a.txt", "5e"), naming("data/b.txt", "5e")) == []
    assert study_differences(naming("a.txt", "5e"), naming("a.txt", "7f")) == [
        "quality.texts_digest: 5e -> 7f"
    ]


def test_a_changed_budget_is_no_other_study() -> None:
    changed = SPEC.model_copy(update={"budget": Budget(trials=3, minutes=1.0)})
    differences = study_differences(study_document(SPEC), study_document(changed))
    assert differences == []
    refuse_differences("a-study", differences)


FEW = SPEC.model_copy(update={"search": Search(instances=(1, 2), threads=(1, 2, 3), placements=("close",))})
"""Of a dozen configurations, so that two who share them meet at the last one."""

COORDINATOR = """
import random, sys, time
from tests_of_two import FEW, a_space, answer_to
from autotune.search.sampler import NothingLeftError
from autotune.search.study import open_search
from autotune.store.store import open_store

url, holder, start_s = sys.argv[1], sys.argv[2], float(sys.argv[3])
with open_store(url) as store:
    study = open_search(FEW, a_space(FEW), store.optuna_storage(), holder=holder)
    time.sleep(max(0.0, start_s - time.time()))
    while study.untried():
        try:
            proposal = study.ask()
        except NothingLeftError:
            break
        time.sleep(0.05 + 0.2 * random.random())
        study.tell(proposal.number, answer_to(FEW, proposal.configuration))
        print(proposal.number, flush=True)
"""


def test_two_coordinators_of_one_study_share_its_configurations(tmp_path: Path) -> None:
    """On hosts of their own: nobody fails, nothing is left out, and both have run some."""
    url = f"sqlite:///{tmp_path}/autotune.db"
    with open_store(url) as store:
        open_search(FEW, a_space(FEW), store.optuna_storage())
    (tmp_path / "tests_of_two.py").write_text(Path(__file__).read_text())
    start_s = time.time() + 8
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COORDINATOR, url, holder, str(start_s)],
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for holder in ("host-a boot-a", "host-b boot-b")
    ]
    ended = [(*process.communicate(), process.returncode) for process in processes]
    assert [code for _, _, code in ended] == [0, 0], [err for _, err, _ in ended]
    told = [{int(line) for line in out.splitlines()} for out, _, _ in ended]
    assert not told[0] & told[1]
    assert all(told)
    with open_store(url) as store:
        trials = in_optuna(store.optuna_storage()).trials
    complete = [configuration_of(trial) for trial in trials if trial.state == TrialState.COMPLETE]
    assert {trial.number for trial in trials if trial.state == TrialState.COMPLETE} == told[0] | told[1]
    assert set(complete) == {a_space(FEW).baseline, *a_space(FEW).configurations}
    assert len(complete) == len(set(complete)), (
        "what two begin at the very same moment, one leaves to the other"
    )
    abandoned = [trial for trial in trials if trial.state == TrialState.FAIL]
    assert all(trial.user_attrs.keys() == {"lease"} for trial in abandoned)
