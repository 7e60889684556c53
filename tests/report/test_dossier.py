from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.plan.document import Plan
from autotune.plan.evidence import Default
from autotune.report.distributions import MAX_POINTS, curve, distributions
from autotune.report.dossier import Dossier, choosing_runs
from autotune.report.standings import against_plan, over_baseline
from autotune.store.records import ConfirmationRecord
from autotune.testing.plans import build_commands, build_default, build_measurement, build_plan

PLAN = build_plan(created_s=1000.0)


def run(
    number: int, contender: str, score: float, *, series: int = 1, ended_s: float = 900.0
) -> ConfirmationRecord:
    configuration = PLAN.configuration
    if contender == "baseline":
        configuration = replace(configuration, placement="unpinned")
    elif contender not in ("trial 7", "twin"):
        configuration = replace(configuration, instances=9)
    return ConfirmationRecord(
        study="quickstart",
        series=series,
        round=number,
        position=0,
        contender=contender,
        trial=7,
        configuration=configuration,
        started_s=ended_s - 5,
        ended_s=ended_s,
        result=build_measurement(),
        score=score,
    )


def test_the_runs_are_those_of_the_last_confirmation_before_the_plan() -> None:
    first, second, later = (
        run(1, "trial 7", 1.0),
        run(1, "trial 7", 2.0, series=2),
        run(1, "trial 7", 3.0, series=3),
    )
    later = replace(later, ended_s=1001.0)
    assert choosing_runs(PLAN, [first, second, later]) == (second,)


def test_runs_in_which_the_plan_took_no_part_did_not_choose_it() -> None:
    assert choosing_runs(PLAN, [run(1, "trial 3", 1.0), run(1, "baseline", 1.0)]) == ()


def test_a_plan_that_was_not_confirmed_has_no_runs() -> None:
    confirmation = PLAN.confirmation.model_copy(update={"verdict": "unconfirmed"})
    plan = PLAN.model_copy(update={"confirmation": confirmation})
    assert choosing_runs(plan, [run(1, "trial 7", 1.0)]) == ()


def test_contenders_are_paired_with_the_baseline_round_by_round() -> None:
    drift = [1.0, 2.0, 4.0]
    runs = [
        run(number, contender, score * drift[number - 1])
        for number in (1, 2, 3)
        for contender, score in (("trial 7", 30.0), ("twin", 31.0), ("trial 3", 20.0), ("baseline", 10.0))
    ]
    found = {one.name: one for one in over_baseline(Dossier(PLAN, runs=tuple(runs)))}
    assert list(found) == ["twin", "plan", "trial 3"]
    assert found["twin"].ratio == pytest.approx(3.1)
    assert found["trial 3"].ratio == pytest.approx(2.0)
    span = found["trial 3"].range
    assert span is not None
    assert [span.low, span.high] == pytest.approx([2.0, 2.0])
    assert (found["plan"].ratio, found["plan"].range) == (PLAN.gain, PLAN.gain_range)


def test_a_contender_that_never_ran_beside_the_baseline_is_not_compared_with_it() -> None:
    runs = (run(1, "trial 3", 20.0), run(2, "baseline", 10.0))
    assert [one.name for one in over_baseline(Dossier(PLAN, runs=runs))] == ["plan"]


def test_the_finalists_stand_against_the_plan_best_first() -> None:
    assert [(one.name, one.kind) for one in against_plan(Dossier(PLAN))] == [
        ("plan", "plan"),
        ("trial 3", "tied"),
        ("trial 4", "likely"),
        ("default", "default"),
        ("trial 5", "worse"),
    ]


def confirmed(**changes: Any) -> Plan:
    """The built plan with these values in its confirmation."""
    return PLAN.model_copy(update={"confirmation": PLAN.confirmation.model_copy(update=changes)})


def test_the_best_default_stands_against_the_plan_by_the_inverse_of_its_ratio() -> None:
    default = next(one for one in against_plan(Dossier(PLAN)) if one.name == "default")
    assert default.ratio == pytest.approx(1 / 1.24)
    assert default.range is not None
    assert (default.range.low, default.range.high) == pytest.approx((1 / 1.31, 1 / 1.18))


@pytest.mark.parametrize(
    "default",
    [
        None,
        build_default(said="plan", ratio=1.0, ratio_range=None),
        build_default(ratio=PLAN.gain, ratio_range=PLAN.gain_range, is_baseline=True),
        build_default(ratio=None, ratio_range=None, said="out", missed="misses a limit"),
    ],
    ids=["an older document", "it is the plan", "it is the baseline", "it misses a limit"],
)
def test_a_default_that_is_told_otherwise_does_not_stand_against_the_plan(default: Default | None) -> None:
    names = [one.name for one in against_plan(Dossier(confirmed(default=default)))]
    assert names == ["plan", "trial 3", "trial 4", "trial 5"]


def test_a_default_among_the_runs_has_its_ratio_to_the_baseline() -> None:
    runs = (run(1, "trial 7", 30.0), run(1, "default", 24.0), run(1, "baseline", 10.0))
    found = {one.name: one for one in over_baseline(Dossier(PLAN, runs=runs))}
    assert found["default"].kind == "default"
    assert found["default"].ratio == pytest.approx(2.4)


def test_what_failed_or_misses_a_limit_has_no_ratio_to_the_baseline() -> None:
    runs = [run(1, "trial 7", 30.0), run(1, "trial 3", 20.0), run(1, "baseline", 10.0)]
    runs += [replace(run(1, "default", 24.0), violations={"latency": 0.2})]
    first, *others = PLAN.confirmation.rivals
    failed = first.model_copy(update={"standing": "failed", "ratio": None})
    found = over_baseline(Dossier(confirmed(rivals=(failed, *others)), runs=tuple(runs)))
    assert [one.name for one in found] == ["plan"]


def test_only_the_baseline_is_taken_for_the_baseline() -> None:
    unpinned = build_plan(build_commands(1, pinned=False))
    default = unpinned.confirmation.model_copy(update={"default": build_default(said="plan", ratio=1.0)})
    assert not Dossier(unpinned.model_copy(update={"confirmation": default})).is_baseline
    baseline = unpinned.confirmation.model_copy(update={"verdict": "baseline"})
    assert Dossier(unpinned.model_copy(update={"confirmation": baseline})).name == "baseline"


def test_a_default_that_is_the_plan_has_the_plans_name_in_pictures() -> None:
    mine = replace(run(1, "default", 30.0), configuration=PLAN.configuration)
    assert Dossier(PLAN, runs=(mine,)).contender(mine) == "plan"
    assert Dossier(PLAN).contender(run(1, "default", 30.0)) == "default"


def test_latencies_of_a_configuration_are_those_of_its_confirmation() -> None:
    runs = (replace(run(1, "trial 7", 30.0), result=build_measurement(requests=20)), run(2, "twin", 30.0))
    plan, baseline = distributions(Dossier(PLAN, runs=runs))
    assert (plan.name, plan.requests) == ("plan", 30)
    assert (baseline.name, baseline.requests, baseline.points) == ("baseline", 100, ())


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=1200))
def test_a_curve_ascends_to_one_and_keeps_the_ends(latencies: list[float]) -> None:
    points = curve(latencies)
    assert points[0][0] == min(latencies)
    assert points[-1] == (max(latencies), 1.0)
    assert list(points) == sorted(points)
    assert len(points) <= 2 * MAX_POINTS + 50
    for latency, share in points:
        within = sum(one <= latency for one in latencies)
        assert within >= round(share * len(latencies))
