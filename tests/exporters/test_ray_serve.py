"""A file for Ray Serve, read back by bash, and by Ray's own schema where Ray is installed."""

from __future__ import annotations

import importlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import yaml

from autotune.errors import ExportError
from autotune.exporters.exporting import launch_for
from autotune.exporters.options import read_options
from autotune.exporters.protocol import Exporter
from autotune.exporters.ray_serve import APPLICATION, FILE, PIN, RayServeExporter, RayServeOptions
from autotune.machine.cpus import parse_cpu_list
from autotune.plan.launch import Launch, launch_of
from autotune.spec.launch import LaunchSpec
from autotune.testing.exporter_contract import ExporterContract, Started
from autotune.testing.plans import PROGRAM, build_commands, build_plan


def application_of(files: Mapping[str, str]) -> dict[str, Any]:
    (application,) = yaml.safe_load(files[FILE])["applications"]
    return dict(application)


def executed(command: str) -> list[str]:
    """What bash makes of a worker's command line, which Ray puts `exec` before."""
    printed = subprocess.run(
        ["bash", "-c", f"exec printf '%s\\0' {command}"], capture_output=True, check=True
    )
    return [os.fsdecode(word) for word in printed.stdout.split(b"\0")[:-1]]


def as_started(deployment: Mapping[str, Any]) -> Started:
    actor = deployment["ray_actor_options"]
    words = executed(actor["runtime_env"]["py_executable"])
    assert words.pop(0) == "env"
    while words[0].startswith("--unset="):
        del words[0]
    count = next(index for index, word in enumerate(words) if "=" not in word)
    environment, rest = dict(word.split("=", 1) for word in words[:count]), words[count:]
    program = rest.pop()
    given: dict[str, str] = {}
    if rest:
        assert rest[:4] == [program, "-P", "-m", "autotune.placement.pin"]
        assert rest[-1] == "--"
        given = dict(zip(rest[4:-1:2], rest[5:-1:2], strict=True))
    cpus = tuple(sorted(parse_cpu_list(given.get("--cpus", ""))))
    assert actor["num_cpus"] == len(cpus) or not cpus
    return Started(
        environment=environment,
        cpus=cpus,
        memory_nodes=tuple(sorted(parse_cpu_list(given.get("--membind", "")))),
    )


class TestRayServeExporter(ExporterContract):
    @pytest.fixture
    def exporter(self) -> Exporter:
        return RayServeExporter()

    def parse(self, files: Mapping[str, str]) -> Sequence[Started]:
        application = application_of(files)
        *instances, ingress = application["deployments"]
        assert application["args"]["instances"] == len(instances)
        assert [each["name"] for each in instances] == [
            f"instance-{index}" for index in range(len(instances))
        ]
        assert ingress["name"] == "ingress"
        return [as_started(deployment) for deployment in instances]


def launch(**changes: Any) -> Launch:
    return launch_of(
        build_plan(build_commands(2, threads=2, **changes)), LaunchSpec(), plan_path="/srv/plan.json"
    )


def rendered(*settings: str, **changes: Any) -> dict[str, Any]:
    exporter: Exporter = RayServeExporter()
    files = exporter.render(launch(**changes), read_options(exporter, settings)).files
    return dict(yaml.safe_load(files[FILE]))


def test_options_are_where_ray_reads_them() -> None:
    document = rendered(
        *("name=encoder", "host=0.0.0.0", "python=/srv/bin/python", "answerer=my.server:Answers"),
        *("ongoing=5", "node=10.0.0.7", "timeout_s=5", "grace_s=3"),
    )
    assert document["http_options"] == {"host": "0.0.0.0", "port": 8000, "request_timeout_s": 5}
    (application,) = document["applications"]
    assert application["name"] == "encoder"
    assert application["args"] == {"instances": 2, "answerer": "my.server:Answers"}
    first = application["deployments"][0]
    assert (first["max_ongoing_requests"], first["graceful_shutdown_timeout_s"]) == (5, 3)
    assert first["ray_actor_options"]["resources"] == {"node:10.0.0.7": 0.001}
    command = first["ray_actor_options"]["runtime_env"]["py_executable"]
    assert command.endswith(
        "/srv/bin/python -P -m autotune.placement.pin --cpus 0-1 --membind 0 -- /srv/bin/python"
    )


def test_an_instance_that_is_not_pinned_becomes_python_itself() -> None:
    first = rendered(pinned=False)["applications"][0]["deployments"][0]
    command = first["ray_actor_options"]["runtime_env"]["py_executable"]
    assert command.endswith(f" \\\n{PROGRAM}")
    assert "autotune.placement.pin" not in command
    assert first["ray_actor_options"]["num_cpus"] == 2


def test_what_it_has_ray_import_and_run_is_there() -> None:
    module, _, name = APPLICATION.partition(":")
    assert callable(getattr(importlib.import_module(module), name))
    assert callable(importlib.import_module(PIN).main)


def test_it_listens_on_the_port_of_the_first_instance() -> None:
    exporter = RayServeExporter()
    made = launch_for(
        exporter, build_plan(), LaunchSpec(command=("run", "{port}"), port=9100), plan_path="/p"
    )
    assert (
        yaml.safe_load(exporter.render(made, RayServeOptions()).files[FILE])["http_options"]["port"] == 9100
    )


@pytest.mark.parametrize(
    "setting",
    ["answerer=module", "answerer=a:b.c", "answerer=$(x):Y", "python=python3", "node=-x", "host=a b"],
)
def test_options_that_cannot_be_are_refused(setting: str) -> None:
    with pytest.raises(ExportError) as caught:
        read_options(RayServeExporter(), [setting])
    assert "--help-options" in caught.value.remedy


def test_a_plan_that_is_written_nowhere_is_refused() -> None:
    with pytest.raises(ExportError, match="written nowhere") as caught:
        RayServeExporter().render(launch_of(build_plan(), LaunchSpec()), RayServeOptions())
    assert "--set plan=PATH" in caught.value.remedy


def test_a_python_that_env_would_take_for_a_variable_is_refused() -> None:
    exporter = RayServeExporter()
    with pytest.raises(ExportError, match="a=b") as caught:
        exporter.render(launch(), RayServeOptions(python="/opt/a=b/python"))
    assert "--set python=" in caught.value.remedy


@pytest.mark.parametrize("pinned", [True, False])
def test_rays_own_schema_accepts_it_and_reads_the_same(pinned: bool) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    schema = pytest.importorskip("ray.serve.schema", reason="ray[serve] is not installed")
    document = rendered("node=10.0.0.7", "answerer=my.server:Answers", pinned=pinned)
    read = schema.ServeDeploySchema.model_validate(document).model_dump(exclude_unset=True)
    for given, kept in zip(
        document["applications"][0]["deployments"], read["applications"][0]["deployments"], strict=True
    ):
        assert {name: kept[name] for name in given} == given
