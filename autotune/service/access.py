"""Who may do what: roles, in order, and the dependency by which an endpoint names the one that it needs."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from fastapi import Depends, Request

from autotune.errors import AccessError


class Role(IntEnum):
    """What a token lets its bearer do; each may do what those before it may."""

    READ = 1
    TUNE = 2
    ADMIN = 3


def _require(request: Request, role: Role) -> Role:
    held: Role | None = getattr(request.state, "role", None)
    if held is None or held < role:
        raise AccessError(
            f"this needs the role {role.name.lower()}",
            remedy="ask the operator of the service for such a token",
        )
    return held


def _reads(request: Request) -> Role:
    return _require(request, Role.READ)


def _tunes(request: Request) -> Role:
    return _require(request, Role.TUNE)


def _administers(request: Request) -> Role:
    return _require(request, Role.ADMIN)


MayRead = Annotated[Role, Depends(_reads)]
MayTune = Annotated[Role, Depends(_tunes)]
MayAdminister = Annotated[Role, Depends(_administers)]
