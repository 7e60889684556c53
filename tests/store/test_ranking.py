from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from autotune.errors import NoPlanError
from autotune.measurement.measurement import Failure, FailureKind
from autotune.objectives.scores import format_score
from autotune.report.top import top_table
from autotune.spec.aim import Aim
from autotune.spec.configuration import Configuration
from autotune.spec.problem import Problem
from autotune.spec.study import LatencyLimit, Limits, StudySpec
from autotune.store.ranking import (
    best,
    gain,
    measured_baseline,
    missed_words,
    no_plan_error,
    ranked,
    why_no_gain,
)
from autotune.store.records import TrialRecord, TrialSummary

THROUGHPUT = StudySpec(
    name="s",
    model="fake:m.json",
    problem=Problem(batch_size=8, sequence_length=128),
    objective=Aim(kind="throughput"),
    scenario="offline",
    limits=Limits(latency=LatencyLimit(percentile=99.0, max_s=0.02), memory_bytes=2**30),
)
SERVER = THROUGHPUT.model_copy(update={"scenario": "server"})
LATENCY = THROUGHPUT.model_copy(update={"objective": Aim(kind="latency", percentile=95.0)})


def a_trial(
    number: int, score: float | None, violations: dict[str, float] | None = None, failure: str | None = None
) -> TrialSummary:
    return TrialSummary(
        study="s",
        number=number,
        configuration=Configuration(number + 1, 1, "close", "0", False, "fake", "fp32"),
        baseline=number == 0,
        started_s=0.0,
        ended_s=1.0,
        failure=failure,
        score=score,
        violations=violations or {},
    )


def a_record(number: int, score: float | None, violations: dict[str, float] | None = None) -> TrialRecord:
    summary = a_trial(number, score, violations)
    return TrialRecord(
        study="s",
        number=number,
        configuration=summary.configuration,
        baseline=summary.baseline,
        started_s=0.0,
        ended_s=1.0,
        result=Failure(FailureKind.CRASH, f"reason {number}"),
        score=score,
        violations=summary.violations,
    )


scores = st.lists(st.one_of(st.none(), st.floats(0.1, 100)), max_size=10)


@given(scores)
def test_ranked_trials_are_the_measured_ones_best_first(values: list[float | None]) -> None:
    trials = [a_trial(number, score) for number, score in enumerate(values)]
    measured = [score for score in values if score is not None]
    assert [trial.score for trial in ranked(trials, THROUGHPUT)] == sorted(measured, reverse=True)
    assert [trial.score for trial in ranked(trials, LATENCY)] == sorted(measured)


def test_a_trial_over_a_limit_is_never_the_best_however_fast() -> None:
    trials = [a_trial(0, 1.0), a_trial(1, 99.0, {"latency": 0.01}), a_trial(2, 2.0, {"latency": 0.0})]
    assert best(trials, THROUGHPUT) is trials[2]


def test_of_equal_trials_the_earlier_is_better() -> None:
    trials = [a_trial(2, 5.0), a_trial(1, 5.0)]
    assert best(trials, THROUGHPUT) is trials[1]


def test_a_failed_baseline_gives_no_gain() -> None:
    trials = [a_trial(0, None, failure="crash"), a_trial(1, 5.0)]
    assert measured_baseline(trials) is None
    assert gain(trials[1], measured_baseline(trials), THROUGHPUT) is None


def test_a_gain_above_1_is_better_for_both_objectives() -> None:
    assert gain(a_trial(1, 20.0), a_trial(0, 10.0), THROUGHPUT) == 2
    assert gain(a_trial(1, 0.01), a_trial(0, 0.02), LATENCY) == 2


def test_nothing_has_a_gain_over_a_baseline_that_misses_a_limit_and_it_is_said_by_how_much() -> None:
    missing = a_trial(0, 1.0, {"latency": 3.4, "memory": 0.1})
    assert gain(a_trial(1, 442.0), missing, THROUGHPUT) is None
    assert gain(missing, missing, THROUGHPUT) is None
    assert why_no_gain(missing, a_trial(1, 442.0), THROUGHPUT) == (
        "the baseline misses the limit of 20.0 ms on p99 latency by 340.0% and the limit of 1.0 GiB on "
        "memory by 10.0%"
    )
    assert missed_words(a_trial(0, 1.0, {"latency": -0.1}), THROUGHPUT) == ""


