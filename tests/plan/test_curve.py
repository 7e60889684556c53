from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from autotune.measurement.measurement import RateStep
from autotune.plan.curve import Curve, make_curve
from autotune.plan.curve_of_runs import point_of, tuned_curve
from autotune.plan.curve_words import COLUMNS, curve_rows
from autotune.plan.describe import describe
from autotune.plan.document import format_plan, parse_plan
from autotune.statistics.queueing import Queue
from autotune.testing.curves import build_curve, lognormal_services_s
from autotune.testing.loaded import loaded_measurement
from autotune.testing.plans import build_measurement, build_plan

SERVICES = lognormal_services_s(0.01, 0.3)
CAPACITY = Queue(1, SERVICES).capacity_per_s


def test_a_point_states_what_was_measured_and_keeps_its_service_times() -> None:
    run = loaded_measurement(SERVICES, 1, 0.6 * CAPACITY, seconds=30.0)
    point = point_of(run, bounded=(50.0,))
    assert point.rate_per_s == pytest.approx(0.6 * CAPACITY)
    assert point.utilisation == pytest.approx(0.6, abs=0.05)
    assert point.answered_per_s == pytest.approx(0.6 * CAPACITY, rel=0.03)
    services = point.services_s()
    assert len(services) == point.requests
    assert np.mean(services) == pytest.approx(np.mean(SERVICES), rel=0.05)
    median, ninety, _, highest = point.latencies
    truth = Queue(1, SERVICES).long_run(0.6 * CAPACITY)
    assert highest.upper_s is not None
    assert highest.upper_s > 0.9 * float(np.percentile(truth, 99))
    assert median.value_s == pytest.approx(float(np.percentile(truth, 50)), rel=0.15)
    assert median.upper_s is not None
    assert ninety.upper_s is None


def test_too_few_requests_state_no_percentile_and_how_many_it_takes() -> None:
    point = point_of(loaded_measurement(SERVICES, 1, 5.0, seconds=20.0), bounded=(50.0, 99.0))
    assert [latency.value_s for latency in point.latencies] == [None] * 4
    assert [latency.needed for latency in point.latencies] == [200, 200, 200, 299]


def test_a_rate_that_is_too_much_is_stated_as_it_was_seen_without_a_bound() -> None:
    point = point_of(loaded_measurement(SERVICES, 2, 2.4 * CAPACITY), bounded=(50.0, 99.0))
    assert point.utilisation == pytest.approx(1.0, abs=0.03)
    assert point.answered_per_s is not None
    assert point.answered_per_s < 0.9 * point.rate_per_s
    assert all(latency.upper_s is None for latency in point.latencies)
    median = point.latency(50.0)
    assert median is not None
    assert median.value_s is not None
    assert median.value_s > 1.0


def test_no_percentile_of_a_rate_lies_below_a_lower_one() -> None:
    """p90 is of the long run here, as the study judges by it; p95 and p99 are of these requests alone."""
    run = loaded_measurement(SERVICES, 1, 0.6 * CAPACITY, seconds=30.0)
    judged = replace(run.rates[0], percentile=90.0, latency_s=0.2, upper_s=0.25)
    latencies = point_of(replace(run, rates=(judged,))).latencies
    values = [latency.value_s for latency in latencies if latency.value_s is not None]
    assert [latency.percentile for latency in latencies] == [50.0, 90.0, 95.0, 99.0]
    assert values == sorted(values)
    assert values[1:] == [0.2, 0.2, 0.2]


def test_requests_that_were_never_begun_count_as_waiting() -> None:
    point = point_of(loaded_measurement(SERVICES, 1, 2 * CAPACITY, seconds=5.0, patience_s=0.5))
    assert point.waiting > 0


def test_the_rates_that_a_plans_runs_tried_are_its_curve() -> None:
    run = loaded_measurement(SERVICES, 1, 0.5 * CAPACITY)
    glance = RateStep(70.0, 100, 3, 99.0, 0.05, 0.06, 0.0, 0.0, met=False)
    curve = tuned_curve([replace(run, rates=(glance, *run.rates))], 1_790_000_000.0)
    assert curve is not None
    assert curve.way == "tuned"
    low, tried = curve.points
    assert (tried.rate_per_s, tried.requests, tried.services) == (70.0, 100, None)
    assert low.services is not None
    assert curve.capacity_per_s == pytest.approx(CAPACITY, rel=0.05)


def test_runs_without_a_rate_have_no_curve() -> None:
    assert tuned_curve([build_measurement()], 0.0) is None


def test_a_plan_keeps_its_curve_in_its_document() -> None:
    plan = build_plan(curve=build_curve(SERVICES, 2))
    assert parse_plan(format_plan(plan)) == plan


def test_a_curve_must_ascend_and_have_points_and_histograms_that_can_be_read() -> None:
    curve = build_curve(SERVICES)
    values = curve.model_dump()
    with pytest.raises(ValidationError, match="ascending"):
        Curve.model_validate({**values, "points": values["points"][::-1]})
    with pytest.raises(ValidationError):
        make_curve([], way="swept", instances=1, samples_per_request=1.0, measured_s=0.0)
    broken = {**values["points"][0], "services": "nonsense"}
    with pytest.raises(ValidationError, match="no HdrHistogram"):
        Curve.model_validate({**values, "points": [broken]})


def test_a_curve_is_shown_rate_by_rate() -> None:
    plan = build_plan(curve=build_curve(SERVICES, 2))
    assert plan.curve is not None
    rows = list(curve_rows(plan.curve))
    assert [row[2] for row in rows] == ["30%", "60%", "80%", "90%"]
    assert {len(row) for row in rows} == {len(COLUMNS)}
    assert "\ncurve\n" in describe(plan)
    assert "\ncurve\n" not in describe(build_plan())
