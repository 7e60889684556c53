from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from autotune.measurement.measurement import Block, Measurement, RateStep
from autotune.search.score import demand, goodness, limits_missed, score, violations
from autotune.spec.aim import Aim
from autotune.spec.problem import Problem
from autotune.spec.study import LatencyLimit, Limits, StudySpec
from autotune.testing.plans import build_measurement
from autotune.trial.server.rate_search import Demand

LIMIT = LatencyLimit(percentile=90, max_s=0.1)


def spec(**changes: Any) -> StudySpec:
    fields: dict[str, Any] = {
        "name": "served",
        "model": "fake:model.json",
        "problem": Problem(batch_size=8, sequence_length=16),
        "scenario": "server",
        "limits": Limits(latency=LIMIT),
    }
    return StudySpec(**(fields | changes))


def step(upper_s: float, *, requests: int = 300, kept: bool = True) -> RateStep:
    met = upper_s <= LIMIT.max_s
    return RateStep(50.0, requests, 0, 90.0, upper_s, upper_s, 0.0, 0.0, met=met, kept=kept)


def served(*steps: RateStep) -> Measurement:
    """One second in which ten requests of eight samples were answered, and these rates were tried."""
    measurement = build_measurement()
    block = replace(measurement.blocks[0], end_s=101.0)
    return replace(measurement, scenario="server", blocks=(block,), rates=steps)


def test_the_score_of_a_server_is_what_it_answered_at_the_kept_rate() -> None:
    assert score(spec(), served(step(0.09))) == pytest.approx(80.0)
    assert goodness(spec(), served(step(0.09))) == pytest.approx(80.0)


def test_a_server_is_judged_by_the_bound_at_the_kept_rate() -> None:
    found = violations(spec(), served(step(0.3, kept=False), step(0.08)))
    assert found["latency"] == pytest.approx(-0.2)
    assert violations(spec(), served(step(0.15)))["latency"] == pytest.approx(0.5)


def test_a_server_with_too_few_requests_to_tell_has_missed_its_limit() -> None:
    assert violations(spec(), served(step(0.08, requests=50)))["latency"] == pytest.approx(0.08 * 4 / 0.1 - 1)


def test_the_median_run_of_a_server_tells_whether_the_limit_is_met() -> None:
    good, bad = served(step(0.09)), served(step(0.2))
    assert limits_missed(spec(), [good, bad, good]) == []
    (reason,) = limits_missed(spec(), [good, bad, bad])
    assert "p90 latency is not shown to be within 100 ms" in reason
    assert "at most 200 ms" in reason


def test_only_a_server_has_a_demand_and_each_launch_its_own_arrivals() -> None:
    assert demand(spec(scenario="offline")) is None
    assert demand(spec(seed=0), 50.0, launch=3) == Demand(LIMIT, 3, 50.0)
    seeds = [
        asked.seed
        for seed in range(3)
        for launch in range(3)
        if (asked := demand(spec(seed=seed), launch=launch)) is not None
    ]
    assert len(set(seeds)) == 9


def test_other_scenarios_are_judged_by_their_latencies() -> None:
    offline = spec(scenario="offline", objective=Aim(kind="throughput"))
    assert violations(offline, build_measurement(request_s=0.2))["latency"] == pytest.approx(1.0)


def test_a_block_of_a_server_may_have_no_answer() -> None:
    measurement = served(step(0.09))
    empty = replace(measurement.blocks[0].instances[0], starts_s=(), ends_s=(), begun_s=())
    blocks = (*measurement.blocks, Block(101.0, (empty,), end_s=102.0))
    assert score(spec(), replace(measurement, blocks=blocks)) == pytest.approx(40.0)
