"""Which paddings and batchings are tried, and by which engines."""

from __future__ import annotations

import json
from typing import Any

import pytest

from autotune.errors import PlacementError, StudyFileError
from autotune.search.serving import compilable_in_words, is_compilable, require_serving, servings
from autotune.spec.configuration import Configuration
from autotune.spec.load import parse_study
from autotune.spec.study import StudySpec

TWO = {"values": [16, 128]}
PLAIN = Configuration(1, 1, "close", "0", smt=False, backend="fake", precision="fp32")


def study(problem: dict[str, Any] | None = None, **more: Any) -> StudySpec:
    values = {"problem": {"batch_size": 8, "lengths": TWO, **(problem or {})}, **more}
    return parse_study(json.dumps({"model": "fake:m.json", **values}), name="x")


def alike() -> StudySpec:
    """A study of one length."""
    values = {"model": "fake:m.json", "problem": {"batch_size": 1, "sequence_length": 8}}
    return parse_study(json.dumps(values), name="x")


def arranged(padding: Any, batching: Any) -> Configuration:
    return Configuration.from_parameters({**PLAIN.parameters(), "padding": padding, "batching": batching})


def test_every_padding_goes_with_every_batching_but_that_nothing_is_sorted_for_the_longest() -> None:
    found = servings(study())
    assert len(set(found)) == len(found) == 7
    assert [batching for padding, batching in found if padding == "max"] == ["arrival"]


def test_requests_of_one_length_are_not_arranged() -> None:
    assert servings(alike()) == (("", ""),)


def test_a_list_of_one_length_leaves_one_way() -> None:
    assert servings(study({"lengths": {"values": [16]}})) == (("max", "arrival"),)


def test_requests_of_one_sequence_are_not_sorted() -> None:
    assert "sorted" not in {batching for _, batching in servings(study({"batch_size": 1}))}
    with pytest.raises(StudyFileError, match="no difference"):
        servings(study({"batch_size": 1}, search={"batching": "sorted"}))


@pytest.mark.parametrize(
    "more",
    [{"objective": "latency"}, {"scenario": "server", "limits": {"latency": {"p99": "50ms"}}}],
    ids=["single_stream", "server"],
)
def test_only_offline_puts_sequences_of_several_requests_together(more: dict[str, Any]) -> None:
    assert {batching for _, batching in servings(study(**more))} == {"arrival"}


def test_a_study_narrows_both() -> None:
    assert servings(study(search={"padding": "none", "batching": ["sorted", "tokens"]})) == (
        ("none", "sorted"),
        ("none", "tokens"),
    )


def test_an_engine_that_compiles_for_shapes_needs_few_of_them() -> None:
    lognormal = study({"lengths": {"lognormal": {"median": 24, "sigma": 0.5, "max": 128}}})
    compiled = [way for way in servings(lognormal) if is_compilable(lognormal, way)]
    assert compiled == [("bucket", "sorted"), ("bucket", "arrival"), ("max", "arrival")]
    assert is_compilable(study(), ("none", "arrival"))
    cached = study({"cache": {"hit_rate": 0.4}})
    assert not any(is_compilable(cached, way) for way in servings(cached))


def test_what_it_does_not_try_is_told() -> None:
    assert "none and tokens" in str(compilable_in_words("jax", study()))
    assert compilable_in_words("jax", study(search={"padding": "max"})) is None
    told = str(compilable_in_words("jax", study({"cache": {"hit_rate": 0.4}})))
    assert told == "jax compiles for every shape of request, and these have more than 16"


@pytest.mark.parametrize(
    ("configuration", "spec", "words"),
    [
        (PLAIN, study(), "does not say how"),
        (arranged("none", "sorted"), study(objective="latency"), "sorted makes nothing"),
    ],
)
def test_a_configuration_must_say_how_sequences_share_requests(
    configuration: Configuration, spec: StudySpec, words: str
) -> None:
    with pytest.raises(PlacementError, match=words):
        require_serving(configuration, spec)


def test_a_configuration_may_not_arrange_what_is_all_alike() -> None:
    with pytest.raises(PlacementError, match="all alike"):
        require_serving(arranged("none", "arrival"), alike())
