from __future__ import annotations

import pytest

from autotune.model.assessment import EXEMPT, Assessment, LabelledScore
from autotune.plan.describe import describe
from autotune.testing.plans import build_commands, build_plan

LONG = "The kernel did this and that, and a great many other things, which all made the figures less sure."


def test_a_description_shows_configuration_placement_evidence_and_provenance() -> None:
    text = describe(build_plan(build_commands(2, threads=4)))
    for expected in (
        "quickstart-7f3a9c",
        "fake, fp32",
        "throughput 30.0 samples/s, 3.00x (95 %: 2.80x to 3.20x) better than",
        "29.4 to 30.6 samples/s",
        "267 ms (<= 293 ms)",
        "1         4-7   0",
        "latency p99    needs 662 requests",
        "300.0 MiB",
        "trial 7",
        "autotune 0.1.0, python 3.11.9",
    ):
        assert expected in text


def test_requests_of_texts_are_told_by_their_file_with_what_was_found_of_it() -> None:
    plan = build_plan()
    problem = {"batch_size": 2, "texts": {"path": "texts.txt"}, "texts_digest": "5e" * 32}
    study = plan.study.model_copy(update={"spec": {**plan.study.spec, "problem": problem}})
    assert "batch 2, texts of texts.txt, offline" in describe(plan.model_copy(update={"study": study}))


def test_a_description_says_how_the_plan_was_confirmed_and_against_whom() -> None:
    text = " ".join(describe(build_plan()).split())
    for expected in (
        "It beats the baseline with 95 % confidence, in 3 rounds of fresh processes.",
        "The search had measured 30.9 samples/s: +3.0 % against what was confirmed.",
        "reached 1.004x of it (95 %: 0.98x to 1.03x)",
        "2 of 47 blocks were disturbed and not counted. Blocks of one launch vary by 1.2 %",
        "spread fake fp32 0.990x tied 71 %",
        "close fake fp32 0.940x likely worse 93 %",
        "close fake fp32 0.800x worse > 99 %",
        "default 1.24x the best default (95 %: 1.18x to 1.31x): 1 x default threads, unpinned, sockets 0, "
        "fake int8-dynamic",
        "time preparing 48 s, looking 12 s, loading 21 s, warming up 14 s, measuring 39 s, waiting 6 s",
        "not tried as preparing it would not have fitted: openvino int8-static (about 55 s); a budget of "
        "about 6 minutes would hold it (budget.minutes)",
    ):
        assert expected in text


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("baseline", "No finalist was surely enough better than the baseline"),
        ("unopposed", "There was no baseline to beat"),
        ("unconfirmed", "Not confirmed: the figures are the search's own"),
    ],
)
def test_a_plan_that_beats_nothing_says_so(verdict: str, words: str) -> None:
    plan = build_plan()
    changed = plan.confirmation.model_copy(update={"verdict": verdict})
    assert words in " ".join(describe(plan.model_copy(update={"confirmation": changed})).split())


def test_a_baseline_that_was_alone_is_not_said_to_have_been_beaten_by_nothing() -> None:
    plan = build_plan()
    changed = plan.confirmation.model_copy(update={"verdict": "baseline", "rivals": ()})
    text = " ".join(describe(plan.model_copy(update={"confirmation": changed})).split())
    assert "Nothing else was there to be compared with the baseline" in text
    assert "No finalist" not in text


def test_an_older_plan_says_nothing_of_what_it_does_not_know() -> None:
    plan = build_plan()
    rivals = tuple(
        rival.model_copy(update={"probability": None, "more_rounds": None})
        for rival in plan.confirmation.rivals
    )
    unknown = {"default": None, "spent": None, "unprepared": (), "probability": None, "correction": ""}
    done = plan.confirmation.model_copy(update={**unknown, "rivals": rivals})
    text = describe(plan.model_copy(update={"confirmation": done}))
    for word in ("best default", "P(worse)", "search\n", "not tried", "None"):
        assert word not in text
    assert "0.990x  tied" in text


def test_a_description_says_how_near_the_answers_are() -> None:
    labelled = LabelledScore("f1", rows=200, reference=0.9, value=0.895)
    quality = Assessment("texts", 32, "", 0.9961, 0.9921, 0.052, top1=0.98, labelled=labelled)
    text = describe(build_plan(quality=quality))
    for expected in (
        "compared on  32 texts, with the fp32 reference's answers",
        "cosine       0.9961, least 0.9921",
        "largest      difference 5.20% of the reference's largest number",
        "the same class in 98.0%",
        "0.8950, the reference's 0.9000: a drop of 0.0050 on 200 rows",
    ):
        assert expected in text
    assert "nothing: a fake model computes no answers" in describe(build_plan(quality=EXEMPT))
    assert "compared on" not in describe(build_plan())


def test_a_description_fits_a_terminal() -> None:
    versions = {f"library-{index}": "1.2.3" for index in range(20)}
    text = describe(build_plan(warnings=(LONG,), versions=versions))
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("warnings", [(), (LONG,)])
def test_warnings_are_shown_if_there_are_any(warnings: tuple[str, ...]) -> None:
    text = " ".join(describe(build_plan(warnings=warnings)).split())
    assert ("warnings" in text) == bool(warnings)
    assert (LONG in text) == bool(warnings)


def test_a_plan_without_baseline_says_so() -> None:
    text = describe(build_plan(baseline=None, gain=None))
    assert "no baseline to compare with" in text


def test_a_latency_is_shown_in_milliseconds() -> None:
    assert "latency_p90 30000 ms" in describe(build_plan(objective="latency_p90"))


def test_a_percentile_that_the_requests_do_not_support_is_no_figure() -> None:
    plan = build_plan(objective="latency_p99")
    missing = plan.estimate.latency(99)
    assert missing is not None
    assert missing.value_s is None
    text = describe(plan)
    assert f"latency_p99 unknown (it takes {missing.needed} requests; of {plan.estimate.requests}," in text
    assert "95 % interval  unknown" in text
    assert "The search had measured" not in text


def test_unpinned_instances_may_run_anywhere() -> None:
    assert "0         any   any" in describe(build_plan(build_commands(1, pinned=False)))
