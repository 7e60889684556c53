"""What is said of a plan: each sentence by the values that it tells."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from autotune.plan.claims import (
    default_words,
    format_probability,
    gain_words,
    rival_sentences,
    spent_words,
    unprepared_words,
    verdict_sentence,
)
from autotune.plan.document import Plan, PlanStudy
from autotune.plan.evidence import Charge, Default, Range, Spent, Unprepared
from autotune.testing.plans import build_default, build_plan

CONFIGURATION = "1 x default threads, unpinned, sockets 0, fake int8-dynamic"
EVERY_VERDICT = ("better", "likely", "tied", "baseline", "unopposed", "unconfirmed")


WIDE = Range(low=0.9, high=1.4)
"""The interval of a gain that is not shown."""


def confirmed(gain_range: Range = WIDE, **changes: Any) -> Plan:
    """The built plan with these values in its confirmation."""
    plan = build_plan(gain=1.12, gain_range=gain_range)
    return plan.model_copy(update={"confirmation": plan.confirmation.model_copy(update=changes)})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"verdict": "better", "rounds": 6},
            "It beats the baseline with 95 % confidence, in 6 rounds of fresh processes.",
        ),
        (
            {"verdict": "likely", "probability": 0.93, "more_rounds": 4, "rounds": 8},
            "It is likely to beat the baseline (93 %), after 8 rounds of fresh processes. "
            "About 4 more rounds would tell (confirm.rounds).",
        ),
        (
            {"verdict": "likely", "probability": 0.81, "more_rounds": None},
            "It is likely to beat the baseline (81 %), after 3 rounds of fresh processes. More rounds would "
            "hardly tell.",
        ),
        (
            {"verdict": "tied", "probability": 0.62, "more_rounds": 1},
            "It is probably the best, and not told apart from the baseline so far: after 3 rounds of fresh "
            "processes it may be better (62 %) or not. About 1 more round would tell (confirm.rounds).",
        ),
        (
            {
                "verdict": "likely",
                "probability": 0.998,
                "more_rounds": 5,
                "gain_range": Range(low=1.02, high=1.23),
            },
            "It is likely to beat the baseline (> 99 %), after 3 rounds of fresh processes. The interval is "
            "of this comparison alone; all comparisons of the rounds share the 5 %, and shown is what holds "
            "in all of them. About 5 more rounds would tell (confirm.rounds).",
        ),
        (
            {"verdict": "baseline"},
            "No finalist was surely enough better than the baseline in 3 rounds: the baseline is the plan.",
        ),
    ],
)
def test_a_verdict_is_told_as_surely_as_it_was_shown(changes: dict[str, Any], sentence: str) -> None:
    assert verdict_sentence(confirmed(**changes)) == sentence


@pytest.mark.parametrize("verdict", EVERY_VERDICT)
@pytest.mark.parametrize("rivals", [(), build_plan().confirmation.rivals], ids=["alone", "with rivals"])
def test_every_verdict_has_a_sentence(verdict: str, rivals: tuple[Any, ...]) -> None:
    sentence = verdict_sentence(confirmed(verdict=verdict, rivals=rivals, probability=None))
    assert sentence.endswith((".", ")."))
    assert not {"{", "}", "None"} & set(sentence.split())
    assert "{" not in sentence


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, f"1.24x the best default (95 %: 1.18x to 1.31x): {CONFIGURATION}"),
        (
            {"said": "likely", "probability": 0.9, "more_rounds": 3, "ratio_range": WIDE},
            "1.24x the best default (95 %: 0.90x to 1.40x; likely better, P(better) 90 %, about 3 more "
            f"rounds would tell): {CONFIGURATION}",
        ),
        (
            {"said": "likely", "probability": 0.999, "more_rounds": 7},
            "1.24x the best default (95 %: 1.18x to 1.31x; likely better, P(better) > 99 %, not shown as all "
            f"comparisons of the rounds share the 5 %, about 7 more rounds would tell): {CONFIGURATION}",
        ),
        (
            {"said": "untold", "probability": 0.6, "ratio_range": None},
            f"1.24x the best default (not told apart from it so far, P(better) 60 %): {CONFIGURATION}",
        ),
        (
            {"is_baseline": True},
            f"1.24x the best default (95 %: 1.18x to 1.31x): {CONFIGURATION}, the baseline",
        ),
        (
            {"said": "plan", "ratio": 1.0, "ratio_range": None},
            "it is the best default itself: an engine as its documentation starts it",
        ),
    ],
)
def test_the_plan_is_told_beside_the_best_default(changes: dict[str, Any], words: str) -> None:
    assert default_words(confirmed(default=build_default(**changes))) == words


def test_a_plan_whose_baseline_is_out_says_why_and_by_how_much() -> None:
    why = "the baseline misses a limit: its p99 latency is not shown to be within 60.0 ms"
    plan = confirmed(verdict="unopposed").model_copy(
        update={"gain": None, "gain_range": None, "no_gain": why}
    )
    assert verdict_sentence(plan) == f"There was no baseline to beat: {why}. Confirmed in 3 rounds."
    assert gain_words(plan) == f"none: {why}"
    assert gain_words(build_plan()) == "3.00x (95 %: 2.80x to 3.20x)"
    assert gain_words(build_plan(gain=None, gain_range=None, baseline=None)) == "unknown"


def test_where_no_default_meets_the_limits_the_nearest_is_told_without_a_ratio() -> None:
    missed = "misses the limit of 60.0 ms on p99 latency by 340.0%"
    default = build_default(ratio=None, ratio_range=None, said="out", missed=missed, is_baseline=True)
    words = default_words(confirmed(default=default))
    assert words == f"none that meets the limits; the nearest {missed}: {CONFIGURATION}, the baseline"


def test_a_baseline_that_was_alone_is_not_called_the_best_of_the_defaults() -> None:
    default = build_default(said="plan", ratio=1.0, ratio_range=None)
    words = default_words(confirmed(verdict="baseline", rivals=(), default=default))
    assert words == "it is a default itself: an engine as its documentation starts it"


def test_defaults_that_may_be_better_and_were_not_measured_are_named() -> None:
    seen = build_plan().configuration
    unseen = (seen, replace(seen, precision="int8-dynamic"))
    words = default_words(confirmed(default=build_default(unseen=unseen)))
    assert words.startswith("1.24x the best default that was measured (")
    assert words.endswith(
        "; not measured, and may be better: fake fp32, fake int8-dynamic (more time would see them: "
        "budget.minutes)"
    )
    own = build_default(said="plan", ratio=1.0, ratio_range=None, unseen=unseen[1:])
    assert default_words(confirmed(default=own)) == (
        "it is the best default that was measured itself: an engine as its documentation starts it; "
        "not measured, and may be better: fake int8-dynamic (more time would see them: budget.minutes)"
    )


def test_an_unconfirmed_plan_stands_beside_the_default_by_the_searchs_figures() -> None:
    default: Default = build_default(said="untold", probability=None, ratio_range=None)
    words = default_words(confirmed(verdict="unconfirmed", default=default))
    assert words == f"1.24x the best default (by the search's own figures): {CONFIGURATION}"


def test_a_document_that_knows_no_default_says_nothing_of_one() -> None:
    assert default_words(confirmed(default=None)) == ""


def test_finalists_that_may_be_as_good_are_told_with_their_odds() -> None:
    assert list(rival_sentences(build_plan())) == [
        "not told apart from it so far: 2 x 1 threads, spread, sockets 0, fake fp32, at 0.990x (P(worse) "
        "71 %; about 4 more rounds would tell)",
        "likely worse (93 %): 2 x 5 threads, close, sockets 0, fake fp32, at 0.940x; about 2 more rounds "
        "would show it",
    ]


def test_finalists_of_an_older_document_are_told_without_odds() -> None:
    unknown = {"probability": None, "more_rounds": None}
    rivals = tuple(rival.model_copy(update=unknown) for rival in build_plan().confirmation.rivals)
    assert list(rival_sentences(confirmed(rivals=rivals))) == [
        "not told apart from it so far: 2 x 1 threads, spread, sockets 0, fake fp32, at 0.990x",
        "likely worse: 2 x 5 threads, close, sockets 0, fake fp32, at 0.940x",
    ]


@pytest.mark.parametrize(
    ("ratio", "why"),
    [
        (0.99, ""),
        (1.014, "within 2 % (confirm.tie) the plan is what needs fewer cores, knobs or less memory"),
        (1.3, "the plan is less likely to be worse than what people start today"),
    ],
)
def test_a_finalist_with_the_higher_estimate_is_told_with_why_it_is_not_the_plan(
    ratio: float, why: str
) -> None:
    rival = build_plan().confirmation.rivals[0].model_copy(update={"ratio": ratio})
    plan = confirmed(rivals=(rival,)).model_copy(
        update={"study": PlanStudy(name="s", spec={"confirm": {"tie": 0.02}})}
    )
    (sentence,) = rival_sentences(plan)
    assert sentence.partition("; about 4 more rounds would tell)")[2] == (f"; {why}" if why else "")


def test_a_finalist_that_needs_fewer_cores_is_not_said_to_need_more() -> None:
    """Seen: a plan on two cores beside one core's 1.006x was `what needs fewer cores`."""
    rival = build_plan().confirmation.rivals[0].model_copy(update={"ratio": 1.006, "cores": 1})
    charge = Charge(per_million=1.0, currency="USD", cores=2)
    plan = confirmed(rivals=(rival,))
    plan = plan.model_copy(
        update={
            "study": PlanStudy(name="s", spec={"confirm": {"tie": 0.02}}),
            "estimate": plan.estimate.model_copy(update={"charge": charge}),
        }
    )
    (sentence,) = rival_sentences(plan)
    assert "fewer cores" not in sentence
    assert "; the plan was ahead before luck was taken off its figures, or" in sentence


