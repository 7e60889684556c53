"""What a plan warns of, by the trials that its study has had."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from autotune.bench.here import machine_here
from autotune.bench.local import LocalHost
from autotune.jobs.concluding import unconfirmed
from autotune.measurement.measurement import Failure, FailureKind, TrialResult
from autotune.preflight.setup import Setup, set_up
from autotune.preflight.survey import survey
from autotune.spec.configuration import Configuration
from autotune.store.records import TrialRecord
from autotune.testing.fake_plans import ONE, FakeStudy
from autotune.testing.plans import build_measurement

SHORT = Failure(FailureKind.OUT_OF_MEMORY, "not enough memory to prepare it", may_pass=True)
CRASH = Failure(FailureKind.CRASH, "ended with exit status 70")

Warn = Callable[..., tuple[str, ...]]


@pytest.fixture
def warn(own_study: FakeStudy) -> Warn:
    """Gives the warnings of a plan whose baseline had these results in turn."""
    setup = set_up(survey(own_study.spec, machine_here()), base=own_study.folder, offline=True)
    commands = LocalHost(setup).admit(ONE, compare=False).commands

    def of(*baselines: TrialResult) -> tuple[str, ...]:
        first = setup.space.baseline
        records = [trial(setup, number, first, result) for number, result in enumerate(baselines)]
        winner = trial(setup, len(records), ONE, build_measurement())
        measured = next((record for record in records if record.score is not None), None)
        return unconfirmed(setup, winner, measured, commands, [*records, winner]).warnings

    return of


def trial(setup: Setup, number: int, one: Configuration, result: TrialResult) -> TrialRecord:
    is_baseline, score = one == setup.space.baseline, None if isinstance(result, Failure) else 10.0
    return TrialRecord(setup.spec.name, number, one, is_baseline, 0.0, 1.0, result, score)


def test_a_baseline_that_failed_is_told_with_why_it_did_last(warn: Warn) -> None:
    assert any("The baseline failed (crash: ended with exit status 70)" in words for words in warn(CRASH))
    assert any("The baseline failed (out_of_memory: not" in words for words in warn(CRASH, SHORT))


def test_a_baseline_that_was_measured_after_it_had_failed_has_not_failed(warn: Warn) -> None:
    assert not any("The baseline failed" in words for words in warn(SHORT, build_measurement()))
