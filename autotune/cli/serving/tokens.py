"""`autotune serve token`: who may use the service, and for what."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autotune.cli import output

if TYPE_CHECKING:
    from autotune.service.guard.tokens import TokenStore

token = typer.Typer(no_args_is_help=True, help="Say who may use the service, and for what.")

State = Annotated[
    Path, typer.Option(metavar="DIR", help="Folder of the service's own files: tokens, sockets, logs.")
]


class AskedRole(StrEnum):
    """What a token lets its bearer do; each may do what those before it may."""

    READ = "read"
    TUNE = "tune"
    ADMIN = "admin"


def _tokens(state: Path) -> TokenStore:
    from autotune.service.guard.tokens import TokenStore

    return TokenStore(state)


@token.command("add")
def add_token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who gets it.")],
    *,
    role: Annotated[AskedRole, typer.Option(help="What it is good for.")] = AskedRole.READ,
    state: State = Path(".autotune"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make a token, and print it: it is shown this once, and kept nowhere."""
    from autotune.service.access import AccessRole

    made = _tokens(state).add(name, AccessRole[role.name])
    if as_json:
        output.result_json({"name": name, "role": role.value, "token": made})
    else:
        output.result_text(made)


@token.command("list")
def list_tokens(
    *,
    state: State = Path(".autotune"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List who has a token, and what it is good for; the tokens themselves are not kept."""
    rows = [(holder.name, holder.role.name.lower(), holder.created) for holder in _tokens(state).holders()]
    if as_json:
        output.result_json([dict(zip(("name", "role", "created"), row, strict=True)) for row in rows])
    else:
        output.result_table("", ("name", "role", "created"), rows)


@token.command("remove")
def remove_token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is.")],
    *,
    state: State = Path(".autotune"),
) -> None:
    """Remove a token; a service that runs refuses it from the next request on."""
    _tokens(state).remove(name)
    output.message(f"the token of {name} is removed")
