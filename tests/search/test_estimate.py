"""What a study is said to take at most is no less than what its bounds allow it to take."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from autotune.rounds.looks import MIN_ROUNDS
from autotune.search.estimate import (
    CONFIRMATION_SHARE,
    PREPARATION_S,
    START_UP_S,
    estimated_s,
    estimated_trials,
    needed_rounds,
    search_s,
)
from autotune.search.knobs import KnobSpace
from autotune.search.space import build_space
from autotune.spec.load import parse_study
from autotune.spec.study import StudySpec
from autotune.testing.machines import build_machine

MACHINE = build_machine(packages=1, nodes_per_package=1, cores_per_node=8, threads_per_core=1)


def study(budget: str) -> StudySpec:
    return parse_study(
        "model: random:minilm-l6\n"
        "problem: {batch_size: 8, sequence_length: 128}\n"
        "measure: {warmup: 5s, block: 1s, blocks: 3, max_blocks: 5}\n"
        f"confirm: {{finalists: 2, rounds: 6}}\nbudget: {budget}\n",
        name="study",
    )


def estimate(budget: str) -> float:
    spec = study(budget)
    return estimated_s(spec, build_space(spec, MACHINE, {"onnxruntime": ("fp32", "int8-dynamic")}))


TRIAL_S = START_UP_S + 5 + 5
ROUND_S = 5 * (START_UP_S + 5 + 2)
"""Two finalists, the twin, the best default and the baseline, of two blocks each."""


def test_a_study_without_minutes_takes_all_its_trials_and_rounds() -> None:
    more, fewer = estimate("{trials: 12, minutes: unlimited}"), estimate("{trials: 11, minutes: unlimited}")
    assert more - fewer == pytest.approx(TRIAL_S)
    assert fewer > 11 * TRIAL_S + 6 * ROUND_S


def test_where_knobs_are_turned_every_finalist_may_run_with_and_without() -> None:
    spec = study("{trials: 30, minutes: unlimited}")
    plain = build_space(spec, MACHINE, {"onnxruntime": ("fp32",)})
    turned = replace(plain, knobs=KnobSpace({("onnxruntime", "fp32"): {"spinning": ("on", "off")}}))
    more = estimated_trials(spec, turned) - estimated_trials(spec, plain)
    found_s = estimated_s(spec, turned) - estimated_s(spec, plain)
    assert found_s == pytest.approx(more * TRIAL_S + 6 * 2 * ROUND_S / 5)


def test_a_large_budget_of_minutes_is_overrun_by_no_more_than_a_trial_with_its_artifact() -> None:
    minutes = 9.0
    assert estimate(f"{{minutes: {minutes}}}") == pytest.approx(minutes * 60 + TRIAL_S + PREPARATION_S)


def test_a_small_one_is_overrun_by_the_rounds_that_are_always_run() -> None:
    searched_s = (1 - CONFIRMATION_SHARE) * 60
    expected_s = searched_s + TRIAL_S + PREPARATION_S + MIN_ROUNDS * ROUND_S
    assert estimate("{minutes: 1}") == pytest.approx(expected_s)


def test_time_is_kept_for_as_many_rounds_as_are_needed() -> None:
    assert search_s(study("{minutes: 10}"), round_s=20.0, rounds=4) == pytest.approx(600 - 4 * 20)
    assert search_s(study("{minutes: unlimited}"), round_s=20.0, rounds=4) == math.inf


def test_a_short_budget_leaves_the_search_half_of_its_minutes() -> None:
    spec = study("{minutes: 2}")
    assert search_s(spec, round_s=60.0, rounds=3) == pytest.approx((1 - CONFIRMATION_SHARE) * 120)


@pytest.mark.parametrize(("noise", "rounds"), [(0.0, 3), (0.03, 3), (0.1, 4), (0.12, 6), (0.3, 6)])
def test_the_noisier_the_host_the_more_rounds_are_needed_to_tell_1_2_times(noise: float, rounds: int) -> None:
    """2 (2.49 s / 0.182)²: 0.3, 3.7 and 5.4 runs; the study allows six rounds."""
    assert needed_rounds(study("{minutes: 10}"), noise) == rounds
