"""What a contest says and the interval that stands beside it never contradict each other."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.plan.claims import SHARED, default_words, verdict_sentence
from autotune.plan.evidence import Range
from autotune.rounds.contest import Contest
from autotune.rounds.posterior import Posterior, ScoredRun
from autotune.rounds.verdict import (
    LIKELY,
    MANY_ROUNDS,
    Advantage,
    Contender,
    RivalVerdict,
    Verdict,
    more_rounds,
)
from autotune.statistics.paired import Interval
from autotune.testing.plans import build_default, build_plan

REFERENCES = (Contender("default", "default", 2, 100, 1), Contender("baseline", "baseline", 2, 100, 1))


def ended(seed: int, finalists: int, rounds: int, noise: float, reach: float) -> Verdict:
    """Fight a contest on a simulated host: what entrants reach lies within a factor of `reach`."""
    draw = random.Random(seed)
    entered = [*(Contender(f"f{index}", "finalist", index) for index in range(finalists)), *REFERENCES]
    truths = {one.name: math.exp(draw.uniform(0, math.log(reach))) for one in entered}
    contest = Contest(entered, tie=0.02, max_rounds=rounds, seed=seed)
    while (names := contest.next_round()) is not None:
        weather = draw.lognormvariate(0, noise)
        for name in names:
            contest.record(name, truths[name] * weather * draw.lognormvariate(0, noise))
    verdict = contest.verdict()
    assert verdict is not None
    return verdict


def excludes_one(ratio: Interval) -> bool:
    return not ratio.low <= 1 <= ratio.high


def advantages(verdict: Verdict) -> Iterator[Advantage]:
    yield from (one for one in (verdict.baseline, verdict.default) if one is not None)


def in_words(advantage: Advantage) -> tuple[str, str]:
    """What people read of it: beside the best default, and beside the baseline."""
    span = Range(low=advantage.ratio.low, high=advantage.ratio.high)
    stated = {"probability": advantage.probability, "more_rounds": advantage.more_rounds}
    default = build_default(ratio=advantage.ratio.estimate, ratio_range=span, said=advantage.said, **stated)
    word = {"shown": "better", "likely": "likely", "untold": "tied"}[advantage.said]
    plan = build_plan(gain=advantage.ratio.estimate, gain_range=span)
    confirmation = plan.confirmation.model_copy(update={"verdict": word, "default": default, **stated})
    plan = plan.model_copy(update={"confirmation": confirmation})
    return default_words(plan), verdict_sentence(plan)


def check_advantage(one: Advantage) -> None:
    assert (one.probability > 0.975) == (one.ratio.low > 1)
    assert (one.probability < 0.025) == (one.ratio.high < 1)
    if one.said == "shown":
        assert one.ratio.low > 1
        assert one.more_rounds is None
    else:
        assert one.said == ("likely" if one.probability >= LIKELY else "untold")
        assert one.more_rounds is None or one.more_rounds >= 1
    for words in in_words(one):
        assert (SHARED in words) == (one.said != "shown" and excludes_one(one.ratio)), words


def check_rival(rival: RivalVerdict) -> None:
    assert rival.ratio is not None
    assert rival.probability is not None
    assert (rival.probability > 0.975) == (rival.ratio.high < 1)
    if rival.standing == "worse":
        assert rival.ratio.high < 1
        assert rival.more_rounds is None
    else:
        assert rival.standing == ("likely" if rival.probability >= LIKELY else "tied")


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 100_000),
    finalists=st.integers(1, 4),
    rounds=st.integers(3, 13),
    noise=st.sampled_from((0.005, 0.03, 0.1)),
    reach=st.sampled_from((1.0, 1.1, 1.5, 4.0)),
)
def test_what_is_said_agrees_with_the_interval_and_the_probability_beside_it(
    seed: int, finalists: int, rounds: int, noise: float, reach: float
) -> None:
    verdict = ended(seed, finalists, rounds, noise, reach)
    for one in advantages(verdict):
        check_advantage(one)
    for rival in verdict.rivals:
        check_rival(rival)


def test_an_interval_that_excludes_1_before_it_is_shown_is_met_and_explained() -> None:
    """Else the test above would hold of nothing."""
    early = [
        one
        for seed in range(40)
        for one in advantages(ended(seed, 4, 3, 0.05, 1.3))
        if one.said == "likely" and excludes_one(one.ratio)
    ]
    assert early
    for one in early:
        default, baseline = in_words(one)
        assert f"not shown as {SHARED}" in default
        assert "of this comparison alone" in baseline


def test_the_rounds_that_would_tell_are_counted_at_the_level_that_shows_it() -> None:
    """Three rounds whose interval excludes 1 by itself: one more would not show it among many."""
    values = {"a": (1.20, 1.14, 1.22), "b": (1.0, 0.99, 1.03), "default": (1.0, 1.02, 0.97)}
    contest = Contest(
        [Contender("a", "finalist"), Contender("b", "finalist"), REFERENCES[0], REFERENCES[1]],
        tie=0.02,
        max_rounds=12,
        seed=1,
    )
    for index in range(3):
        contest.next_round()
        for name, own in values.items():
            contest.record(name, own[index])
        contest.record("baseline", 0.3)
    verdict = contest.verdict()
    assert verdict is not None
    assert verdict.default is not None
    if verdict.default.said == "likely":
        assert verdict.default.ratio.low > 1
        assert verdict.default.more_rounds is not None
        assert verdict.default.more_rounds > 1


@pytest.mark.parametrize(
    ("spans", "more"),
    [
        (((1.1, 1.0, 1.21),), 1),
        (((1.1, 0.91, 1.331),), 9),
        (((1.1, 1.05, 1.1524), (1.1, 0.91, 1.331)), 9),
        (((1.0, 0.9, 1.1),), None),
        (((1.001, 0.9, 1.1133),), None),
    ],
)
def test_rounds_are_counted_until_the_widest_interval_leaves_1(
    spans: tuple[tuple[float, float, float], ...], more: int | None
) -> None:
    intervals = [Interval(estimate, low, high, 0.95, 3) for estimate, low, high in spans]
    found = more_rounds(3, *intervals)
    assert found == more
    assert found is None or found <= MANY_ROUNDS


@given(st.integers(0, 10_000), st.floats(0.8, 1.25))
def test_a_probability_is_that_of_the_interval_moved_or_not(seed: int, times: float) -> None:
    draw = random.Random(seed)
    runs = tuple(
        ScoredRun(number, name, draw.lognormvariate(0, 0.05)) for number in range(4) for name in ("a", "b")
    )
    posterior = Posterior(runs)
    plain = posterior.ratio("a", "b")
    assert posterior.probability_of(plain) == pytest.approx(posterior.probability("a", "b"))
    moved = plain.moved(times)
    assert (posterior.probability_of(moved) > 0.975) == (moved.low > 1)
