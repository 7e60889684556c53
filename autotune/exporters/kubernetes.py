"""Objects for Kubernetes: a deployment for each instance, one service, and the kubelet's settings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from autotune.errors import ExportError
from autotune.exporters.option_values import Image
from autotune.exporters.ports import PORT_REMEDY, listens, portless_notes
from autotune.exporters.protocol import Exported, ExportOptions, Keeps, Loss
from autotune.exporters.yaml_text import yaml_text
from autotune.machine.cpus import format_cpu_list
from autotune.plan.document import format_plan
from autotune.plan.launch import PLAN_FILE, Launch, LaunchedInstance, Program, served_folders
from autotune.spec.launched import DIFFERENCES_VARIABLE

FILE: Final = "kubernetes.yaml"
KUBELET_FILE: Final = "kubelet.yaml"

LONGEST_PLAN: Final = 1_000_000
"""Bytes of plan.json in a config map, which may have a MiB. Source: MaxSecretSize in the core API."""

MEMORY_STEP_MIB: Final = 256

ANY_CPUS: Final[Mapping[str, str]] = {DIFFERENCES_VARIABLE: "warn"}
"""As the kubelet chooses the cpus, `autotune.runtime` is not to refuse others than the plan's."""


class KubernetesOptions(ExportOptions):
    """What the pods are made of."""

    image: Image
    """Image that your server is in."""
    name: Annotated[
        str,
        Field(
            pattern=r"^[a-z]([a-z0-9-]{0,48}[a-z0-9])?$",
            title="a name of lower-case letters, digits and -, a letter first, such as encoder",
        ),
    ] = "autotune"
    """Name of the service; the deployments are NAME-0, NAME-1 and so on."""
    namespace: Annotated[
        str,
        Field(
            pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$",
            title="a name of lower-case letters, digits and -, such as serving",
        ),
    ] = ""
    """Where the objects live; by default in the namespace that they are applied to."""
    node: Annotated[
        str,
        Field(
            pattern=r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)?$",
            title="a node's name in lower case, such as node-1",
        ),
    ] = ""
    """Machine that all pods run on (its label kubernetes.io/hostname); by default the scheduler chooses."""
    memory: Annotated[
        str, Field(pattern=r"^([1-9][0-9]{0,9}[MG]i)?$", title="a size such as 2Gi or 512Mi")
    ] = ""
    """Memory of each pod, such as 2Gi; by default twice what an instance was measured with."""
    artifact: Literal["host", "image"] = "host"
    """Where the model is: on the `host`, from where it is mounted, or in the `image`, at that path."""
    plan: Annotated[
        str,
        Field(
            pattern=r"^/[^\x00-\x1f\x7f:]*[^\x00-\x1f\x7f:/]$",
            title="the absolute path of a file, without a colon, such as /srv/plan.json",
        ),
    ] = "/autotune/plan.json"
    """Path of plan.json in the pods, where it is mounted."""
    port: Annotated[int, Field(ge=1, le=65_535)] = 80
    """Port of the service."""
    grace_s: Annotated[int, Field(ge=0, le=3_600)] = 10
    """Seconds that a server is given to end after SIGTERM, before it is killed."""


class KubernetesExporter:
    """Writes `kubernetes.yaml`, and `kubelet.yaml` where the plan pins.

    Each instance is a deployment of its own, as its command line and variables are its own; the pods of a
    stateful set share one template.
    """

    name: ClassVar[str] = "kubernetes"
    summary: ClassVar[str] = "kubernetes.yaml, with a deployment for each instance, and kubelet.yaml"
    programs: ClassVar[frozenset[Program]] = frozenset({"command"})
    is_starting: ClassVar[bool] = True
    keeps: ClassVar[Keeps] = Keeps(argv="exact", environment="asked", cpus="asked", memory_nodes="asked")
    options: ClassVar[type[KubernetesOptions]] = KubernetesOptions

    def render(self, launch: Launch, options: KubernetesOptions) -> Exported:
        """Give the objects, and the settings of the kubelet that pinned pods need.

        Raises:
            ExportError: a path cannot be mounted, the plan is too long for a config map, or the port of a
                service is named and no server listens.
        """
        _refuse_a_port_of_no_service(launch, options)
        head = f"All instances of plan {launch.plan.id}; autotune export --to kubernetes"
        files = {FILE: yaml_text(head, _objects(launch, options))}
        if launch.is_pinned:
            words = (
                "Settings that a node's kubelet needs for it: put them into its own file, drain the node, and"
            )
            again = (
                "delete /var/lib/kubelet/cpu_manager_state and memory_manager_state before it starts again."
            )
            files[KUBELET_FILE] = yaml_text(f"{words} {again}", [_kubelet(launch)])
        notes = tuple(portless_notes(launch, "there is no service, and no pod is asked whether it listens"))
        return Exported(files, losses=tuple(_losses(launch)), notes=notes)


def _objects(launch: Launch, options: KubernetesOptions) -> Iterator[dict[str, Any]]:
    plan = format_plan(launch.plan)
    if len(plan.encode()) > LONGEST_PLAN:
        raise ExportError(
            f"the plan has {len(plan.encode())} bytes, and a config map takes {LONGEST_PLAN}",
            remedy="put plan.json into the image, and export to compose to see how it is started",
        )
    yield {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(options, f"{options.name}-plan"),
        "data": {PLAN_FILE: plan},
    }
    if listens(launch):
        yield {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": _metadata(options, options.name),
            "spec": {
                "selector": _labels(options),
                "ports": [{"name": "http", "port": options.port, "targetPort": "http"}],
            },
        }
    for instance in launch.instances:
        yield _deployment(launch, instance, options)


