"""What the commands that speak to a service take: its address, a token, and whom to trust."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autotune.cli import output

if TYPE_CHECKING:
    from autotune.client.client import Client
    from autotune.errors import AutotuneError

ServiceUrl = Annotated[
    str | None,
    typer.Option(
        "--url", metavar="URL", envvar="AUTOTUNE_URL", show_envvar=False, help="Address of the service."
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="File that holds the token, in the place of AUTOTUNE_TOKEN or .autotune/token."
    ),
]
CertificateFile = Annotated[
    Path | None,
    typer.Option(
        "--ca",
        metavar="FILE",
        envvar="AUTOTUNE_CA",
        show_envvar=False,
        help="Certificates to trust in the place of the system's (PEM), such as one that signed itself.",
    ),
]
PlainHttp = Annotated[
    bool, typer.Option("--plain-http", help="Send the token over a trusted network without encryption.")
]
AskedJob = Annotated[
    str, typer.Argument(metavar="JOB", help="The job's id, as `submit` and `status` print it.")
]
AsDocument = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def connect(url: str | None, token_file: Path | None, ca: Path | None, plain: bool) -> Client:
    """Give a client of the service that was named; nothing is sent.

    Raises:
        ServiceError: the address is none, or a file cannot be read.
    """
    from autotune.client.client import Client
    from autotune.client.credentials import read_token

    token = None if token_file is None else read_token(token_file)
    return Client(url, token=token, ca=ca, plain=plain, on_wait=_say)


def _say(reason: AutotuneError, pause_s: float) -> None:
    """Say what is waited for, as the command would seem to hang."""
    from autotune.units import format_duration

    output.message(f"{reason.problem}; trying again, first in {format_duration(max(1, round(pause_s)))}")
