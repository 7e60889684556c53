"""A study that came as JSON is read as its file would be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from autotune.errors import StudyFileError
from autotune.spec.json_document import study_of_json
from autotune.spec.load import parse_study

STUDY: dict[str, Any] = {
    "name": "small",
    "model": "fake:model.json",
    "problem": {"batch_size": 1, "sequence_length": 8},
    "objective": {"latency": "p99"},
    "limits": {"latency": {"p99": "20ms"}},
    "budget": {"minutes": 1e-1, "trials": "unlimited"},
}


@pytest.mark.parametrize("name", ["small", ""])
def test_json_means_what_the_same_yaml_means(name: str) -> None:
    assert study_of_json(STUDY, name=name) == parse_study(json.dumps(STUDY), name="other")


def test_all_values_of_a_study_are_taken_as_they_are() -> None:
    spec = study_of_json(STUDY)
    assert study_of_json(spec.model_dump(mode="json")) == spec


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"problem": {"batch_size": 0, "sequence_length": 8}}, "problem.batch_size"),
        ({"budgte": 1}, "budgte"),
        ({"search": {"instances": [1, 1]}}, "search.instances[1]"),
        ({"model": "a\nb"}, "model"),
        ({"seed": 10**19}, "seed"),
        ({"model": "x" * 5000}, "model"),
        ({"inputs": {"x" * 101: "ones"}}, "inputs"),
    ],
)
def test_a_fault_has_its_place_and_no_line(changed: dict[str, Any], path: str) -> None:
    with pytest.raises(StudyFileError) as refused:
        study_of_json(STUDY | changed)
    assert path in [fault.path for fault in refused.value.faults]
    assert {fault.line for fault in refused.value.faults} == {0}


@pytest.mark.parametrize("data", [[], "fake:model.json", None, 3, True])
def test_what_is_no_mapping_is_no_study(data: Any) -> None:
    with pytest.raises(StudyFileError, match="is no study"):
        study_of_json(data)


def test_a_study_without_a_name_needs_one_from_elsewhere() -> None:
    nameless = {key: value for key, value in STUDY.items() if key != "name"}
    assert study_of_json(nameless, name="given").name == "given"
    with pytest.raises(StudyFileError) as refused:
        study_of_json(nameless)
    assert refused.value.path == "name"


def test_absurd_depth_and_breadth_are_refused_without_being_walked() -> None:
    deep: Any = 1
    for _ in range(5_000):
        deep = [deep]
    for data in ({**STUDY, "search": deep}, {**STUDY, "inputs": {str(key): "ones" for key in range(30_000)}}):
        with pytest.raises(StudyFileError, match=r"nested too deeply|too many values"):
            study_of_json(data)
