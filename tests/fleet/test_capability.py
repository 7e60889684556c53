from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.fleet.capability import Capability, Glance, MeasuredRun, capability_of
from autotune.fleet.sizing import size
from autotune.fleet.workload import LatencyTarget, Workload
from autotune.plan.evidence import Estimate
from autotune.plan.histogram import latency_histogram
from autotune.statistics.queueing import Queue
from autotune.testing.curves import build_curve, lognormal_services_s
from autotune.testing.plans import build_commands, build_estimate, build_plan

SERVICES = lognormal_services_s(0.01, 0.4)
TARGET = LatencyTarget(99.0, 0.06)


def of_curve(**changes: object) -> Capability:
    found = capability_of(build_plan(curve=build_curve(SERVICES, 2, **changes)))  # type: ignore[arg-type]
    assert isinstance(found, Capability)
    return found


def with_histogram(throughput_sps: float, latencies_s: tuple[float, ...]) -> Estimate:
    return build_estimate(throughput_sps).model_copy(update={"histogram": latency_histogram(latencies_s)})


def test_a_curve_bears_what_a_queue_with_its_service_times_bears() -> None:
    borne = of_curve().bearable(TARGET)
    truth = Queue(2, SERVICES).highest_rate(99.0, 0.06)
    assert borne is not None
    assert truth is not None
    assert borne.rate_per_s == pytest.approx(truth, rel=0.01)
    assert borne.utilisation == pytest.approx(truth / Queue(2, SERVICES).capacity_per_s, rel=0.01)


def test_a_machine_that_was_slower_than_its_queue_bears_less() -> None:
    plain, slower = of_curve().bearable(TARGET), of_curve(excess=1.3).bearable(TARGET)
    assert plain is not None
    assert slower is not None
    assert slower.rate_per_s < 0.97 * plain.rate_per_s


def test_what_is_borne_meets_the_limit_and_a_little_more_does_not() -> None:
    capability = of_curve(excess=1.2)
    borne = capability.bearable(TARGET)
    assert borne is not None
    assert capability.latency_s(0.99 * borne.rate_per_s, 99.0) <= TARGET.max_s
    assert capability.latency_s(1.03 * borne.rate_per_s, 99.0) > TARGET.max_s


def test_more_than_the_capacity_has_no_latency() -> None:
    assert math.isinf(of_curve().latency_s(250.0, 99.0))


def test_a_limit_that_a_lone_request_misses_has_no_rate() -> None:
    assert of_curve().bearable(LatencyTarget(99.0, 0.01)) is None


def test_a_rate_that_was_measured_to_keep_to_the_target_is_borne_though_disturbed_runs_deny_it() -> None:
    """Seen on a busy machine: a slow run at the lowest rate, and at the highest, denied what lay between."""
    calm, disturbed = Queue(2, (0.01,) * 500), Queue(2, (0.2,) * 500)
    runs = (
        MeasuredRun(disturbed, 2.0, {99.0: 0.3}),
        MeasuredRun(calm, 20.0, {99.0: 0.012}),
        MeasuredRun(disturbed, 25.0, {99.0: 0.3}),
    )
    borne = Capability("swept", 1.0, runs).bearable(TARGET)
    assert borne is not None
    assert borne.rate_per_s >= 20.0
    assert borne.is_disputed
    assert Capability("swept", 1.0, runs).least_s(99.0) == 0.01
    assert Capability("swept", 1.0, (runs[0], runs[2])).bearable(TARGET) is None


def test_no_rate_is_borne_above_one_that_was_tried_and_missed_the_target() -> None:
    """Seen: 530/s of a plan that had missed its limit at 514, of which no service times were kept."""
    run = MeasuredRun(Queue(2, (0.01,) * 500), 100.0, {99.0: 0.02})
    free = Capability("tuned", 1.0, (run,))
    borne = free.bearable(TARGET)
    assert borne is not None
    assert borne.rate_per_s > 150.0
    missed = (Glance(120.0, {99.0: 0.05}), Glance(140.0, {99.0: 0.07}), Glance(150.0, {99.0: 0.08}))
    capped = replace(free, glances=missed).bearable(TARGET)
    assert capped is not None
    assert (capped.rate_per_s, capped.is_measured) == (120.0, True)
    kept_higher = (*missed, Glance(300.0, {99.0: 0.05}))
    assert replace(free, glances=kept_higher).bearable(TARGET) == replace(borne, is_measured=True)
    of_another_percentile = replace(free, glances=(Glance(140.0, {90.0: 0.07}),)).bearable(TARGET)
    assert of_another_percentile == replace(borne, is_measured=False)
    twice = replace(free, glances=missed).at_speed(2.0).bearable(LatencyTarget(99.0, 0.03))
    assert twice is not None
    assert twice.rate_per_s == pytest.approx(240.0)