def test_a_plan_that_is_the_best_default_is_not_said_to_be_so_for_needing_less() -> None:
    rival = build_plan().confirmation.rivals[0].model_copy(update={"ratio": 1.006})
    default = build_default(said="plan", ratio=1.0, ratio_range=None)
    plan = confirmed(rivals=(rival,), default=default).model_copy(
        update={"study": PlanStudy(name="s", spec={"confirm": {"tie": 0.02}})}
    )
    (sentence,) = rival_sentences(plan)
    assert sentence.endswith("; the plan is less likely to be worse than what people start today")


def test_where_the_time_went_is_told_without_what_took_none() -> None:
    assert spent_words(build_plan()) == (
        "preparing 48 s, looking 12 s, loading 21 s, warming up 14 s, measuring 39 s, waiting 6 s"
    )
    spent = Spent(preparing_s=47.6, measuring_s=39.4, waiting_s=0.4)
    assert spent_words(confirmed(spent=spent)) == "preparing 48 s, measuring 39 s"
    assert spent_words(confirmed(spent=None)) == ""


def test_what_was_not_tried_is_told_with_the_minutes_that_would_hold_it() -> None:
    missing = (
        Unprepared(backend="openvino", precision="int8-static", seconds=55.0),
        Unprepared(model="path:bert", backend="jax", precision="fp32", seconds=100.0),
    )
    assert unprepared_words(confirmed(unprepared=missing)) == (
        "openvino int8-static (about 55 s), jax fp32 path:bert (about 100 s); a budget of about 8 minutes "
        "would hold them (budget.minutes)"
    )
    assert unprepared_words(confirmed(unprepared=())) == ""


