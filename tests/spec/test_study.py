from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from autotune.model.architectures import ARCHITECTURES
from autotune.spec.aim import Aim
from autotune.spec.configuration import POLICIES
from autotune.spec.model_kind import MAX_TOKENS
from autotune.spec.problem import Problem
from autotune.spec.study import Budget, Limits, Measure, Search, SearchedPolicy, StudySpec

LEAST: dict[str, Any] = {
    "name": "s",
    "model": "fake:m.json",
    "problem": {"batch_size": 4, "sequence_length": 8},
}


def choices(element: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.just("auto") | st.lists(element, min_size=1, max_size=4, unique=True).map(tuple)


SPECS = st.builds(
    StudySpec,
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True),
    model=st.sampled_from(["fake:m.json", "random:bert-base", "hf:a/b@c"]),
    problem=st.builds(Problem, batch_size=st.integers(100, 65_536), sequence_length=st.integers(1, 512)),
    objective=st.builds(Aim, kind=st.sampled_from(["throughput", "latency"]), percentile=st.floats(1, 99.99)),
    limits=st.builds(Limits, memory_bytes=st.none() | st.integers(1, 2**50)),
    search=st.builds(
        Search,
        backends=choices(st.sampled_from(["pytorch", "onnxruntime", "fake"])),
        instances=choices(st.integers(1, 100)),
        placements=choices(st.sampled_from(POLICIES)),
        sockets=choices(st.sampled_from(["0", "1", "0-1", "0,2"])),
    ),
    budget=st.builds(Budget, trials=st.none() | st.integers(1, 100), minutes=st.none() | st.floats(0.1, 100)),
)


@given(SPECS)
def test_a_study_comes_back_from_what_is_stored_of_it(spec: StudySpec) -> None:
    assert StudySpec.model_validate(spec.model_dump(mode="json")) == spec
    assert StudySpec.model_validate(spec.model_dump()) == spec
    assert StudySpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "bert"},
        {"model": "random:bert-base", "problem": {"batch_size": 1, "sequence_length": 513}},
        {"objective": {"kind": "latency"}, "search": {"instances": (5,)}},
        {"measure": {"block_s": 100.0, "blocks": 2, "trial_timeout_s": 200.0}},
        {"limits": {"latency": {"percentile": 99, "max_s": 180.0}}},
        {"search": {"sockets": ("1-0",)}},
        {"search": {"instances": (1, 1)}},
        {"search": {"instances": ()}},
        {"budget": {"minutes": float("nan")}},
        {"nmae": "x"},
    ],
    ids=str,
)
def test_a_study_made_in_python_is_held_to_the_same_rules(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        StudySpec.model_validate(LEAST | wrong)


def test_the_objective_suggests_the_scenario() -> None:
    throughput = StudySpec.model_validate(LEAST)
    latency = StudySpec.model_validate(LEAST | {"objective": Aim(kind="latency")})
    assert (throughput.scenario, latency.scenario) == ("offline", "single_stream")


def test_equal_sets_of_sockets_are_equal_texts() -> None:
    assert Search(sockets=("1,0", "2")).sockets == ("0-1", "2")


def test_the_default_measure_fits_its_own_time_limit() -> None:
    measure = Measure()
    assert measure.warmup_s + measure.blocks * measure.block_s < measure.trial_timeout_s


def test_every_policy_but_the_baselines_can_be_searched() -> None:
    assert get_args(SearchedPolicy) == POLICIES


def test_studies_know_the_architectures_that_random_weights_can_be_made_for() -> None:
    assert set(MAX_TOKENS) == set(ARCHITECTURES)
    for name, architecture in ARCHITECTURES.items():
        # RoBERTa numbers its positions from 2, its padding index plus one.
        reserved = 2 if architecture.model_type == "roberta" else 0
        assert MAX_TOKENS[name] == architecture.config["max_position_embeddings"] - reserved
