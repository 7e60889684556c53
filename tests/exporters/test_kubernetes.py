"""Objects for Kubernetes, read back and checked against the API's own schemas."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from autotune.errors import ExportError
from autotune.exporters.kubernetes import FILE, KUBELET_FILE, KubernetesExporter, KubernetesOptions
from autotune.exporters.options import read_options
from autotune.exporters.protocol import Exporter
from autotune.machine.cpus import parse_cpu_list
from autotune.plan.document import parse_plan
from autotune.plan.launch import Launch, launch_of, served_folders
from autotune.spec.launch import LaunchSpec
from autotune.testing.exporter_contract import ExporterContract, Started
from autotune.testing.plans import build_commands, build_plan

OPTIONS = KubernetesOptions(image="registry.example/encoder:1")


def expanded(text: str) -> str:
    """What Kubernetes makes of a text, in which there is to be no variable to fill in."""
    assert re.fullmatch(r"(?:[^$]|\$\$)*", text, re.DOTALL)
    return text.replace("$$", "$")


def objects_of(files: Mapping[str, str]) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(files[FILE]))


def pods_of(files: Mapping[str, str]) -> list[dict[str, Any]]:
    return [found["spec"]["template"] for found in objects_of(files) if found["kind"] == "Deployment"]


def started(pod: Mapping[str, Any]) -> Started:
    (container,) = pod["spec"]["containers"]
    cpus, nodes = (
        tuple(sorted(parse_cpu_list(pod["metadata"]["annotations"][f"autotune/{kind}"])))
        for kind in ("cpus", "memory-nodes")
    )
    environment = {variable["name"]: expanded(variable["value"]) for variable in container["env"]}
    assert environment.pop("AUTOTUNE_DIFFERENCES", None) == ("warn" if cpus else None)
    resources = container["resources"]
    assert resources["requests"] == resources["limits"]
    assert int(resources["limits"].get("cpu", 0)) == len(cpus)
    return Started(
        argv=tuple(map(expanded, (*container["command"], *container["args"]))),
        environment=environment,
        cpus=cpus,
        memory_nodes=nodes,
    )


class TestKubernetesExporter(ExporterContract):
    settings = ("image=registry.example/encoder:1",)

    @pytest.fixture
    def exporter(self) -> Exporter:
        return KubernetesExporter()

    def parse(self, files: Mapping[str, str]) -> Sequence[Started]:
        return [started(pod) for pod in pods_of(files)]

    def can_express(self, launch: Launch) -> bool:
        paths = served_folders(launch.plan, 0).values()
        return not any(":" in path or ".." in PurePosixPath(path).parts for path in paths)


def launch(instances: int = 2, **changes: Any) -> Launch:
    server = LaunchSpec(
        command=("uvicorn", "app:app", "--port", "{port}"), directory="/srv", environment={"A": "$(HOME) $x"}
    )
    plan = build_plan(build_commands(instances, **changes))
    return launch_of(plan, server, plan_path=OPTIONS.plan)


@pytest.mark.parametrize("version", ["1.29", "1.37"])
@pytest.mark.parametrize("pinned", [True, False])
def test_the_apis_own_schemas_accept_every_object(pinned: bool, version: str) -> None:
    kubernetes_validate = pytest.importorskip(
        "kubernetes_validate", reason="kubernetes-validate is not installed"
    )
    options = OPTIONS.model_copy(update={"namespace": "models", "node": "host-1"})
    for found in objects_of(KubernetesExporter().render(launch(pinned=pinned), options).files):
        kubernetes_validate.validate(found, version, strict=True)
        assert found["metadata"]["namespace"] == "models"


def test_every_instance_is_a_guaranteed_pod_with_its_port_behind_one_service() -> None:
    files = KubernetesExporter().render(launch(threads=4), OPTIONS).files
    config, service, *deployments = objects_of(files)
    assert parse_plan(config["data"]["plan.json"]) == launch(threads=4).plan
    (port,) = service["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (80, "http")
    assert [deployment["metadata"]["name"] for deployment in deployments] == ["autotune-0", "autotune-1"]
    for index, pod in enumerate(pods_of(files)):
        (container,) = pod["spec"]["containers"]
        assert container["ports"] == [{"name": "http", "containerPort": 8000 + index}]
        assert container["resources"]["limits"] == {"cpu": "4", "memory": "512Mi"}
        assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
        assert container["workingDir"] == "/srv"
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == {
            "/autotune/plan.json",
            "/cache/artifacts/5e5e5e",
        }


def test_the_kubelet_is_told_to_give_whole_cpus_and_memory_beside_them() -> None:
    settings = yaml.safe_load(KubernetesExporter().render(launch(), OPTIONS).files[KUBELET_FILE])
    assert settings["kind"] == "KubeletConfiguration"
    assert (settings["cpuManagerPolicy"], settings["topologyManagerPolicy"]) == ("static", "single-numa-node")
    assert settings["memoryManagerPolicy"] == "Static"
    reserved = int(settings["reservedMemory"][0]["limits"]["memory"].removesuffix("Mi"))
    parts = (settings["systemReserved"]["memory"], settings["evictionHard"]["memory.available"])
    assert reserved == sum(int(part.removesuffix("Mi")) for part in parts)
    alone = yaml.safe_load(KubernetesExporter().render(launch(memory_nodes=()), OPTIONS).files[KUBELET_FILE])
    assert "memoryManagerPolicy" not in alone
    both = yaml.safe_load(
        KubernetesExporter().render(launch(memory_nodes=(0, 1)), OPTIONS).files[KUBELET_FILE]
    )
    assert both["topologyManagerPolicy"] == "restricted"


def test_a_plan_that_pins_nothing_asks_for_no_cpus_and_no_kubelet() -> None:
    exported = KubernetesExporter().render(launch(pinned=False), OPTIONS)
    assert KUBELET_FILE not in exported.files
    assert [loss.part for loss in exported.losses] == ["environment"]


def test_hardware_threads_are_spoken_of_where_the_plan_has_one_of_each_core() -> None:
    def words(smt: bool) -> str:
        made = launch()
        configuration = replace(made.plan.configuration, smt=smt)
        plan = made.plan.model_copy(update={"configuration": configuration})
        exported = KubernetesExporter().render(replace(made, plan=plan), OPTIONS)
        policy = yaml.safe_load(exported.files[KUBELET_FILE]).get("cpuManagerPolicyOptions")
        assert policy == ({"full-pcpus-only": "true"} if smt else None)
        return " ".join(loss.words for loss in exported.losses)

    assert "half as many cores" in words(smt=False)
    assert "half as many cores" not in words(smt=True)


def test_a_model_that_cannot_be_mounted_is_in_the_image() -> None:
    commands = build_commands(1)
    program = commands[0].worker
    assignment = replace(program.assignment, artifact=Path("/a:b"))
    plan = build_plan([replace(commands[0], program=replace(program, assignment=assignment))])
    made = launch_of(plan, LaunchSpec(command=("run", "{port}")), plan_path="/p")
    with pytest.raises(ExportError, match="/a:b") as caught:
        KubernetesExporter().render(made, OPTIONS)
    assert "--set artifact=image" in caught.value.remedy
    (pod,) = pods_of(
        KubernetesExporter().render(made, OPTIONS.model_copy(update={"artifact": "image"})).files
    )
    assert [volume["name"] for volume in pod["spec"]["volumes"]] == ["plan"]


def test_all_that_a_server_reads_is_mounted() -> None:
    pod = pods_of(KubernetesExporter().render(with_texts(), OPTIONS).files)[0]
    (container,) = pod["spec"]["containers"]
    volumes = {volume["name"]: volume.get("hostPath", {}).get("path") for volume in pod["spec"]["volumes"]}
    assert volumes == {
        **{"plan": None, "artifact": "/cache/artifacts/5e5e5e", "requests": "/cache/artifacts/7e7e7e"},
        "model": "/hub/models--o--n",
    }
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts == {**volumes, "plan": OPTIONS.plan}


def with_texts() -> Launch:
    """A launch of one instance whose requests are texts, and whose model is in a hub's cache."""
    (command,) = build_commands(1)
    program = command.worker
    assignment = replace(program.assignment, sequence_length=0, requests=Path("/cache/artifacts/7e7e7e"))
    plan = build_plan([replace(command, program=replace(program, assignment=assignment))])
    model = {**plan.model, "folder": "/hub/models--o--n/snapshots/5e"}
    return launch_of(
        plan.model_copy(update={"model": model}),
        LaunchSpec(command=("run", "{port}")),
        plan_path=OPTIONS.plan,
    )


