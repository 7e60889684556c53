"""What balancers in front of the instances have in common: they start nothing, and need the ports alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

from pydantic import Field

from autotune.errors import ExportError
from autotune.exporters.option_values import Address
from autotune.exporters.ports import PORT_REMEDY
from autotune.exporters.protocol import ExportOptions, Keeps, Loss
from autotune.plan.launch import Launch, LaunchedInstance

NOTHING: Final = Keeps(argv="lost", environment="lost", cpus="lost", memory_nodes="lost")


class BalancerOptions(ExportOptions):
    """Where the balancer listens, and where the instances do."""

    name: Annotated[
        str,
        Field(
            pattern=r"^[a-z][a-z0-9_]{0,62}$",
            title="a name of lower-case letters, digits and _, a letter first, such as encoder",
        ),
    ] = "autotune"
    """Name of the group of instances."""
    host: Address = "127.0.0.1"
    """Host that the instances listen on: a name or an IPv4 address."""
    listen: Annotated[int, Field(ge=1, le=65_535)] = 8_080
    """Port that the balancer listens on."""
    timeout_s: Annotated[int, Field(ge=1, le=86_400)] = 60
    """Seconds that an instance is given to answer a request."""


def port_of(instance: LaunchedInstance) -> int:
    """Give the port of a server's instance.

    Raises:
        ExportError: its command asks for none.
    """
    if instance.port is None:
        raise ExportError(
            f"nobody knows where instance {instance.index} listens: its command has no {{port}}",
            remedy=PORT_REMEDY,
        )
    return instance.port


def balancer_losses(launch: Launch, name: str) -> Iterator[Loss]:
    """Say that somebody else starts the instances, of each part that is theirs."""
    ports = ", ".join(str(port_of(instance)) for instance in launch.instances)
    if launch.has_command:
        yield Loss(
            "argv",
            f"{name} starts no instance: export the plan to systemd or another target, too, with the same "
            f"ports ({ports}).",
        )
    yield Loss("environment", f"{name} sets no variable of the instances: what starts them does.")
    if launch.is_pinned:
        yield Loss("cpus", f"{name} pins no instance: what starts them does.")
    if launch.binds_memory:
        yield Loss("memory_nodes", f"{name} binds no memory: what starts the instances does.")


def refuse_a_port_twice(launch: Launch, options: BalancerOptions) -> None:
    """Refuse a balancer on the port of an instance of the same host.

    Raises:
        ExportError: it would be.
    """
    ports = [port_of(instance) for instance in launch.instances]
    if options.listen in ports and options.host in ("127.0.0.1", "localhost"):
        raise ExportError(
            f"port {options.listen} is that of instance {ports.index(options.listen)}",
            remedy="give another one with --set listen=PORT, or the instances others with --port",
        )
