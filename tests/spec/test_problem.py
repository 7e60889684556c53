"""A problem may be a distribution of lengths, or texts; what contradicts itself is refused in words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from autotune.errors import StudyFileError
from autotune.spec.load import parse_study
from autotune.spec.problem import Problem, problem_in_words
from autotune.spec.study import StudySpec

LOGNORMAL = {"lognormal": {"median": 24, "sigma": 0.5, "max": 128}}
TWO = {"values": [16, 128]}


def study(problem: dict[str, Any], **more: Any) -> StudySpec:
    values = {"model": "random:bert-base", "problem": {"batch_size": 8, **problem}, **more}
    return parse_study(json.dumps(values), name="x")


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ({"sequence_length": 128}, "batch 8 x 128 tokens"),
        ({"lengths": TWO}, "batch 8, lengths 16, 128"),
        ({"lengths": {**TWO, "weights": [5, 0.5]}}, "batch 8, lengths 16, 128 in parts 5:0.5"),
        ({"lengths": LOGNORMAL}, "batch 8, log-normal lengths of median 24, sigma 0.5, at most 128"),
        ({"lengths": {"file": "a.txt"}, "max_length": 64}, "batch 8, lengths of a.txt, at most 64 tokens"),
        (
            {"texts": "a", "include": "tokenization", "cache": {"hit_rate": 0.4}},
            "batch 8, texts of a, tokenization included, a response cache with 40 % hits in each instance",
        ),
        (
            {"texts": "a.txt", "cache": {"size": 1000}},
            "batch 8, texts of a.txt, a response cache of 1000 answers in each instance",
        ),
    ],
    ids=str,
)
def test_a_problem_is_told_in_words(problem: dict[str, Any], words: str) -> None:
    assert problem_in_words(study(problem).problem) == words


def test_a_long_list_of_lengths_is_told_by_its_beginning() -> None:
    told = problem_in_words(study({"lengths": {"values": [*range(1, 100)]}}).problem)
    assert told == "batch 8, lengths 1, 2, 3, 4, 5, 6, ..."


@pytest.mark.parametrize(
    ("problem", "place", "words"),
    [
        ({"sequence_length": 8, "lengths": TWO}, "problem.sequence_length", "both say how long"),
        ({"texts": "a.txt", "lengths": TWO}, "problem.texts", "both say how long"),
        ({"sequence_length": 8, "max_length": 8}, "problem.max_length", "leave max_length out"),
        ({"sequence_length": 8, "cache": {"hit_rate": 0.4}}, "problem.cache", r"{values: \[8\]}"),
        ({"lengths": {}}, "problem.lengths", "none of them"),
        ({"lengths": {**TWO, "file": "a"}}, "problem.lengths", "both values and file"),
        ({"lengths": {**TWO, "weights": [1]}}, "problem.lengths.weights", "1 weights do not fit 2 values"),
        ({"lengths": {"weights": [1], "file": "a"}}, "problem.lengths.weights", "there are no values"),
        ({"lengths": {"valeus": [1]}}, "problem.lengths.valeus", "did you mean values?"),
        ({"lengths": {"values": [16, 600]}}, "problem.lengths", "600 tokens .* at most 512"),
        ({"lengths": TWO, "max_length": 600}, "problem.max_length", "600 tokens .* at most 512"),
        (
            {"lengths": {"lognormal": {"median": 24, "sigma": -0.5, "max": 128}}},
            "problem.lengths.lognormal.sigma",
            "-0.5 is not allowed: write a number above 0 to 5",
        ),
        (
            {"lengths": {"lognormal": {"median": 24, "sigma": 0.5, "max": 8}}},
            "problem.lengths.lognormal.max",
            "8 cuts more than half .* 24",
        ),
        ({"lengths": TWO, "include": "tokenization"}, "problem.include", "needs texts"),
        ({"lengths": TWO, "cache": {"size": 9}}, "problem.cache.size", "do not tell which"),
        ({"texts": "a", "cache": {"hit_rate": 1.4}}, "problem.cache.hit_rate", "1.4 is not allowed"),
        ({"texts": "a", "cache": {"hit_rate": 0.1, "size": 9}}, "problem.cache", "both of them"),
    ],
    ids=str,
)
def test_what_contradicts_itself_is_refused_with_its_place(
    problem: dict[str, Any], place: str, words: str
) -> None:
    with pytest.raises(StudyFileError, match=words) as caught:
        study(problem)
    assert f"{place}:" in str(caught.value)


@pytest.mark.parametrize("key", ["lengths", "texts"])
def test_a_key_without_a_value_does_not_ask_for_another_one(key: str) -> None:
    with pytest.raises(StudyFileError, match="no value: write") as caught:
        study({key: None})
    assert caught.value.path == f"problem.{key}"


@pytest.mark.parametrize(
    ("more", "place", "words"),
    [
        ({"problem": {"sequence_length": 8}, "search": {"padding": "none"}}, "search.padding", "one length"),
        ({"search": {"batching": "sorted"}, "objective": "latency"}, "search.batching", "arrival"),
        ({"search": {"padding": "max", "batching": "sorted"}}, "search.batching", "saves nothing"),
        (
            {"problem": {"lengths": TWO, "cache": {"hit_rate": 0.4}}, "objective": "latency"},
            "problem.cache",
            "a cache of its own",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_arranged_is_refused(more: dict[str, Any], place: str, words: str) -> None:
    with pytest.raises(StudyFileError, match=words) as caught:
        study(**{"problem": {"lengths": TWO}, **more})
    assert f"{place}" in str(caught.value)


def test_lists_of_paddings_and_batchings_are_searched() -> None:
    search = study({"lengths": TWO}, search={"padding": ["none"], "batching": ["arrival", "tokens"]}).search
    assert (search.padding, search.batching) == (("none",), ("arrival", "tokens"))


@pytest.mark.parametrize(
    ("problem", "longest"),
    [
        ({"sequence_length": 128}, 128),
        ({"lengths": TWO}, 128),
        ({"lengths": TWO, "max_length": 256}, 256),
        ({"lengths": LOGNORMAL}, 128),
        ({"lengths": {"file": "a.txt"}}, None),
        ({"texts": "a.txt"}, None),
        ({"texts": "a.txt", "max_length": 64}, 64),
    ],
    ids=str,
)
def test_the_longest_sequence_is_known_as_far_as_the_study_tells(
    problem: dict[str, Any], longest: int | None
) -> None:
    assert study(problem).problem.longest == longest


def test_a_problem_from_before_there_were_distributions_is_still_one() -> None:
    old = Problem.model_validate_json('{"batch_size": 8, "sequence_length": 128}')
    assert old == study({"sequence_length": 128}).problem
    assert not old.is_stream