def test_a_loss_that_the_limit_outlives_has_a_latency_within_it() -> None:
    """Seen: `p99 434 ms: the limit is kept to`, as another run told the latency than had told the rate."""
    calm, other = Queue(2, (0.01,) * 500), Queue(2, (0.01,) * 400 + (0.07,) * 100)
    capability = Capability(
        "swept", 1.0, (MeasuredRun(other, 50.0, {99.0: 0.4}), MeasuredRun(calm, 100.0, {99.0: 0.02}))
    )
    fleet = size(capability, Workload(1_000, TARGET, headroom=0.1, spare=1))
    assert fleet.latency_s <= TARGET.max_s
    (loss,) = fleet.losses
    assert loss.is_met
    assert loss.latency_s <= TARGET.max_s


def test_a_curve_that_agrees_with_itself_is_not_disputed() -> None:
    borne = of_curve().bearable(TARGET)
    assert borne is not None
    assert not borne.is_disputed


def test_a_rate_beyond_those_that_were_measured_is_said_to_be_one() -> None:
    near, far = (of_curve(shares=shares).bearable(TARGET) for shares in ((0.3, 0.95), (0.2, 0.3)))
    assert near is not None
    assert far is not None
    assert (near.is_measured, far.is_measured) == (True, False)


def test_without_a_curve_requests_back_to_back_are_service_times_of_every_instance() -> None:
    plan = build_plan(build_commands(2), estimate=with_histogram(30.0, (0.25, 0.26, 0.27)))
    found = capability_of(plan)
    assert isinstance(found, Capability)
    assert found.basis == "back-to-back"
    assert found.servers == 2
    assert found.runs[0].queue.capacity_per_s == pytest.approx(2 / 0.26, rel=0.01)
    assert found.samples_per_request == pytest.approx(30.0 * 0.26 / 2, rel=0.01)
    assert "no arrival rate was measured" in found.in_words


def test_a_request_that_is_split_keeps_all_instances_busy_at_once() -> None:
    plan = build_plan(
        build_commands(2), scenario="single_stream", estimate=with_histogram(30.0, (0.2, 0.2, 0.2))
    )
    found = capability_of(plan)
    assert isinstance(found, Capability)
    assert found.servers == 1
    assert found.runs[0].queue.capacity_per_s == pytest.approx(5.0, rel=0.01)


@pytest.mark.parametrize(
    ("scenario", "words"), [("server", "include what requests waited"), ("offline", "neither a curve nor")]
)
def test_a_plan_that_does_not_say_what_it_bears_says_how_to_find_out(scenario: str, words: str) -> None:
    found = capability_of(build_plan(scenario=scenario))
    assert isinstance(found, str)
    assert words in found
    assert "autotune curve" in found


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(5.0, 300.0), st.floats(0.004, 0.02), st.floats(0.5, 3.0)), min_size=1, max_size=4
    ),
    st.sampled_from((50.0, 99.0)),
    st.floats(0.005, 0.2),
)
def test_of_any_curve_latency_never_falls_and_the_highest_rate_keeps_to_its_limit(
    drawn: list[tuple[float, float, float]], percentile: float, max_s: float
) -> None:
    """Seen: with one of ten machines lost the others were busier, and their p99 was told to be lower."""
    runs = []
    for rate, mean_s, excess in sorted(drawn):
        queue = Queue(1, lognormal_services_s(mean_s, 0.3, count=200))
        is_stable = rate < 0.95 * queue.capacity_per_s
        stated = {percentile: excess * queue.latency_s(rate, percentile)} if is_stable else {}
        runs.append(MeasuredRun(queue, rate, stated))
    capability = Capability("swept", 1.0, tuple(runs))
    latencies = [capability.latency_s(1.3**step, percentile) for step in range(24)]
    assert latencies == sorted(latencies)
    borne, wider = (
        capability.bearable(LatencyTarget(percentile, limit_s)) for limit_s in (max_s, 1.2 * max_s)
    )
    if borne is None:
        assert capability.latency_s(0.01, percentile) > 0.95 * max_s
        return
    assert capability.latency_s(borne.rate_per_s - 0.01 * borne.capacity_per_s, percentile) <= max_s
    assert capability.latency_s(borne.rate_per_s + 0.01 * borne.capacity_per_s, percentile) > max_s
    assert wider is not None
    assert wider.rate_per_s >= 0.99 * borne.rate_per_s
