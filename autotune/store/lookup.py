"""What a reference to a plan means, and which names are near one that means nothing."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from sqlalchemy import Connection, Select, select

from autotune.errors import NotStoredError
from autotune.store.location import Location
from autotune.store.tables import plans, studies

LATEST = "latest"
"""Refers to the newest plan that was made in the store; to an imported one where there is no other."""


def find_plan(ref: str, connection: Connection, location: Location, *, knows_origins: bool = True) -> str:
    """The id of the plan that `ref` means; see `StudyStore.plan`.

    Args:
        knows_origins: whether the database can say which plans were imported, as older ones cannot.

    Raises:
        NotStoredError: nothing, or more than one plan, answers to it.
    """
    if ref == LATEST:
        own = _newest().where(plans.c.origin == "") if knows_origins else _newest()
        newest = connection.scalar(own) or connection.scalar(_newest())
    else:
        newest = connection.scalar(_newest().where(plans.c.id == ref)) or connection.scalar(
            _newest().join(studies).where(studies.c.name == ref)
        )
    return newest or _beginning_with(ref, connection, location)


def nearest(name: str, names: Sequence[str]) -> str:
    """A remedy that names the known names near this one."""
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else "run `autotune plans` to see what there is"


def _newest() -> Select[str]:
    return select(plans.c.id).order_by(plans.c.created_s.desc(), plans.c.id).limit(1)


def _beginning_with(ref: str, connection: Connection, location: Location) -> str:
    ids = connection.scalars(select(plans.c.id).order_by(plans.c.created_s.desc())).all()
    if not ids:
        raise NotStoredError(
            f"the store {location} holds no plans", remedy="run `autotune tune STUDY.yaml` first"
        )
    matching = [plan_id for plan_id in ids if ref and plan_id.startswith(ref)]
    if len(matching) > 1:
        raise NotStoredError(
            f"{len(matching)} plans begin with {ref!r}", remedy=f"give more of one: {', '.join(matching[:3])}"
        )
    if not matching:
        names = [*ids, *connection.scalars(select(studies.c.name))]
        raise NotStoredError(f"the store {location} holds no plan {ref!r}", remedy=nearest(ref, names))
    return matching[0]