def _refuse_a_port_of_no_service(launch: Launch, options: KubernetesOptions) -> None:
    if "port" in options.model_fields_set and not listens(launch):
        raise ExportError(
            f"--set port={options.port} is the port of a service, and the command has no {{port}} to serve",
            remedy=PORT_REMEDY,
        )


def _metadata(options: KubernetesOptions, name: str) -> dict[str, Any]:
    namespace = {"namespace": options.namespace} if options.namespace else {}
    return {"name": name, **namespace, "labels": _labels(options)}


def _labels(options: KubernetesOptions) -> dict[str, str]:
    return {"app.kubernetes.io/name": options.name}


def _deployment(launch: Launch, instance: LaunchedInstance, options: KubernetesOptions) -> dict[str, Any]:
    labels = {**_labels(options), "autotune/instance": str(instance.index)}
    measured = {
        "autotune/cpus": format_cpu_list(instance.cpus),
        "autotune/memory-nodes": format_cpu_list(instance.memory_nodes),
    }
    mounted = served_folders(launch.plan, instance.index) if options.artifact == "host" else {}
    volumes = [
        {"name": "plan", "configMap": {"name": f"{options.name}-plan"}},
        *({"name": name, "hostPath": {"path": _mountable(path)}} for name, path in mounted.items()),
    ]
    pod = {
        **({"nodeSelector": {"kubernetes.io/hostname": options.node}} if options.node else {}),
        "terminationGracePeriodSeconds": options.grace_s,
        "containers": [_container(launch, instance, options, mounted)],
        "volumes": volumes,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(options, f"{options.name}-{instance.index}"),
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},  # the cpus are free only when the old pod is gone
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels, "annotations": measured}, "spec": pod},
        },
    }


def _container(
    launch: Launch, instance: LaunchedInstance, options: KubernetesOptions, mounted: Mapping[str, str]
) -> dict[str, Any]:
    program, *arguments = instance.argv
    environment = {**(ANY_CPUS if instance.cpus else {}), **instance.environment}
    resources = {
        **({"cpu": str(len(instance.cpus))} if instance.cpus else {}),
        "memory": options.memory or _memory(launch),
    }
    return {
        "name": "server",
        "image": options.image,
        "command": [_literal(program)],
        "args": [_literal(argument) for argument in arguments],
        "env": [{"name": name, "value": _literal(value)} for name, value in environment.items()],
        **({"workingDir": instance.directory} if instance.directory else {}),
        **({} if instance.port is None else _listening(instance.port)),
        "resources": {"requests": resources, "limits": resources.copy()},
        "volumeMounts": [
            {"name": "plan", "mountPath": options.plan, "subPath": PLAN_FILE, "readOnly": True},
            *({"name": name, "mountPath": path, "readOnly": True} for name, path in mounted.items()),
        ],
    }


def _listening(port: int) -> dict[str, Any]:
    return {
        "ports": [{"name": "http", "containerPort": port}],
        "readinessProbe": {"tcpSocket": {"port": "http"}},
    }


def _literal(text: str) -> str:
    """A text in which no `$(NAME)` is filled in. Source: Kubernetes, third_party/forked/golang/expansion."""
    return text.replace("$", "$$")


def _memory(launch: Launch) -> str:
    """Twice what an instance was measured with, in whole steps: a server has more than a worker."""
    measured_mib = launch.plan.estimate.memory_bytes / len(launch.instances) / 2**20
    return f"{max(1, math.ceil(2 * measured_mib / MEMORY_STEP_MIB)) * MEMORY_STEP_MIB}Mi"


def _mountable(path: str) -> str:
    if ":" in path or ".." in PurePosixPath(path).parts:
        raise ExportError(
            f"Kubernetes mounts no path with ':' or '..' in it, as the prepared model's: {path!r:.80}",
            remedy="put the model into the image at that path, and give --set artifact=image",
        )
    return path


def _kubelet(launch: Launch) -> dict[str, Any]:
    """The settings by which pods get whole cpus of their own, and memory of the nodes beside them.

    What is reserved on nodes of memory must be what is reserved in all, with the threshold of eviction.
    """
    is_on_one_node = all(len(instance.memory_nodes) <= 1 for instance in launch.instances)
    memory = {
        "memoryManagerPolicy": "Static",
        "reservedMemory": [{"numaNode": 0, "limits": {"memory": "1124Mi"}}],
    }
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cpuManagerPolicy": "static",
        **({"cpuManagerPolicyOptions": {"full-pcpus-only": "true"}} if launch.plan.configuration.smt else {}),
        "topologyManagerPolicy": "single-numa-node" if is_on_one_node else "restricted",
        "systemReserved": {"cpu": "500m", "memory": "1024Mi"},
        "evictionHard": {"memory.available": "100Mi"},
        **(memory if launch.binds_memory else {}),
    }


def _losses(launch: Launch) -> Iterator[Loss]:
    if unset := " ".join(launch.instances[0].unset):
        yield Loss(
            "environment", f"Kubernetes takes away no variable that the image sets: see to these: {unset}."
        )
    if launch.is_pinned:
        yield Loss(
            "cpus",
            f"The kubelet chooses the cpus: with {KUBELET_FILE} each pod has as many of its own as its "
            "instance, not the same ones, and at least one cpu of the machine stays with the system.",
        )
    if launch.is_pinned and not launch.plan.configuration.smt:
        yield Loss(
            "cpus",
            "The plan has one hardware thread of each core: where cores have two, the kubelet gives both, "
            "so that a pod runs on half as many cores.",
        )
    if launch.binds_memory:
        yield Loss(
            "memory_nodes",
            f"The kubelet chooses the memory nodes: with {KUBELET_FILE} each pod has memory of the nodes "
            "that its cpus are on, not of the plan's own.",
        )
