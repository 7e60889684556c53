"""The page: what it says, that it is escaped, and that it needs nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest

from autotune.machine.cpus import format_cpu_list
from autotune.model.assessment import Assessment
from autotune.plan.claims import format_probability
from autotune.plan.document import Plan
from autotune.plan.evidence import Range
from autotune.report.dossier import Dossier
from autotune.report.figures.catalogue import NAMES, draw_all
from autotune.report.figures.picture import Missing, Picture
from autotune.report.page import page
from autotune.testing.plans import build_commands, build_plan

VOID = {"meta", "link", "br", "img", "hr", "input"}
LOADING = {"src", "href", "data", "poster", "srcset", "action", "xlink:href", "background"}


class Reader(HTMLParser):
    """Reads a page: its elements, its text outside of styles, whether it is well nested."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.styles: list[str] = []
        self.rows: list[list[str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            self.styles.append(data)
        else:
            self.text.append(data)
        if "tr" in self._open and ("td" in self._open or "th" in self._open):
            self.rows[-1][-1] += data

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def read(dossier: Dossier) -> Reader:
    return Reader(page(dossier, draw_all(dossier)))


def alone(**changes: Any) -> Reader:
    return read(Dossier(build_plan(**changes)))


@pytest.fixture(scope="module")
def reader(rich_page: str) -> Reader:
    return Reader(rich_page)


def test_the_page_loads_nothing(reader: Reader) -> None:
    targets = [
        value for _, attributes in reader.elements for name, value in attributes.items() if name in LOADING
    ]
    assert targets
    assert all(target.startswith("#") or target == "data:," for target in targets)
    styles = " ".join([*reader.styles, *(attributes.get("style", "") for _, attributes in reader.elements)])
    assert "@import" not in styles
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", styles))
    assert {tag for tag, _ in reader.elements}.isdisjoint({"script", "iframe", "object", "embed", "img"})


def test_a_policy_in_the_page_forbids_to_load_anything(reader: Reader) -> None:
    (policy,) = (one["content"] for one in reader.named("meta") if one.get("http-equiv"))
    assert "default-src 'none'" in policy


def test_every_figure_is_inlined_with_a_name_for_those_who_do_not_see_it(
    reader: Reader, pictures: tuple[Picture | Missing, ...]
) -> None:
    drawn = [one.name for one in pictures if isinstance(one, Picture)]
    assert drawn == list(NAMES)
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for name, svg in zip(drawn, (one for one in reader.named("svg")), strict=False):
        assert svg["role"] == "img"
        assert all(label in ids for label in svg["aria-labelledby"].split())
        assert f"figure-{name}" in ids
    references = {
        target.removeprefix("#")
        for _, attributes in reader.elements
        for name in ("href", "xlink:href", "aria-labelledby")
        for target in attributes.get(name, "").split()
        if target.startswith("#") or name == "aria-labelledby"
    }
    assert references <= set(ids)


def test_the_page_says_how_near_the_answers_are() -> None:
    quality = Assessment("random", 32, cosine=0.9961, least_cosine=0.9921, max_difference=0.052)
    assert "32 sequences of random tokens" in alone(quality=quality).words
    assert "0.9961, least 0.9921" in alone(quality=quality).words
    assert "Quality of the answers" not in alone().words


def test_the_headings_form_an_outline(reader: Reader) -> None:
    levels = [int(tag[1]) for tag, _ in reader.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(deeper <= above + 1 for above, deeper in pairwise(levels))


def test_the_page_states_the_plan_with_its_gain_and_how_sure_that_is(reader: Reader, rich: Dossier) -> None:
    span = rich.plan.gain_range
    assert span is not None
    assert f"between {span.low:.1f} and {span.high:.1f} times" in reader.words
    assert rich.plan.id in reader.words
    for index, instance in enumerate(rich.plan.instances):
        nodes = format_cpu_list(instance.memory_nodes)
        assert [str(index), format_cpu_list(instance.cpus), nodes] in reader.rows
    assert "random:distilbert-base" in reader.words
    assert "torch 2.13.0" in reader.words


def test_every_tied_finalist_is_listed(reader: Reader, rich: Dossier) -> None:
    tied = [rival for rival in rich.plan.confirmation.rivals if rival.standing == "tied"]
    assert tied
    for rival in tied:
        assert f"trial {rival.trial}" in reader.words
        row = next(row for row in reader.rows if row[:1] == [f"{rival.trial} tied"])
        assert row[1] == str(rival.configuration)
        assert row[2] == f"{rival.ratio:.3f}x"
        assert rival.probability is not None
        assert row[4] == format_probability(rival.probability)
    numbers = " and ".join(str(rival.trial) for rival in tied)
    named = f"Trial {numbers} is" if len(tied) == 1 else f"Trials {numbers} are"
    assert f"{named} not told apart from the plan so far" in reader.words


def test_nothing_is_said_to_be_as_good_as_a_baseline_that_was_not_beaten() -> None:
    plan = build_plan()
    confirmation = plan.confirmation.model_copy(update={"verdict": "baseline"})
    words = read(Dossier(plan.model_copy(update={"confirmation": confirmation}))).words
    assert "not told apart from the plan so far" in alone().words
    assert "not told apart from the plan so far" not in words


def test_a_finalist_that_is_likely_worse_is_told_with_its_odds() -> None:
    reader = alone()
    assert "Trial 4 is likely worse (93 %)." in reader.words
    row = next(row for row in reader.rows if row[:1] == ["4 likely worse"])
    assert row[2:6] == ["0.940x", "0.88x to 1.01x", "93 %", "about 2"]
    assert "distinguishable" not in reader.words


def test_the_plan_is_shown_beside_the_best_default(reader: Reader, rich: Dossier) -> None:
    default = rich.plan.confirmation.default
    assert default is not None
    assert default.ratio_range is not None
    low, high = default.ratio_range.low, default.ratio_range.high
    told = f"{default.ratio:.2f}x the best default (95 %: {low:.2f}x to {high:.2f}x): {default.configuration}"
    assert f"Beside what people start today: {told}." in reader.words
    assert ["default" in row[0] for row in reader.rows if row[1:2] == [str(default.configuration)]] == [True]


def test_the_page_says_where_the_time_went_and_what_it_did_not_suffice_for(reader: Reader) -> None:
    assert "figure-spent" in {attributes.get("id") for _, attributes in reader.elements}
    assert "openvino int8-static (about 55 s), jax fp32 (about 31 s)" in reader.words
    assert "a budget of about 32 minutes would hold them" in reader.words


def test_every_trial_is_in_the_table_with_its_outcome(reader: Reader, rich: Dossier) -> None:
    words = {row[0].split()[0]: row for row in reader.rows if len(row) == 5 and row[0].split()}
    for trial in rich.trials:
        assert words[str(trial.number)][1] == str(trial.configuration)
    assert "SIGSEGV" in words["7"][4]
    assert "core dumped" in words["7"][4]
    assert "2 cpus were taken away" in words["11"][4]


def test_disturbed_blocks_are_told_with_their_reason(reader: Reader, rich: Dossier) -> None:
    lost = [trial for trial in rich.trials if getattr(trial.result, "dropped", ())]
    assert lost
    for trial in lost:
        assert [
            f"trial {trial.number}",
            "1",
            "not counted: quota, heat or a lost cpu",
            "the CPU quota throttled the trial 3 times",
        ] in reader.rows
    assert ["trial 3", "1", "disturbed, corrected"] in [row[:3] for row in reader.rows]
    assert rich.plan.confirmation.quietness in reader.words
    assert rich.plan.confirmation.correction in reader.words


def test_a_percentile_without_enough_requests_says_how_many_it_takes() -> None:
    reader = alone()
    assert ["latency p99", "needs 662 requests", "needs 662 requests"] in reader.rows
    assert ["latency p50", "267 ms (<= 293 ms)", "800 ms (<= 880 ms)"] in reader.rows


def test_a_plan_alone_shows_what_it_carries_and_says_what_is_missing() -> None:
    reader = alone()
    assert "serves 3.00 times as much as the baseline" in reader.words
    assert "the store, which was not at hand" in reader.words
    assert len(reader.named("svg")) == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"objective": "latency_p99"}, "answers 3.00 times as fast as the baseline (p99 latency)"),
        ({"verdict": "baseline"}, "No finalist was surely enough better than the baseline: the out-of-box"),
        (
            {"verdict": "likely", "probability": 0.93, "more_rounds": 4, "gain": 1.31},
            "It is likely that the plan serves 1.31 times as much as the baseline (93 %): not yet shown.",
        ),
        (
            {"verdict": "likely", "probability": 0.93, "more_rounds": 4},
            "About 4 more rounds would tell (confirm.rounds).",
        ),
        (
            {
                "verdict": "likely",
                "probability": 0.997,
                "gain": 1.1,
                "gain_range": Range(low=1.02, high=1.19),
            },
            "it is between 1.02 and 1.19 times. The interval is of this comparison alone",
        ),
        (
            {"verdict": "tied", "probability": 0.62, "gain": 1.02, "gain_range": Range(low=0.9, high=1.16)},
            "The plan is probably the best, and not told apart from the baseline so far (it is better with "
            "62 %). In these rounds, it serves 1.02 times as much as the baseline. With 95 % confidence it "
            "is between 0.90 and 1.16 times. More rounds would hardly tell.",
        ),
        ({"verdict": "unopposed", "baseline": None, "gain": None}, "there is no baseline to compare it with"),
        (
            {"verdict": "unopposed", "gain": None, "no_gain": "the baseline misses a limit by 340 %"},
            "there is no baseline to compare it with. The baseline misses a limit by 340 %. It reached",
        ),
        (
            {"verdict": "unconfirmed", "gain": None, "no_gain": "the baseline misses a limit by 340 %"},
            "Not confirmed: the search measured 30.0 samples/s. The baseline misses a limit by 340 %.",
        ),
        (
            {"verdict": "unconfirmed"},
            "Not confirmed: by the search's own figures, the plan serves 3.00 times",
        ),
        ({"verdict": "unconfirmed", "gain": None, "baseline": None}, "and has no baseline"),
        ({"gain": 123.4, "gain_range": Range(low=99.5, high=140.0)}, "serves 123 times"),
    ],
)
def test_the_verdict_is_told_in_plain_words(changes: dict[str, Any], words: str) -> None:
    names = {"verdict", "probability", "more_rounds"}
    told = {key: value for key, value in changes.items() if key in names}
    plan = build_plan(**{key: value for key, value in changes.items() if key not in told})
    confirmation = plan.confirmation.model_copy(update=told)
    assert words in read(Dossier(plan.model_copy(update={"confirmation": confirmation}))).words


