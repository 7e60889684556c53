"""Who may do what: roles, in order, and the dependency by which an endpoint names the one that it needs."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from fastapi import Depends, Request

from autotune.errors import AccessError


class AccessRole(IntEnum):
    """What a token lets its bearer do; each may do what those before it may."""

    READ = 1
    TUNE = 2
    ADMIN = 3


def _require(request: Request, role: AccessRole) -> AccessRole:
    held: AccessRole | None = getattr(request.state, "role", None)
    if held is None or held < role:
        raise AccessError(
            f"this needs the role {role.name.lower()}",
            remedy="ask the operator of the service for such a token",
        )
    return held


def _reads(request: Request) -> AccessRole:
    return _require(request, AccessRole.READ)


def _tunes(request: Request) -> AccessRole:
    return _require(request, AccessRole.TUNE)


def _administers(request: Request) -> AccessRole:
    return _require(request, AccessRole.ADMIN)


def is_admin(request: Request) -> bool:
    """Say whether who asks may do everything, and so see secrets of others."""
    return getattr(request.state, "role", None) == AccessRole.ADMIN


MayRead = Annotated[AccessRole, Depends(_reads)]
MayTune = Annotated[AccessRole, Depends(_tunes)]
MayAdminister = Annotated[AccessRole, Depends(_administers)]