@pytest.mark.parametrize(
    ("spec", "spent", "words"),
    [
        (
            {"budget": {"minutes": None}},
            Spent(measuring_s=120.0),
            "; a budget of about 3 minutes would hold it",
        ),
        ({"budget": "long"}, None, ""),
        ({}, None, ""),
    ],
)
def test_the_minutes_are_those_that_were_spent_where_no_budget_was_given(
    spec: dict[str, Any], spent: Spent | None, words: str
) -> None:
    plan = confirmed(spent=spent).model_copy(update={"study": PlanStudy(name="s", spec=spec)})
    assert (
        unprepared_words(plan)
        == f"openvino int8-static (about 55 s){words}{' (budget.minutes)' if words else ''}"
    )


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0.0, "< 1 %"), (0.01, "1 %"), (0.714, "71 %"), (0.99, "99 %"), (0.9999, "> 99 %"), (1.0, "> 99 %")],
)
def test_no_probability_claims_to_be_certain(probability: float, text: str) -> None:
    assert format_probability(probability) == text


@pytest.mark.parametrize("verdict", EVERY_VERDICT)
def test_nothing_is_called_indistinguishable(verdict: str) -> None:
    plan = confirmed(verdict=verdict)
    said = " ".join([verdict_sentence(plan), default_words(plan), *rival_sentences(plan)])
    assert "distinguishable" not in said
