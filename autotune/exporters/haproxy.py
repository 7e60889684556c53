"""A file for HAProxy, which passes each request to the instance with the fewest connections."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from autotune.exporters.protocol import Exported, Keeps
from autotune.exporters.upstream import (
    NOTHING,
    BalancerOptions,
    balancer_losses,
    port_of,
    refuse_a_port_twice,
)
from autotune.plan.launch import Launch, Program


class HaproxyOptions(BalancerOptions):
    """Where HAProxy listens, how it looks after instances, and how many requests each is given at once."""

    health: Annotated[
        str,
        Field(
            pattern=r"^(/[A-Za-z0-9_./~-]{0,200})?$",
            title="a path of letters, digits and _ . / ~ -, such as /health",
        ),
    ] = ""
    """Path that an instance in health answers with 2xx or 3xx; by default it only has to listen."""
    maxconn: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Requests that an instance is given at once, while HAProxy keeps the others waiting; 0 = any number."""


class HaproxyExporter:
    """Writes `NAME.cfg`, one section that needs no defaults: a file of its own beside others (`-f`)."""

    name: ClassVar[str] = "haproxy"
    summary: ClassVar[str] = "NAME.cfg, which balances requests over the instances"
    programs: ClassVar[frozenset[Program]] = frozenset({"command"})
    is_starting: ClassVar[bool] = False
    keeps: ClassVar[Keeps] = NOTHING
    options: ClassVar[type[HaproxyOptions]] = HaproxyOptions

    def render(self, launch: Launch, options: HaproxyOptions) -> Exported:
        """Give `NAME.cfg`.

        Raises:
            ExportError: HAProxy would listen on the port of an instance.
        """
        refuse_a_port_twice(launch, options)
        text = "".join(f"{line}\n" for line in _lines(launch, options))
        return Exported({f"{options.name}.cfg": text}, losses=tuple(balancer_losses(launch, self.name)))


def _lines(launch: Launch, options: HaproxyOptions) -> Iterator[str]:
    yield f"# In front of all instances of plan {launch.plan.id}; autotune export --to haproxy"
    yield f"listen {options.name}"
    yield f"    bind :{options.listen}"
    yield "    mode http"
    yield "    balance leastconn"
    yield "    option forwardfor"
    yield "    timeout connect 5s"
    for side in ("client", "server", "queue"):
        yield f"    timeout {side} {options.timeout_s}s"
    if options.health:
        yield f"    option httpchk GET {options.health}"
    limit = f" maxconn {options.maxconn}" if options.maxconn else ""
    for instance in launch.instances:
        yield f"    server instance-{instance.index} {options.host}:{port_of(instance)} check{limit}"
