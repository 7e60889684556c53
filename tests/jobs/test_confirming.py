"""Who takes part in a confirmation, and how long a round of it takes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autotune.jobs.finalists import choose_finalists
from autotune.spec.configuration import Configuration
from autotune.spec.load import parse_study
from autotune.store.records import TrialRecord
from autotune.testing.plans import build_measurement

SPEC = parse_study(
    "model: random:minilm-l6\nproblem: {batch_size: 8, sequence_length: 128}\nconfirm: {finalists: 2}\n",
    name="study",
)


def trial(
    number: int,
    *,
    score: float,
    wall_s: float = 1.0,
    prepared_s: float = 0.0,
    threads: int = 0,
    knobs: str = "",
) -> TrialRecord:
    configuration = Configuration(
        1, threads or number + 1, "close" if number else "unpinned", "0", False, "fake", "fp32", knobs=knobs
    )
    result = replace(build_measurement(request_s=0.1), wall_s=wall_s)
    ended_s = 1000.0 + prepared_s + wall_s
    return TrialRecord("study", number, configuration, number == 0, 1000.0, ended_s, result, score)


def test_those_within_reach_of_the_best_are_finalists_and_the_baseline_runs_beside_them() -> None:
    records = [
        trial(0, score=100.0, wall_s=1.0),
        trial(1, score=60.0, wall_s=1.0),
        trial(2, score=90.0, wall_s=1.0),
        trial(3, score=99.0, wall_s=1.0),
    ]
    finalists = choose_finalists(records, SPEC)
    assert [one.number for one in finalists.best] == [3, 2]
    assert finalists.baseline == records[0]
    assert [one.number for one in choose_finalists(records[:2], SPEC).best] == [1]


@pytest.mark.parametrize(("finalists", "numbers"), [(1, [1, 3]), (2, [1, 3, 4, 5]), (3, [1, 3, 4, 5, 6])])
def test_beside_every_finalist_with_knobs_is_the_same_without_and_is_not_counted(
    finalists: int, numbers: list[int]
) -> None:
    records = [
        trial(0, score=10.0),
        trial(1, score=100.0, threads=1, knobs="spinning=off"),
        trial(2, score=99.0, threads=1, knobs="optimization=basic"),
        trial(3, score=60.0, threads=1),
        trial(4, score=97.0, threads=2, knobs="spinning=off"),
        trial(5, score=96.0, threads=2),
        trial(6, score=95.0, threads=3),
    ]
    confirm = SPEC.confirm.model_copy(update={"finalists": finalists})
    chosen = choose_finalists(records, SPEC.model_copy(update={"confirm": confirm}))
    assert [one.number for one in chosen.best] == numbers


def test_what_misses_a_limit_without_its_knobs_does_not_run_beside_them() -> None:
    plain = replace(trial(2, score=90.0, threads=1), violations={"memory": 0.1})
    with_knobs = trial(1, score=80.0, threads=1, knobs="allocator=jemalloc")
    assert choose_finalists([trial(0, score=10.0), with_knobs, plain], SPEC).best == (with_knobs,)


def test_a_round_takes_what_the_trials_took_without_the_time_to_prepare_their_artifacts() -> None:
    records = [
        trial(0, score=10.0, wall_s=8.0, prepared_s=20.0),
        trial(1, score=30.0, wall_s=6.0, prepared_s=15.0),
        trial(2, score=29.0, wall_s=5.0),
    ]
    assert choose_finalists(records, SPEC).round_s == pytest.approx(8.0 + 2 * 6.0 + 5.0)
    assert choose_finalists([], SPEC).round_s == 0
