"""A model repository for Triton: the prepared model in instance groups, each on its own cpus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

from autotune.errors import ExportError
from autotune.exporters.option_values import ModelName
from autotune.exporters.protocol import Exported, ExportOptions, Keeps, Loss
from autotune.exporters.shell import comment, quoted
from autotune.machine.cpus import format_cpu_list
from autotune.placement.serving import measured_environment
from autotune.plan.document import PlanWorker
from autotune.plan.launch import Launch, LaunchedInstance, Program
from autotune.spec.configuration import Precision
from autotune.spec.knobs import split_knobs

START: Final = "start.sh"

ENGINES: Final = {"onnxruntime": "model.onnx", "openvino": "model.xml"}
"""Engines that Triton has a backend of, under the same name, and the file that it loads."""


BY_ITSELF: Final[frozenset[Precision]] = frozenset({"fp32", "int8-dynamic"})
"""Precisions at which OpenVINO computes without being told; one of its artifacts is no model but compiled.

Source: README of openvino_backend, whose parameters name neither its precision nor its dynamic quantisation;
and `ModelState` in its src/openvino.cc, whose compiled model all instances share.
"""


class TritonOptions(ExportOptions):
    """How the model is called."""

    name: ModelName = "autotune"
    """Name of the model, as requests have it."""


class TritonExporter:
    """Writes `models/NAME/config.pbtxt`, and `start.sh`, which starts one tritonserver for all instances.

    Triton loads the prepared model with an engine of its own. Requests come as tokens; nothing batches them.
    """

    name: ClassVar[str] = "triton"
    summary: ClassVar[str] = "a model repository, and start.sh with the host policies"
    programs: ClassVar[frozenset[Program]] = frozenset({"worker"})
    is_starting: ClassVar[bool] = False
    keeps: ClassVar[Keeps] = Keeps(argv="lost", environment="lost", cpus="asked", memory_nodes="asked")
    options: ClassVar[type[TritonOptions]] = TritonOptions

    def render(self, launch: Launch, options: TritonOptions) -> Exported:
        """Give the model's settings and the script.

        Raises:
            ExportError: Triton has no such engine, or cannot be told what the plan says of it.
        """
        worker = launch.plan.instances[0].worker
        _check(worker, launch)
        files = {
            f"models/{options.name}/config.pbtxt": _lines(_model(launch, worker, options)),
            START: _lines(_script(launch, worker, options)),
        }
        return Exported(files, executable=frozenset({START}), losses=tuple(_losses(launch, worker)))


def _check(worker: PlanWorker, launch: Launch) -> None:
    """Refuse what the model's settings cannot say."""
    if worker.backend not in ENGINES:
        raise ExportError(
            f"Triton has no engine {worker.backend!r:.80}",
            remedy=f"tune with the engines that it has: backends: [{', '.join(ENGINES)}]",
        )
    if worker.precision == "bf16" or (worker.backend == "openvino" and worker.precision not in BY_ITSELF):
        raise ExportError(
            f"Triton cannot tell {worker.backend} to compute at {worker.precision}",
            remedy="export to another target",
        )
    settable = {"streams"} if worker.backend == "openvino" else set()
    if unknown := sorted(split_knobs(worker.knobs).keys() - settable):
        raise ExportError(
            f"Triton cannot set the plan's {', '.join(unknown)} of {worker.backend}",
            remedy="tune without these knobs, or export to another target",
        )
    if worker.backend == "openvino" and len(launch.instances) > 1:
        raise ExportError(
            f"Triton compiles openvino's model once, and the {len(launch.instances)} instances of the plan "
            "would share the threads of one",
            remedy="export to ovms, or to another target",
        )
    for instance in launch.instances:
        if len(instance.memory_nodes) > 1:
            raise ExportError(
                f"Triton binds an instance to one memory node, and instance {instance.index} has "
                f"{format_cpu_list(instance.memory_nodes)}",
                remedy="export to another target, such as systemd",
            )


def _model(launch: Launch, worker: PlanWorker, options: TritonOptions) -> Iterator[str]:
    yield f"# Plan {launch.plan.id}; autotune export --to triton"
    yield f'name: "{options.name}"'
    yield f'backend: "{worker.backend}"'
    yield f'default_model_filename: "{ENGINES[worker.backend]}"'
    yield "max_batch_size: 0"
    if launch.is_pinned:
        for instance in launch.instances:
            yield f'instance_group {{ count: 1 kind: KIND_CPU host_policy: "{_policy(instance)}" }}'
    else:
        yield f"instance_group {{ count: {len(launch.instances)} kind: KIND_CPU }}"
    for name, value in _parameters(worker):
        yield f'parameters {{ key: "{name}" value {{ string_value: "{value}" }} }}'


def _parameters(worker: PlanWorker) -> Iterator[tuple[str, int]]:
    """Source: READMEs of onnxruntime_backend and openvino_backend."""
    if worker.backend == "onnxruntime":
        yield "inter_op_thread_count", 1
        if worker.threads:
            yield "intra_op_thread_count", worker.threads
    else:
        yield "NUM_STREAMS", int(split_knobs(worker.knobs).get("streams", "1"))
        if worker.threads:
            yield "INFERENCE_NUM_THREADS", worker.threads


def _policy(instance: LaunchedInstance) -> str:
    return f"instance_{instance.index}"


def _script(launch: Launch, worker: PlanWorker, options: TritonOptions) -> Iterator[str]:
    yield "#!/usr/bin/env bash"
    yield f"# Starts Triton with plan {comment(launch.plan.id)}; what follows goes to tritonserver."
    yield "# Written by `autotune export --to triton`."
    yield "set -euo pipefail"
    yield 'models=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)/models'
    yield f'ln -sfn -- {quoted(worker.artifact)} "$models/{options.name}/1"'
    words = ['exec tritonserver --model-repository="$models"']
    for instance in launch.instances:
        if instance.cpus:
            words.append(f"--host-policy={_policy(instance)},cpu-cores={_ranges(instance.cpus)}")
        if instance.memory_nodes:
            words.append(f"--host-policy={_policy(instance)},numa-node={instance.memory_nodes[0]}")
    yield " \\\n    ".join([*words, '"$@"'])


def _ranges(cpus: tuple[int, ...]) -> str:
    """Cpus as Triton reads them: ranges alone. Source: Triton core, src/numa_utils.cc."""
    parts = format_cpu_list(cpus).split(",")
    return ",".join(part if "-" in part else f"{part}-{part}" for part in parts)


def _lines(lines: Iterator[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _losses(launch: Launch, worker: PlanWorker) -> Iterator[Loss]:
    version = launch.plan.versions.get(worker.backend, "")
    measured = f", not with {version}, which was measured" if version.isprintable() and version else ""
    yield Loss(
        "argv",
        f"Triton runs the prepared model with the {worker.backend} that it was built with{measured}.",
    )
    if worker.backend == "openvino":
        yield Loss(
            "argv", "OpenVINO chooses its precision there: on cpus that have bf16 it computes in that."
        )
    variables = sorted(measured_environment(launch.plan.instances[0].command()))
    named = f": {', '.join(variables)}" if variables else ""
    yield Loss("environment", f"Set for tritonserver what the plan sets for its instances{named}.")
    if launch.is_pinned:
        yield Loss(
            "cpus",
            "Triton pins the threads that load and run an instance; its other threads run on any cpu.",
        )
    if launch.binds_memory:
        yield Loss(
            "memory_nodes",
            "Triton binds what an instance takes while it is loaded; other memory lies anywhere.",
        )
