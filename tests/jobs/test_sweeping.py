"""What a sweep measures and keeps, with rates that are only told of: `tests/cli` has real ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autotune.errors import PlanError
from autotune.events import RateBegan, RateEnded
from autotune.jobs.reviving import Origin, set_up_plan
from autotune.jobs.sweeping import SHARES, Sweep, refuse_unsweepable, sweep_with, under_load
from autotune.measurement.measurement import Failure, FailureKind, TrialResult
from autotune.statistics.queueing import Queue
from autotune.stop import Stopped
from autotune.testing.curves import lognormal_services_s
from autotune.testing.fake_plans import FakeStudy
from autotune.testing.listener import Listener
from autotune.testing.loaded import loaded_measurement
from autotune.testing.plans import build_plan

SERVICES = lognormal_services_s(0.03, 0.2)
CAPACITY = Queue(1, SERVICES).capacity_per_s


class Machine:
    """Measures whatever rate it is asked for, on paper."""

    def __init__(self, broken: float | None = None) -> None:
        self.asked: list[float] = []
        self._broken = broken

    def __call__(self, rate_per_s: float, service_s: float, launch: int) -> TrialResult:
        assert launch == len(self.asked) + 1
        assert 0.01 < service_s < 0.2
        self.asked.append(rate_per_s)
        if self._broken is not None and abs(rate_per_s - self._broken) < 1e-9:
            return Failure(FailureKind.CRASH, "ended with exit status 70")
        return loaded_measurement(SERVICES, 1, rate_per_s, seconds=15.0, seed=launch)


def test_the_rates_are_shares_of_what_the_first_ones_show(shared_study: FakeStudy) -> None:
    machine, plan = Machine(), shared_study.plan(None)
    result = sweep_with(plan, Sweep(), machine)
    curve = result.plan.curve
    assert result.is_measured
    assert curve is not None
    assert (curve.way, curve.instances, len(curve.points)) == ("swept", 1, 1 + len(SHARES))
    assert machine.asked[0] == pytest.approx(0.6 * plan.estimate.throughput_sps)
    shares = [rate / CAPACITY for rate in machine.asked[1:]]
    assert shares == pytest.approx(list(SHARES), rel=0.1)
    assert curve.points[-1].rate_per_s > CAPACITY
    assert curve.capacity_per_s == pytest.approx(CAPACITY, rel=0.05)


def test_rates_that_are_named_are_those_that_are_measured(shared_study: FakeStudy) -> None:
    machine = Machine()
    result = sweep_with(shared_study.plan(None), Sweep((5.0, 10.0)), machine)
    assert machine.asked == [5.0, 10.0]
    assert result.plan.curve is not None
    assert [point.rate_per_s for point in result.plan.curve.points] == [5.0, 10.0]


def test_a_rate_that_fails_is_said_and_the_others_are_kept(shared_study: FakeStudy) -> None:
    listener = Listener()
    result = sweep_with(shared_study.plan(None), Sweep((5.0, 10.0)), Machine(broken=10.0), emit=listener)
    assert result.failures == ((10.0, "crash: ended with exit status 70"),)
    assert result.plan.curve is not None
    assert len(result.plan.curve.points) == 1
    begun, ended, _, failed = listener.events
    assert begun == RateBegan(5.0, 1, 2)
    assert isinstance(ended, RateEnded)
    assert isinstance(failed, RateEnded)
    assert "crash" in failed.in_words


def test_where_every_rate_fails_there_is_no_curve(shared_study: FakeStudy) -> None:
    result = sweep_with(shared_study.plan(None), Sweep((10.0,)), Machine(broken=10.0))
    assert not result.is_measured
    assert result.plan.curve is None


def test_a_stop_keeps_what_was_measured_and_raises_where_nothing_was(shared_study: FakeStudy) -> None:
    plan, listener = shared_study.plan(None), Listener(stop_after=1, of=RateEnded)
    result = sweep_with(plan, Sweep((5.0, 10.0)), Machine(), emit=listener, stop=listener.stop)
    assert result.stopped
    assert result.plan.curve is not None
    assert len(result.plan.curve.points) == 1
    listener.stop.set()
    with pytest.raises(Stopped):
        sweep_with(plan, Sweep((5.0,)), Machine(), stop=listener.stop)


def test_a_low_rate_is_measured_for_longer_but_not_for_ever() -> None:
    sweep = Sweep(seconds=10.0)
    assert sweep.length_s(1_000.0) == 10.0
    assert 299 / 10.0 < sweep.length_s(10.0) < 40.0
    assert sweep.length_s(0.1) == 60.0


def test_a_plan_that_splits_its_requests_is_refused_with_what_to_tune() -> None:
    with pytest.raises(PlanError, match="splits every request over 2 instances") as caught:
        refuse_unsweepable(build_plan(scenario="single_stream"))
    assert "scenario: server" in caught.value.remedy


def test_a_plan_that_puts_requests_together_is_refused() -> None:
    plan = build_plan()
    sorted_by_length = replace(plan.configuration, padding="none", batching="sorted")
    with pytest.raises(PlanError, match="batching sorted"):
        refuse_unsweepable(plan.model_copy(update={"configuration": sorted_by_length}))
    refuse_unsweepable(plan)


def test_a_study_under_load_is_one_of_the_server_scenario(shared_study: FakeStudy) -> None:
    setup = set_up_plan(shared_study.plan(None), Origin(shared_study.folder))
    loaded = under_load(setup, 12.0, 0.02).spec
    assert loaded.scenario == "server"
    assert loaded.measure.block_s == 12.0
    assert loaded.measure.trial_timeout_s > 5 * 12.0
    assert loaded.limits.latency is not None
    assert loaded.limits.latency.max_s == pytest.approx(1.0)
