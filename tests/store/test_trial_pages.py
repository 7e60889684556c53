from __future__ import annotations

from dataclasses import replace

import pytest

from autotune.errors import NotStoredError
from autotune.model.stored_study import study_document
from autotune.spec.load import parse_study
from autotune.store.records import StudyRecord, TrialRecord
from autotune.store.store import open_store
from autotune.store.trial_pages import BestTrial, best_trials, count_trials, trials_of

SPEC = study_document(
    parse_study("model: fake:m.json\nproblem: {batch_size: 1, sequence_length: 8}\n", name="quickstart")
)


def test_trials_come_some_at_a_time_with_the_reasons_of_failures(
    url: str, study: StudyRecord, measured: TrialRecord, failed: TrialRecord
) -> None:
    with open_store(url) as store:
        store.create_study(study)
        store.record_trial(measured)
        store.record_trial(failed)
        store.record_trial(replace(measured, number=2))
        first, reasons = trials_of(store, study.name, limit=2)
        rest, none = trials_of(store, study.name, after=1)
        assert (*first, *rest) == store.trial_summaries(study.name)
    assert (dict(reasons), none) == ({1: getattr(failed.result, "reason", None)}, {})


def test_trials_of_an_unknown_study_are_refused_with_the_nearest_name(url: str, study: StudyRecord) -> None:
    with open_store(url) as store:
        store.create_study(study)
        with pytest.raises(NotStoredError) as refused:
            trials_of(store, "quickstrat")
    assert refused.value.remedy == "did you mean quickstart?"


def test_trials_are_counted_by_study_and_state(
    url: str, study: StudyRecord, measured: TrialRecord, failed: TrialRecord
) -> None:
    with open_store(url) as store:
        store.create_study(study)
        for number in range(3):
            store.record_trial(replace(measured, number=number))
        store.record_trial(replace(failed, number=3))
        assert count_trials(store) == {(study.name, "measured"): 3, (study.name, "crash"): 1}


def test_the_best_trial_of_a_study_meets_its_limits(
    url: str, study: StudyRecord, measured: TrialRecord
) -> None:
    with open_store(url) as store:
        store.create_study(replace(study, spec=SPEC))
        store.create_study(replace(study, name="damaged"))
        for number, (score, violations) in enumerate(
            [(10.0, {}), (30.0, {"latency_p99_s": 0.1}), (20.0, {"latency_p99_s": -0.1})]
        ):
            store.record_trial(
                replace(measured, number=number, baseline=number == 0, score=score, violations=violations)
            )
        store.record_trial(replace(measured, study="damaged"))
        assert best_trials(store) == (BestTrial(study.name, "throughput", 2, 20.0, 2.0),)
