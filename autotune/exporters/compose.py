"""A file for docker compose: one service for each instance, on its own cpus."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from autotune.exporters.option_values import Image, PlanPath
from autotune.exporters.ports import portless_notes
from autotune.exporters.protocol import Exported, ExportOptions, Keeps, Loss
from autotune.exporters.yaml_text import yaml_text
from autotune.machine.cpus import format_cpu_list
from autotune.plan.launch import PLAN_FILE, Launch, LaunchedInstance, Program, served_folders

FILE: Final = "compose.yaml"

ComposeRestart = Literal["no", "on-failure", "always", "unless-stopped"]


class ComposeOptions(ExportOptions):
    """What the containers are made of."""

    image: Image
    """Image that your server is in."""
    service: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$",
            title="a name of lower-case letters, digits, _ and -, such as encoder",
        ),
    ] = "encoder"
    """Name of the services: SERVICE-0, SERVICE-1 and so on."""
    plan: PlanPath = "/autotune/plan.json"
    """Path of plan.json in the container, where the file beside compose.yaml is mounted."""
    restart: ComposeRestart = "on-failure"
    """When a server that ended is started again: `no`, `on-failure`, `always` or `unless-stopped`."""
    grace_s: Annotated[int, Field(ge=0, le=3_600)] = 10
    """Seconds that a server is given to end after SIGTERM, before it is killed."""


class ComposeExporter:
    """Writes `compose.yaml`; the prepared model and plan.json are mounted read-only."""

    name: ClassVar[str] = "compose"
    summary: ClassVar[str] = "compose.yaml, with a service for each instance"
    programs: ClassVar[frozenset[Program]] = frozenset({"command"})
    is_starting: ClassVar[bool] = True
    keeps: ClassVar[Keeps] = Keeps(argv="exact", environment="asked", cpus="exact", memory_nodes="lost")
    options: ClassVar[type[ComposeOptions]] = ComposeOptions

    def render(self, launch: Launch, options: ComposeOptions) -> Exported:
        """Give `compose.yaml`."""
        services = {
            f"{options.service}-{instance.index}": _service(launch, instance, options)
            for instance in launch.instances
        }
        head = f"All instances of plan {launch.plan.id}; autotune export --to compose"
        text = yaml_text(head, [{"services": services}])
        notes = tuple(portless_notes(launch, "no port is published"))
        return Exported({FILE: text}, losses=tuple(_losses(launch)), notes=notes)


def _service(launch: Launch, instance: LaunchedInstance, options: ComposeOptions) -> dict[str, Any]:
    program, *arguments = instance.argv
    return {
        "image": _literal(options.image),
        "entrypoint": [_literal(program)],
        "command": [_literal(argument) for argument in arguments],
        "environment": {name: _literal(value) for name, value in instance.environment.items()},
        **({"working_dir": _literal(instance.directory)} if instance.directory else {}),
        **({"cpuset": format_cpu_list(instance.cpus)} if instance.cpus else {}),
        **({} if instance.port is None else {"ports": [f"{instance.port}:{instance.port}"]}),
        "volumes": [
            _mount(f"./{PLAN_FILE}", options.plan),
            *(_mount(path, path) for path in served_folders(launch.plan, instance.index).values()),
        ],
        "restart": options.restart,
        "stop_grace_period": f"{options.grace_s}s",
    }


def _mount(source: str, target: str) -> dict[str, Any]:
    return {"type": "bind", "source": _literal(source), "target": _literal(target), "read_only": True}


def _losses(launch: Launch) -> list[Loss]:
    losses = []
    if unset := " ".join(launch.instances[0].unset):
        losses.append(
            Loss("environment", f"Compose takes away no variable that the image sets: see to these: {unset}.")
        )
    if launch.binds_memory:
        losses.append(
            Loss(
                "memory_nodes",
                "Compose cannot bind memory to nodes: pages lie where the threads run that touch them first, "
                "or elsewhere under pressure; docker run --cpuset-mems can.",
            )
        )
    return losses


def _literal(text: str) -> str:
    """A text in which compose fills in nothing. Source: the compose specification, interpolation."""
    return text.replace("$", "$$")
