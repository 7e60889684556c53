"""A file for nginx, which passes each request to the instance with the fewest in hand."""

from __future__ import annotations

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


class NginxOptions(BalancerOptions):
    """Where nginx listens, and how it keeps connections."""

    keepalive: Annotated[int, Field(ge=1, le=10_000)] = 32
    """Idle connections to the instances that each process of nginx keeps open."""
    body_mb: Annotated[int, Field(ge=1, le=10_000)] = 10
    """MiB that a request's body may have."""


class NginxExporter:
    """Writes `NAME.conf`, for the `http` section, as in /etc/nginx/conf.d."""

    name: ClassVar[str] = "nginx"
    summary: ClassVar[str] = "NAME.conf, which balances requests over the instances"
    programs: ClassVar[frozenset[Program]] = frozenset({"command"})
    is_starting: ClassVar[bool] = False
    keeps: ClassVar[Keeps] = NOTHING
    options: ClassVar[type[NginxOptions]] = NginxOptions

    def render(self, launch: Launch, options: NginxOptions) -> Exported:
        """Give `NAME.conf`.

        Raises:
            ExportError: nginx would listen on the port of an instance.
        """
        refuse_a_port_twice(launch, options)
        servers = "".join(
            f"    server {options.host}:{port_of(instance)};\n" for instance in launch.instances
        )
        text = f"""\
# In front of all instances of plan {launch.plan.id}; autotune export --to nginx
upstream {options.name} {{
    zone {options.name} 64k;  # one count of requests for all of nginx's processes
    least_conn;
{servers}    keepalive {options.keepalive};
}}

server {{
    listen {options.listen};
    client_max_body_size {options.body_mb}m;

    location / {{
        proxy_pass http://{options.name};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_read_timeout {options.timeout_s}s;
    }}
}}
"""
        return Exported({f"{options.name}.conf": text}, losses=tuple(balancer_losses(launch, self.name)))