def test_what_misses_a_limit_has_no_gain_itself() -> None:
    assert gain(a_trial(1, 50.0, {"memory": 0.01}), a_trial(0, 1.0), THROUGHPUT) is None


def test_a_server_that_bears_almost_no_rate_is_no_baseline() -> None:
    hardly, plan = a_trial(0, 0.3), a_trial(1, 63.0)
    assert gain(plan, hardly, SERVER) is None
    assert why_no_gain(hardly, plan, SERVER) == (
        "the baseline bears almost no rate: 0.300 samples/s beside 63.0 samples/s"
    )
    assert gain(a_trial(1, 29.0), hardly, SERVER) is not None
    assert gain(plan, hardly, THROUGHPUT) == 210
    assert why_no_gain(hardly, None, SERVER) == ""


def test_the_table_has_no_gain_beside_a_baseline_that_misses_a_limit() -> None:
    trials = [a_trial(0, 1.0, {"latency": 3.4}), a_trial(1, 442.0), a_trial(2, 300.0)]
    _, rows = top_table(trials, THROUGHPUT)
    assert [(row[0], row[-1]) for row in rows] == [("1", "none"), ("2", "none"), ("baseline", "none")]
    _, rows = top_table([a_trial(0, None, failure="crash"), a_trial(1, 5.0)], THROUGHPUT)
    assert [row[-1] for row in rows] == ["unknown"]


def test_without_a_plan_the_nearest_configuration_is_named_with_every_miss() -> None:
    records = [
        a_record(0, 1.0, {"latency": 2.0, "memory": -0.5}),
        a_record(1, 1.0, {"latency": 0.25, "memory": 0.05}),
        a_record(2, None),
    ]
    error = no_plan_error(records, THROUGHPUT)
    assert isinstance(error, NoPlanError)
    assert "none of 2 measured configurations" in error.problem
    assert f"trial 1 ({records[1].configuration})" in error.problem
    assert "the limit of 20.0 ms on p99 latency by 25.0%" in error.problem
    assert "the limit of 1.0 GiB on memory by 5.0%" in error.problem


def test_without_any_measurement_the_failures_are_counted_and_the_last_is_told() -> None:
    error = no_plan_error([a_record(0, None), a_record(1, None)], THROUGHPUT)
    assert "none of 2 trials succeeded (2 crash); the last one: reason 1" in error.problem


def test_the_table_ends_with_the_baseline_where_it_is_not_among_the_best() -> None:
    trials = [a_trial(number, number + 1.0) for number in range(20)]
    columns, rows = top_table(trials, THROUGHPUT, count=3)
    assert [row[0] for row in rows] == ["19", "18", "17", "baseline"]
    assert [row[-1] for row in rows] == ["20.00x", "19.00x", "18.00x", "1.00x"]
    assert {len(row) for row in rows} == {len(columns)}


def test_a_baseline_that_is_the_best_stands_once_in_the_table() -> None:
    _, rows = top_table([a_trial(0, 9.0), a_trial(1, 1.0)], THROUGHPUT)
    assert [row[0] for row in rows] == ["baseline", "1"]


def test_sockets_are_shown_where_they_tell_configurations_apart() -> None:
    one, other = a_trial(0, 9.0), a_trial(1, 1.0)
    assert "sockets" not in top_table([one, other], THROUGHPUT)[0]
    elsewhere = replace(other, configuration=replace(other.configuration, sockets="0-1"))
    columns, rows = top_table([one, elsewhere], THROUGHPUT)
    assert [row[columns.index("sockets")] for row in rows] == ["0", "0-1"]


def test_configurations_whose_answers_are_wrong_stand_at_the_end_of_the_table() -> None:
    wrong = replace(a_trial(1, 1.0), score=None, failure="wrong_output")
    crashed = replace(a_trial(2, 1.0), score=None, failure="crash")
    _, rows = top_table([a_trial(0, 9.0), wrong, crashed], THROUGHPUT)
    assert [(row[0], row[-2], row[-1]) for row in rows] == [
        ("baseline", "9.00 samples/s", "1.00x"),
        ("1", "wrong output", ""),
    ]


def test_a_score_names_its_unit_and_percentile() -> None:
    assert format_score(THROUGHPUT, 23.6) == "23.6 samples/s"
    assert format_score(LATENCY, 0.0123) == "p95 12.3 ms"
