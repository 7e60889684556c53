"""What a study is said to take at most is no less than what its bounds allow it to take."""

from __future__ import annotations

import pytest

from autotune.search.contest import MIN_ROUNDS
from autotune.search.estimate import CONFIRMATION_SHARE, PREPARATION_S, START_UP_S, estimated_s
from autotune.search.space import build_space
from autotune.spec.load import parse_study
from autotune.testing.machines import build_machine

MACHINE = build_machine(packages=1, nodes_per_package=1, cores_per_node=8, threads_per_core=1)


def estimate(budget: str) -> float:
    spec = parse_study(
        "model: random:minilm-l6\n"
        "problem: {batch_size: 8, sequence_length: 128}\n"
        "measure: {warmup: 5s, block: 1s, blocks: 3, max_blocks: 5}\n"
        f"confirm: {{finalists: 2, rounds: 6}}\nbudget: {budget}\n",
        name="study",
    )
    return estimated_s(spec, build_space(spec, MACHINE, {"onnxruntime": ("fp32", "int8-dynamic")}))


TRIAL_S = START_UP_S + 5 + 5
ROUND_S = 4 * (START_UP_S + 5 + 3)
"""Two finalists, the twin and the baseline."""


def test_a_study_without_minutes_takes_all_its_trials_and_rounds() -> None:
    more, fewer = estimate("{trials: 12, minutes: unlimited}"), estimate("{trials: 11, minutes: unlimited}")
    assert more - fewer == pytest.approx(TRIAL_S)
    assert fewer > 11 * TRIAL_S + 6 * ROUND_S


def test_a_large_budget_of_minutes_is_overrun_by_no_more_than_a_trial_with_its_artifact() -> None:
    minutes = 9.0
    assert estimate(f"{{minutes: {minutes}}}") == pytest.approx(minutes * 60 + TRIAL_S + PREPARATION_S)


def test_a_small_one_is_overrun_by_the_rounds_that_are_always_run() -> None:
    searched_s = (1 - CONFIRMATION_SHARE) * 60
    expected_s = searched_s + TRIAL_S + PREPARATION_S + MIN_ROUNDS * ROUND_S
    assert estimate("{minutes: 1}") == pytest.approx(expected_s)
