"""A file for docker compose, read back and checked against the specification's schema."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft201909Validator

from autotune.errors import ExportError
from autotune.exporters.compose import FILE, ComposeExporter, ComposeOptions
from autotune.exporters.exporting import export
from autotune.exporters.options import read_options
from autotune.exporters.protocol import Exporter
from autotune.machine.cpus import parse_cpu_list
from autotune.plan.launch import Launch, launch_of
from autotune.spec.launch import LaunchSpec
from autotune.testing.exporter_contract import ExporterContract, Started
from autotune.testing.plans import build_commands, build_plan

SCHEMA = json.loads((Path(__file__).parent / "assets" / "compose-spec.json").read_text())
"""Of the compose specification, as docker-compose 1.29.2 has it (Apache License 2.0)."""

OPTIONS = ComposeOptions(image="registry.example/encoder:1")


def interpolated(text: str) -> str:
    """What compose makes of a text, in which there is to be nothing to fill in."""
    assert re.fullmatch(r"(?:[^$]|\$\$)*", text, re.DOTALL)
    return text.replace("$$", "$")


def services_of(files: Mapping[str, str]) -> list[dict[str, Any]]:
    return list(yaml.safe_load(files[FILE])["services"].values())


class TestComposeExporter(ExporterContract):
    settings = ("image=registry.example/encoder:1",)

    @pytest.fixture
    def exporter(self) -> Exporter:
        return ComposeExporter()

    def parse(self, files: Mapping[str, str]) -> Sequence[Started]:
        Draft201909Validator(SCHEMA).validate(yaml.safe_load(files[FILE]))
        return [
            Started(
                argv=tuple(map(interpolated, (*service["entrypoint"], *service["command"]))),
                environment={name: interpolated(value) for name, value in service["environment"].items()},
                cpus=tuple(sorted(parse_cpu_list(service.get("cpuset", "")))),
            )
            for service in services_of(files)
        ]


def launch(**pinning: Any) -> Launch:
    server = LaunchSpec(command=("uvicorn", "app:app", "--port", "{port}"), directory="/srv")
    return launch_of(build_plan(build_commands(2, **pinning)), server, plan_path=OPTIONS.plan)


def test_every_instance_is_a_service_with_the_model_and_the_plan_mounted() -> None:
    first, second = services_of(ComposeExporter().render(launch(), OPTIONS).files)
    assert (first["image"], first["working_dir"], first["stop_grace_period"]) == (
        OPTIONS.image,
        "/srv",
        "10s",
    )
    assert (first["cpuset"], second["cpuset"]) == ("0", "1")
    assert (first["ports"], second["ports"]) == (["8000:8000"], ["8001:8001"])
    assert second["environment"]["AUTOTUNE_PLAN"] == "/autotune/plan.json"
    assert [(mount["source"], mount["target"], mount["read_only"]) for mount in second["volumes"]] == [
        ("./plan.json", "/autotune/plan.json", True),
        ("/cache/artifacts/5e5e5e", "/cache/artifacts/5e5e5e", True),
    ]


def test_the_requests_and_the_models_folder_are_mounted_where_the_plan_has_them() -> None:
    made = launch()
    plan = made.plan.model_copy(update={"model": {**made.plan.model, "folder": "/models/own"}})
    services = services_of(ComposeExporter().render(replace(made, plan=plan), OPTIONS).files)
    for service in services:
        assert [mount["target"] for mount in service["volumes"]][2:] == ["/models/own"]


def test_a_plan_that_binds_memory_is_refused_unless_the_loss_is_allowed() -> None:
    exporter = ComposeExporter()
    with pytest.raises(
        ExportError, match="compose would lose the plan's memory nodes: Compose cannot"
    ) as caught:
        export(exporter, launch(), OPTIONS)
    assert "--allow-loss" in caught.value.remedy
    assert FILE in export(exporter, launch(), OPTIONS, allow_loss=True).files
    assert {FILE, "plan.json"} == export(exporter, launch(memory_nodes=()), OPTIONS).files.keys()


def test_an_image_must_be_named() -> None:
    with pytest.raises(ExportError, match="compose needs the option image") as caught:
        read_options(ComposeExporter(), [])
    assert "--set image=" in caught.value.remedy


def test_names_of_variables_that_mean_something_in_yaml_are_names() -> None:
    server = LaunchSpec(command=("run", "{port}"), environment={"null": "null", "y": "no", "true": "1e3"})
    text = ComposeExporter().render(launch_of(build_plan(), server), OPTIONS).files[FILE]
    environment = yaml.load(text, yaml.BaseLoader)["services"]["encoder-0"]["environment"]
    assert environment.items() >= {"null": "null", "y": "no", "true": "1e3"}.items()
    assert yaml.safe_load(text)["services"]["encoder-0"]["environment"] == environment


def test_a_command_without_a_port_is_told_to_publish_none() -> None:
    reader = launch_of(build_plan(build_commands(1)), LaunchSpec(command=("srv",)), plan_path=OPTIONS.plan)
    exported = ComposeExporter().render(reader, OPTIONS)
    assert "ports" not in services_of(exported.files)[0]
    (note,) = exported.notes
    assert note.startswith("The command has no {port}, so no port is published.")
    assert not ComposeExporter().render(launch(), OPTIONS).notes
