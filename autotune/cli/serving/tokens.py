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


def _known_tokens(state: Path) -> TokenStore:
    """Open the tokens of a service that has been there: to look at them makes none."""
    from autotune.errors import ServiceError
    from autotune.service.guard.tokens import TOKEN_FILE

    if not (state / TOKEN_FILE).exists():
        raise ServiceError(
            f"no service has its state in {str(state)!r}",
            remedy="run this in the service's folder, or name its state with --state DIR",
        )
    return _tokens(state)


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

    is_new = not state.exists()
    made = _tokens(state).add(name, AccessRole[role.name])
    if is_new:
        output.message(
            f"no service had its state in {str(state)!r}: the token is for one that is started there"
        )
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
    rows = [
        (holder.name, holder.role.name.lower(), holder.created) for holder in _known_tokens(state).holders()
    ]
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
    _known_tokens(state).remove(name)
    output.message(f"the token of {name} is removed")
