"""What is asked of a scenario follows from how it answers the questions."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from autotune.errors import StudyFileError
from autotune.spec.aim import KINDS, Aim
from autotune.spec.load import parse_study
from autotune.spec.scenario import SCENARIOS, Scenario, Traits, scenarios_in_words, traits_of
from autotune.spec.schema import study_schema

LIMIT = {"latency": {"p99": "50ms"}}


def study(scenario: Scenario, **more: Any) -> Any:
    values = {"model": "random:minilm-l6", "problem": {"batch_size": 2, "sequence_length": 8}}
    return parse_study(json.dumps({**values, "scenario": scenario, **more}), name="s")


def test_the_schema_says_of_every_scenario_what_happens_in_it() -> None:
    described = study_schema()["properties"]["scenario"]
    assert {*described["enum"]} == {*get_args(Scenario)} == {*SCENARIOS}
    assert scenarios_in_words() in described["description"]
    assert all(f"`{name}`: {traits.words}." in scenarios_in_words() for name, traits in SCENARIOS.items())


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_limit_of_latency_is_needed_where_a_rate_is_sought_alone(scenario: Scenario) -> None:
    assert study(scenario, limits=LIMIT).scenario == scenario
    if traits_of(scenario).seeks_rate:
        with pytest.raises(StudyFileError, match=f"scenario {scenario} seeks the highest rate"):
            study(scenario)
    else:
        assert study(scenario).limits.latency is None


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_more_instances_than_sequences_are_refused_where_requests_are_split_alone(scenario: Scenario) -> None:
    if traits_of(scenario).is_split:
        with pytest.raises(StudyFileError, match=f"in scenario {scenario} each gets at least one"):
            study(scenario, search={"instances": [3]})
    else:
        assert study(scenario, limits=LIMIT, search={"instances": [3]}).search.instances == (3,)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_requests_are_sorted_where_all_are_at_hand_alone(scenario: Scenario) -> None:
    more: dict[str, Any] = {
        "problem": {"batch_size": 2, "lengths": {"values": [8, 16]}},
        "search": {"batching": ["sorted"]},
        "limits": LIMIT,
    }
    if traits_of(scenario).has_all_at_hand:
        assert study(scenario, **more).search.batching == ("sorted",)
    else:
        with pytest.raises(StudyFileError, match=f"which scenario {scenario} does not have at hand"):
            study(scenario, **more)


def test_a_scenario_that_is_none_hides_no_other_fault() -> None:
    unknown: Any = "foo"
    words = r"(?s)2 faults.*scenario: 'foo'.*search\.padding: every sequence is of one length"
    with pytest.raises(StudyFileError, match=words):
        study(unknown, search={"padding": ["none"]})
    lengths = {"batch_size": 2, "lengths": {"values": [8, 16]}}
    with pytest.raises(StudyFileError, match="scenario: 'foo'") as caught:
        study(unknown, problem=lengths, search={"batching": ["sorted"]})
    assert "at hand" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_an_objectives_usual_scenario_is_among_those_in_which_it_means_something(kind: Any) -> None:
    assert Aim(kind=kind).usual_scenario in Aim(kind=kind).scenarios


def test_where_requests_arrive_a_rate_is_sought_and_blocks_are_parts_of_one_run() -> None:
    arriving, waiting = Traits("they arrive", has_arrivals=True), Traits("they wait")
    assert arriving.seeks_rate
    assert arriving.is_one_run
    assert not waiting.seeks_rate
    assert not waiting.is_one_run
