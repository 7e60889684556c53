"""A file for Ray Serve: a deployment for each instance, whose process is pinned before Python starts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from autotune.errors import ExportError
from autotune.exporters.option_values import Address, ModelName
from autotune.exporters.protocol import Exported, ExportOptions, Keeps, Loss
from autotune.exporters.serving_script import refuse_what_env_mistakes
from autotune.exporters.shell import words
from autotune.exporters.yaml_text import yaml_text
from autotune.machine.cpus import format_cpu_list
from autotune.plan.launch import Launch, LaunchedInstance, Program
from autotune.spec.launch import USUAL_PORT

FILE: Final = "serve.yaml"

APPLICATION: Final = "autotune.runtime.ray_app:build"
"""What Ray imports: it makes the deployments of this name and number."""
PIN: Final = "autotune.placement.pin"
"""What pins the process that becomes Ray's worker, or ends it."""

INGRESS: Final = "ingress"
QUIET: Final = {"enable_access_log": False}
"""No line for each request, which the instances would write on their own cpus."""
MANY: Final = 1_000
"""Requests that the ingress holds at once, while they wait for an instance."""
SOME: Final = 0.001
"""Of what Ray counts of a machine's address: enough to be there."""


class RayServeOptions(ExportOptions):
    """Where Ray listens, and what its processes are."""

    name: ModelName = "autotune"
    """Name of the application."""
    host: Address = "127.0.0.1"
    """Address that Ray listens on: 0.0.0.0 for all."""
    python: Annotated[
        str,
        Field(
            pattern=r"^(/[^\x00-\x1f\x7f]*)?$",
            title="an absolute path, such as /srv/venv/bin/python",
        ),
    ] = ""
    """Path of Python on Ray's machines, with autotune and the engine; by default the one that measured."""
    answerer: Annotated[
        str,
        Field(
            pattern=r"^([A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*)?$",
            title="a module and a class of it, such as my.server:Answers",
        ),
    ] = ""
    """Class of yours that answers, as module:Class; by default the measured session does."""
    ongoing: Annotated[int, Field(ge=1, le=1_000)] = 2
    """Requests that an instance has at once: the one that it answers, and those that wait there."""
    node: Annotated[
        str,
        Field(
            pattern=r"^([A-Za-z0-9][A-Za-z0-9.:-]{0,251})?$",
            title="a machine's address, such as 10.0.0.7",
        ),
    ] = ""
    """Address of the machine that all instances run on, as Ray knows it; by default Ray chooses."""
    timeout_s: Annotated[int, Field(ge=1, le=86_400)] = 60
    """Seconds that a request is given to be answered."""
    grace_s: Annotated[int, Field(ge=0, le=3_600)] = 10
    """Seconds that an instance is given to end."""


class RayServeExporter:
    """Writes `serve.yaml`, for `serve run` and `serve deploy`.

    Replicas of one deployment are all started alike, so each instance is a deployment of its own. An ingress
    in front passes every request to the one with the fewest in hand. The whole command line of a process
    stands in `py_executable`: Ray fills `$NAME` into what `env_vars` holds.
    """

    name: ClassVar[str] = "ray-serve"
    summary: ClassVar[str] = "serve.yaml for Ray Serve, with a deployment for each instance"
    programs: ClassVar[frozenset[Program]] = frozenset({"command"})
    is_starting: ClassVar[bool] = False
    keeps: ClassVar[Keeps] = Keeps(argv="lost", environment="exact", cpus="exact", memory_nodes="exact")
    options: ClassVar[type[RayServeOptions]] = RayServeOptions

    def render(self, launch: Launch, options: RayServeOptions) -> Exported:
        """Give `serve.yaml`.

        Raises:
            ExportError: a path of Python has `=` in it, which `env` would take for a variable, or the plan is
                written nowhere.
        """
        if not launch.plan_path:
            raise ExportError(
                "Ray's workers read plan.json, which is written nowhere",
                remedy="give a folder (-o DIR), or where it lies on Ray's machines (--set plan=PATH)",
            )
        head = f"All instances of plan {launch.plan.id}; autotune export --to ray-serve"
        document = {
            "proxy_location": "HeadOnly",
            "http_options": {
                "host": options.host,
                "port": launch.instances[0].port or USUAL_PORT,
                "request_timeout_s": options.timeout_s,
            },
            "logging_config": QUIET,
            "applications": [_application(launch, options)],
        }
        return Exported({FILE: yaml_text(head, [document])}, losses=tuple(_losses(options)))


def _application(launch: Launch, options: RayServeOptions) -> dict[str, Any]:
    return {
        "name": options.name,
        "route_prefix": "/",
        "import_path": APPLICATION,
        "logging_config": QUIET,
        "args": {"instances": len(launch.instances), "answerer": options.answerer},
        "deployments": [
            *(_deployment(launch, instance, options) for instance in launch.instances),
            {
                "name": INGRESS,
                "num_replicas": 1,
                "max_ongoing_requests": MANY,
                "ray_actor_options": {"num_cpus": 0},
            },
        ],
    }


def _deployment(launch: Launch, instance: LaunchedInstance, options: RayServeOptions) -> dict[str, Any]:
    python = options.python or launch.plan.instances[instance.index].worker.interpreter
    actor = {
        "num_cpus": len(instance.cpus) or max(1, instance.threads),
        **({"resources": {f"node:{options.node}": SOME}} if options.node else {}),
        "runtime_env": {"py_executable": _command(instance, python)},
    }
    return {
        "name": f"instance-{instance.index}",
        "num_replicas": 1,
        "max_ongoing_requests": options.ongoing,
        "graceful_shutdown_timeout_s": options.grace_s,
        "ray_actor_options": actor,
    }


def _command(instance: LaunchedInstance, python: str) -> str:
    """Give what becomes Ray's worker, as bash reads it: Ray puts `exec` before, and arguments behind."""
    refuse_what_env_mistakes(python, "name another with --set python=/PATH, without '=' in it")
    lines = [
        ("env",),
        *((f"--unset={name}",) for name in instance.unset),
        *((f"{name}={value}",) for name, value in instance.environment.items()),
        (*_pinning(instance, python), python),
    ]
    return " \\\n".join(str(words(line)) for line in lines)


def _pinning(instance: LaunchedInstance, python: str) -> Iterator[str]:
    if not (instance.cpus or instance.memory_nodes):
        return
    yield from (python, "-P", "-m", PIN)
    if instance.cpus:
        yield from ("--cpus", format_cpu_list(instance.cpus))
    if instance.memory_nodes:
        yield from ("--membind", format_cpu_list(instance.memory_nodes))
    yield "--"


def _losses(options: RayServeOptions) -> Iterator[Loss]:
    answers = f"{options.answerer} answers" if options.answerer else "the measured session answers"
    yield Loss(
        "argv",
        f"Ray Serve starts processes of its own: {answers} in the place of your server, and Ray's proxy, "
        "ingress and controller run beside the instances on any cpu.",
    )