def test_an_unpinned_plan_that_was_not_confirmed_is_not_said_to_beat_itself() -> None:
    plan = build_plan(build_commands(1, pinned=False), gain=1.0)
    confirmation = plan.confirmation.model_copy(update={"verdict": "unconfirmed"})
    words = read(Dossier(plan.model_copy(update={"confirmation": confirmation}))).words
    assert "nothing better than the out-of-box configuration" in words
    assert "serves" not in words


@pytest.mark.parametrize("confirms", [True, False])
def test_the_page_of_a_study_whose_defaults_miss_a_limit_states_no_ratio_to_any(
    dossier_of: Callable[..., Dossier], confirms: bool
) -> None:
    limits = {"limits": {"latency": {"percentile": 90.0, "max_s": 0.2}}}
    dossier = dossier_of(spec_values=limits, baseline_seconds=5.0, confirms=confirms)
    assert dossier.plan.gain is None
    assert dossier.plan.baseline is not None
    default = dossier.plan.confirmation.default
    assert default is not None
    assert (default.ratio, default.said) == (None, "out")
    reader = read(dossier)
    assert "The baseline misses" in reader.words
    assert "none that meets the limits; the nearest misses" in reader.words
    assert "as the baseline" not in reader.words
    trials = reader.rows.index(["trial", "configuration", "score", "gain", "outcome"])
    assert {row[3] for row in reader.rows[trials + 1 :]} == {""}


