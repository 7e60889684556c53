"""OpenVINO Model Server: one server for each instance, pinned, with the prepared model as it was measured."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from autotune.errors import ExportError
from autotune.exporters.option_values import ModelName
from autotune.exporters.protocol import Exported, ExportOptions, Keeps, Loss
from autotune.exporters.serving_script import instance_values
from autotune.exporters.shell import ShellText, script_template
from autotune.plan.document import PlanWorker
from autotune.plan.launch import Launch, LaunchedInstance, Program
from autotune.spec.configuration import Precision
from autotune.spec.knobs import split_knobs
from autotune.spec.known_knobs import find_knob
from autotune.spec.launch import LAST_PORT, USUAL_PORT

START: Final = "start.sh"
CONFIG: Final = "config.json"

ENGINE: Final = "openvino"
"""The engine that the server has; other engines' artifacts would run in it, too, and not as measured."""

SETTABLE: Final = frozenset({"streams", "pinning"})
"""Knobs that are properties of the engine; those that are variables, or libraries, the script sets."""

COMPILED: Final[frozenset[Precision]] = frozenset({"int8-static"})
"""Precisions whose artifact is what the engine compiled, in the place of a model."""

_FLOAT_HINTS: Final[Mapping[Precision, str]] = {"bf16": "bf16", "fp16": "f16"}
_DYNAMIC_GROUP: Final = 32


class OvmsOptions(ExportOptions):
    """How the model is called, and where the servers listen beside HTTP."""

    name: ModelName = "autotune"
    """Name of the model, as requests have it."""
    grpc_port: Annotated[int, Field(ge=1, le=LAST_PORT)] = 9_000
    """Port of gRPC of instance 0; each further one has the next."""
    grace_s: Annotated[int, Field(ge=0, le=3_600)] = 10
    """Seconds that servers are given to end after SIGTERM, before they are killed."""


class OvmsExporter:
    """Writes `config.json`, which all servers share, and `start.sh`, which starts, pins and watches them.

    A server of its own for each instance is what keeps cpus and memory nodes exact: one server could not
    be told where each of its streams runs. Requests come as tokens; nothing batches them.
    """

    name: ClassVar[str] = "ovms"
    summary: ClassVar[str] = (
        "config.json for OpenVINO Model Server, and start.sh, which starts one for each instance"
    )
    programs: ClassVar[frozenset[Program]] = frozenset({"command"})
    is_starting: ClassVar[bool] = False
    keeps: ClassVar[Keeps] = Keeps(argv="lost", environment="exact", cpus="exact", memory_nodes="exact")
    options: ClassVar[type[OvmsOptions]] = OvmsOptions

    def render(self, launch: Launch, options: OvmsOptions) -> Exported:
        """Give the servers' settings and the script.

        Raises:
            ExportError: the server has no such engine, cannot be told what the plan says of it, or two of
                them would have one port.
        """
        worker = launch.plan.instances[0].worker
        _refuse_what_it_cannot_run(worker)
        script = script_template("ovms.sh.j2").render(
            plan=launch.plan,
            grace_s=options.grace_s,
            name=ShellText(options.name),
            artifact=worker.artifact,
            instances=list(_instances(launch, options)),
        )
        config = json.dumps(_config(worker, options), indent=2) + "\n"
        return Exported(
            {CONFIG: config, START: script},
            executable=frozenset({START}),
            losses=tuple(_losses(launch, worker)),
        )


def _refuse_what_it_cannot_run(worker: PlanWorker) -> None:
    if worker.backend != ENGINE:
        raise ExportError(
            f"OpenVINO Model Server has no engine {worker.backend!r:.80}",
            remedy=f"tune with the engine that it has: backends: [{ENGINE}]",
        )
    if worker.precision in COMPILED:
        raise ExportError(
            f"OpenVINO Model Server reads models, and at {worker.precision} the plan's is compiled already",
            remedy="export to another target, or leave this precision out of search.precisions",
        )
    unknown = [name for name in split_knobs(worker.knobs) if name not in SETTABLE and not _is_outside(name)]
    if unknown:
        raise ExportError(
            f"OpenVINO Model Server cannot set the plan's {', '.join(sorted(unknown))}",
            remedy="tune without these knobs, or export to another target",
        )


def _is_outside(name: str) -> bool:
    """Whether a knob is set from outside the process, as the environment is."""
    knob = find_knob(name)
    return knob is not None and bool(knob.variable or knob.preloads)


def _config(worker: PlanWorker, options: OvmsOptions) -> dict[str, Any]:
    """Give the one model. Without `shape` it keeps its own, which is free, as it was measured.

    Source: docs/parameters.md of the server. Its path is relative to the file itself.
    """
    properties = _properties(worker)
    model = {
        "name": options.name,
        "base_path": f"models/{options.name}",
        "target_device": "CPU",
        "nireq": int(properties["NUM_STREAMS"]),
        "plugin_config": properties,
    }
    return {"model_config_list": [{"config": model}]}


def _properties(worker: PlanWorker) -> dict[str, str]:
    """Say outright what would otherwise follow from the cpu. Every version reads texts, some nothing else."""
    knobs = split_knobs(worker.knobs)
    return {
        "NUM_STREAMS": knobs.get("streams", "1"),
        **({"INFERENCE_NUM_THREADS": str(worker.threads)} if worker.threads else {}),
        "INFERENCE_PRECISION_HINT": _FLOAT_HINTS.get(worker.precision, "f32"),
        "ENABLE_CPU_PINNING": "YES" if knobs.get("pinning") == "on" else "NO",
        "ENABLE_HYPER_THREADING": "YES",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": str(_DYNAMIC_GROUP if worker.precision == "int8-dynamic" else 0),
    }


def _instances(launch: Launch, options: OvmsOptions) -> Iterator[dict[str, Any]]:
    """Give the instances, each with its ports; a command of the user's own is not run, nor in its folder."""
    first = launch.instances[0].port or USUAL_PORT
    _refuse_ports(first, options.grpc_port, len(launch.instances))
    for instance in launch.instances:
        own = replace(instance, port=first + instance.index, directory="")
        yield _with_grpc(own, options.grpc_port + instance.index)


def _with_grpc(instance: LaunchedInstance, port: int) -> dict[str, Any]:
    values = instance_values(instance)
    return {**values, "grpc_port": port, "ports": [*values["ports"], port]}


def _refuse_ports(first: int, grpc: int, count: int) -> None:
    if abs(first - grpc) < count:
        raise ExportError(
            f"{count} instances from port {first} on for HTTP and from {grpc} on for gRPC would share ports",
            remedy="give others with --port, or --set grpc_port=PORT",
        )
    if max(first, grpc) + count - 1 > LAST_PORT:
        raise ExportError(
            f"{count} instances from port {max(first, grpc)} on need ports beyond {LAST_PORT}",
            remedy="give lower ones with --port, or --set grpc_port=PORT",
        )


def _losses(launch: Launch, worker: PlanWorker) -> Iterator[Loss]:
    version = launch.plan.versions.get(worker.backend, "")
    measured = f", not with {version}, which was measured" if version.isprintable() and version else ""
    yield Loss(
        "argv",
        "OpenVINO Model Server runs in the place of your server, and the prepared model with the OpenVINO "
        f"that it was built with{measured}.",
    )
    streams = split_knobs(worker.knobs).get("streams", "1")
    if streams != "1":
        yield Loss(
            "argv",
            f"OpenVINO Model Server splits no request: the {streams} streams answer as many requests at "
            "once, and were measured on the parts of one.",
        )
