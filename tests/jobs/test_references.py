"""What rounds say of a baseline and a default to which no ratio can be stated."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autotune.jobs.references import no_gain_in_rounds, out_of_rounds
from autotune.measurement.measurement import Block, InstanceBlock, Measurement, RateStep
from autotune.rounds.running import Entrant, Run
from autotune.rounds.verdict import Role, Verdict
from autotune.spec.configuration import Configuration
from autotune.spec.problem import Problem
from autotune.spec.study import LatencyLimit, Limits, StudySpec
from autotune.statistics.paired import Interval
from autotune.testing.plans import build_measurement

SPEC = StudySpec(
    name="s",
    model="fake:m.json",
    problem=Problem(batch_size=1, sequence_length=16),
    scenario="server",
    limits=Limits(latency=LatencyLimit(percentile=90.0, max_s=0.06)),
)
ROLES: tuple[Role, ...] = ("finalist", "default", "baseline")


def entrant(role: Role) -> Entrant:
    one = Configuration(1, 1 + ROLES.index(role), "close", "0", False, "fake", "fp32")
    return Entrant("trial 3" if role == "finalist" else role, role, one, ROLES.index(role), ())


ENTRANTS = tuple(map(entrant, ROLES))


def served(rate_per_s: float, upper_s: float) -> Measurement:
    """A run of ten seconds at a rate, of which the percentile is shown to be at most so long."""
    count = round(10 * rate_per_s)
    starts = tuple(index / rate_per_s for index in range(count))
    ends = tuple(start + upper_s / 2 for start in starts)
    part = InstanceBlock(1, starts, ends, begun_s=starts)
    step = RateStep(rate_per_s, 1000, 0, 90.0, upper_s / 2, upper_s, 0.0, 0.0, met=upper_s <= 0.06, kept=True)
    built = build_measurement()
    return replace(built, scenario="server", blocks=(Block(0.0, (part,), None, 10.0),), rates=(step,))


def runs(**results: Measurement) -> list[Run]:
    by_role = {one.role: one for one in ENTRANTS}
    return [
        Run(number, position, by_role[role], 0.0, 1.0, result)  # type: ignore[index]
        for number in (1, 2, 3)
        for position, (role, result) in enumerate(results.items())
    ]


def verdict(**failed: str) -> Verdict:
    return Verdict("trial 3", Interval(63.0, 60.0, 66.0, 0.95, 3), (), None, None, 3, failed=failed)


PLAN = served(63.0, 0.05)


def test_a_reference_that_misses_the_limit_is_out_with_by_how_much() -> None:
    found = runs(finalist=PLAN, default=served(40.0, 0.05), baseline=served(0.3, 0.264))
    out = out_of_rounds(verdict(), ENTRANTS, found, SPEC)
    assert list(out) == ["baseline"]
    assert no_gain_in_rounds(verdict(), out, ENTRANTS) == (
        "the baseline misses a limit: its p90 latency is not shown to be within 60.0 ms: with 95 % "
        "confidence it is at most 264 ms, 340.0% more"
    )


@pytest.mark.parametrize("role", ["default", "baseline"])
def test_a_server_that_keeps_to_the_limit_at_almost_no_rate_is_out_too(role: str) -> None:
    others = {"default": served(40.0, 0.05), "baseline": served(40.0, 0.05), role: served(0.3, 0.05)}
    out = out_of_rounds(verdict(), ENTRANTS, runs(finalist=PLAN, **others), SPEC)
    assert out == {role: "bears almost no rate: 0.300 samples/s beside 63.0 samples/s"}


def test_a_reference_that_is_the_winner_or_keeps_to_the_limits_is_not_out() -> None:
    found = runs(finalist=PLAN, default=served(40.0, 0.05), baseline=served(30.0, 0.05))
    assert out_of_rounds(verdict(), ENTRANTS, found, SPEC) == {}
    itself = replace(verdict(), winner="baseline")
    hopeless = runs(baseline=served(0.3, 0.264))
    assert out_of_rounds(itself, ENTRANTS, hopeless, SPEC) == {}
    assert no_gain_in_rounds(itself, {}, ENTRANTS) == ""


def test_a_baseline_that_failed_in_the_rounds_leaves_no_gain_and_its_reason() -> None:
    why = no_gain_in_rounds(verdict(baseline="crash: exit status 70"), {}, ENTRANTS)
    assert why == "the baseline failed in the rounds: crash: exit status 70"
    assert no_gain_in_rounds(verdict(), {}, ENTRANTS[:2]) == ""