EVIL = '<script>alert("x")</script><img src=http://example.invalid/x> $a$ \x1b[31m\x00 \ud800'


def evil_plan() -> Plan:
    plan = build_plan(
        warnings=(EVIL,),
        model={"source": EVIL, "digest": EVIL, "artifact": EVIL},
        versions={EVIL: EVIL},
        machine={"model_name": EVIL, "allowed": "0-1", "cores": ["0", "1"]},
        study={"name": EVIL, "spec": {EVIL: EVIL, "problem": {"batch_size": EVIL}, "limits": EVIL}},
    )
    rivals = tuple(
        rival.model_copy(update={"reason": EVIL, "standing": "failed", "ratio": None})
        for rival in plan.confirmation.rivals
    )
    done = plan.confirmation.model_copy(update={"quietness": EVIL, "rivals": rivals})
    return plan.model_copy(update={"confirmation": done})


def test_texts_of_others_are_shown_and_never_obeyed() -> None:
    reader = read(Dossier(evil_plan()))
    assert {"script", "img"}.isdisjoint({tag for tag, _ in reader.elements})
    assert reader.words.count('<script>alert("x")</script>') > 5
    assert "\\x1b[31m\\x00 \\xd800" in reader.words


def test_a_page_can_always_be_encoded() -> None:
    dossier = Dossier(evil_plan())
    text = page(dossier, draw_all(dossier))
    assert text.encode().decode() == text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text)


def test_trials_after_the_plan_are_counted_and_not_shown(rich: Dossier) -> None:
    words = read(replace(rich, trials=rich.trials[:20], runs=(), later=40)).words
    assert "40 later trials" in words


def test_the_same_values_give_the_same_page(rich: Dossier, rich_page: str) -> None:
    assert page(rich, draw_all(rich)) == rich_page
