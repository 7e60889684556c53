"""A plan is read without the packages that tune, and what is wrong with it is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autotune.errors import PlanError
from autotune.plan.document import format_plan
from autotune.runtime.planned import SCHEMA, find_planned, read_planned
from autotune.testing.plans import build_commands, build_plan


@pytest.fixture
def document() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(format_plan(build_plan(build_commands(2))))
    return values


def written(folder: Path, document: Any) -> Path:
    file = folder / "plan.json"
    file.write_text(json.dumps(document))
    return file


def test_it_says_of_an_instance_what_the_whole_document_does(
    tmp_path: Path, document: dict[str, Any]
) -> None:
    plan = build_plan(build_commands(2))
    planned = read_planned(written(tmp_path, document), 1)
    command = plan.commands()[1]
    assignment = command.worker.assignment
    assert planned.plan == plan.id
    assert (planned.cpus, planned.memory_nodes) == (command.cpus, command.memory_nodes)
    assert planned.environment == dict(command.environment)
    assert (planned.backend, planned.precision) == (assignment.backend, assignment.precision)
    assert (planned.artifact, planned.threads) == (assignment.artifact, assignment.threads)
    assert (planned.index, planned.instances) == (1, 2)
    assert not planned.is_launched


def test_a_folder_stands_for_its_plan_and_paths_start_from_there(
    tmp_path: Path, document: dict[str, Any]
) -> None:
    for instance in document["instances"]:
        instance["worker"] |= {"artifact": "artifact", "requests": "requests"}
        instance["env"]["LD_PRELOAD"] = "lib/one.so:/usr/lib/two.so"
    document["model"]["folder"] = "model"
    written(tmp_path, document)
    planned = read_planned(tmp_path, 0)
    assert planned.artifact == tmp_path / "artifact"
    assert planned.requests == tmp_path / "requests"
    assert planned.folder == tmp_path / "model"
    assert planned.environment["LD_PRELOAD"] == f"{tmp_path}/lib/one.so:/usr/lib/two.so"


def test_a_launched_process_is_told_by_two_variables(
    tmp_path: Path, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOTUNE_PLAN", str(written(tmp_path, document)))
    monkeypatch.setenv("AUTOTUNE_INSTANCE", "1")
    planned = find_planned(None, None)
    assert planned.is_launched
    assert planned.index == 1
    assert find_planned(None, 0).index == 0
    named = find_planned(tmp_path, None)
    assert (named.index, named.is_launched) == (0, False)


@pytest.mark.parametrize(("variable", "said"), [("one", "'one' is not the number"), ("2", "no instance 2")])
def test_an_instance_that_there_is_not_is_refused(
    tmp_path: Path, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch, variable: str, said: str
) -> None:
    monkeypatch.setenv("AUTOTUNE_PLAN", str(written(tmp_path, document)))
    monkeypatch.setenv("AUTOTUNE_INSTANCE", variable)
    with pytest.raises(PlanError, match=said):
        find_planned(None, None)


@pytest.mark.parametrize(
    ("instance", "said"),
    [(5, "no instance 5: it has 2"), (-1, "no instance -1"), ("1", "'1' is not a number")],
)
def test_an_instance_that_is_none_is_refused(
    tmp_path: Path, document: dict[str, Any], instance: Any, said: str
) -> None:
    with pytest.raises(PlanError, match=said) as refused:
        find_planned(written(tmp_path, document), instance)
    assert refused.value.remedy


def test_without_a_plan_it_says_how_to_come_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUTOTUNE_PLAN", raising=False)
    with pytest.raises(PlanError, match="AUTOTUNE_PLAN is not set") as refused:
        find_planned(None, None)
    assert "load(PLAN)" in refused.value.remedy


def test_an_older_document_is_to_be_written_anew(tmp_path: Path, document: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match=r"autotune\.plan/4") as refused:
        read_planned(written(tmp_path, {**document, "schema": "autotune.plan/4"}), 0)
    assert SCHEMA in refused.value.problem
    assert "export" in refused.value.remedy


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("instances",), None, "instances is missing"),
        (("instances",), {}, "instances: {} is not list"),
        (("instances", 0), [], "instances.0: not a mapping"),
        (("instances", 0, "cpus"), [0, "1"], "instances.0.cpus"),
        (("instances", 0, "cpus"), [-1], "instances.0.cpus"),
        (("instances", 0, "env"), {"A": 1}, "instances.0.env"),
        (("instances", 0, "worker"), None, "instances.0.worker is missing"),
        (("instances", 0, "worker", "threads"), True, "instances.0.worker.threads: True is not int"),
        (
            ("instances", 0, "worker", "precision"),
            "fp7",
            "instances.0.worker.precision: 'fp7' is not fp32 or",
        ),
        (("model",), "MiniLM", "model: 'MiniLM' is not dict"),
        (("versions",), None, "versions is missing"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    tmp_path: Path, document: dict[str, Any], path: tuple[Any, ...], value: Any, said: str
) -> None:
    inside: Any = document
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    with pytest.raises(PlanError) as refused:
        read_planned(written(tmp_path, document), 0)
    assert said in refused.value.problem
    assert refused.value.remedy


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\0"])
def test_what_is_no_json_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "plan.json"
    file.write_text(text)
    with pytest.raises(PlanError, match="not a JSON document"):
        read_planned(file, 0)


def test_a_bundle_that_is_packed_is_to_be_unpacked(tmp_path: Path) -> None:
    file = tmp_path / "bundle.tar"
    file.write_bytes(b"\0" * 1024)
    with pytest.raises(PlanError) as refused:
        read_planned(file, 0)
    assert "tar -xf" in refused.value.remedy


def test_a_plan_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"gone\.json cannot be read: No such file") as refused:
        read_planned(tmp_path / "gone.json", 0)
    assert "autotune export latest --to json" in refused.value.remedy