def test_a_command_that_asks_for_no_port_has_no_service_and_no_probe() -> None:
    made = launch_of(build_plan(), LaunchSpec(command=("run", "{instance}")), plan_path="/p")
    files = KubernetesExporter().render(made, OPTIONS).files
    assert [found["kind"] for found in objects_of(files)] == ["ConfigMap", "Deployment", "Deployment"]
    assert not any(
        {"ports", "readinessProbe"} & pod["spec"]["containers"][0].keys() for pod in pods_of(files)
    )


@pytest.mark.parametrize("setting", ["name=A", "memory=2G", "node=a b", "namespace=-", "port=0", "plan=p"])
def test_wrong_options_are_named(setting: str) -> None:
    name, _, value = setting.partition("=")
    with pytest.raises(ExportError, match=re.escape(f"--set {name}={value!r} is not")):
        read_options(KubernetesExporter(), ["image=i", setting])


def test_a_command_without_a_port_is_told_to_have_no_service_and_none_is_named_for_it() -> None:
    reader = launch_of(build_plan(build_commands(1)), LaunchSpec(command=("srv",)), plan_path=OPTIONS.plan)
    exported = KubernetesExporter().render(reader, OPTIONS)
    assert {made["kind"] for made in objects_of(exported.files)} == {"ConfigMap", "Deployment"}
    (note,) = exported.notes
    assert note.startswith("The command has no {port}, so there is no service")
    assert "write {port} into the command" in note
    options = KubernetesOptions(image="i", port=80)
    with pytest.raises(ExportError, match="port=80 is the port of a service") as caught:
        KubernetesExporter().render(reader, options)
    assert "{port}" in caught.value.remedy
    server = launch_of(build_plan(), LaunchSpec(command=("srv", "{port}")), plan_path=OPTIONS.plan)
    assert not KubernetesExporter().render(server, options).notes
