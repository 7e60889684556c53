"""Plans of other stores, and curves that were measured after a plan was made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, insert, select, update

from autotune.errors import PlanError, StoreError
from autotune.store.location import Location
from autotune.store.lookup import nearest
from autotune.store.records import PlanSummary, StudyRecord
from autotune.store.rows import plan_row, study_row
from autotune.store.tables import plans, studies

if TYPE_CHECKING:
    from autotune.plan.document import Plan
    from autotune.store.store import StudyStore

AT: Final = "@"
"""Between the name of an imported plan's study and its machine: no study file's name has it."""
MACHINE_DIGITS: Final = 12
"""Of a machine's fingerprint, which name it."""
STUDY_LETTERS: Final = 64
"""The longest name that a study can have in the store."""
DIGEST_LETTERS: Final = 64


def import_all(store: StudyStore, read: Sequence[tuple[Plan, str]]) -> list[bool]:
    """Keep plans that were made in other stores, all or none, and say of each whether it is new here.

    Args:
        read: each with the file or store that it is read from.

    Raises:
        StoreError: another plan has the id of one.
    """
    with store.transaction() as connection:
        return [_import(connection, store.location, plan, origin) for plan, origin in read]


def _import(connection: Connection, location: Location, plan: Plan, origin: str) -> bool:
    """Keep a plan that was made in another store, and say whether it is new here.

    Its study gets a name of its own, which no study file can have, so that it is never taken for one of this
    store. The curve of a plan that is there already is kept where that has none.
    """
    if holds(connection, location, plan):
        if plan.curve is not None and _has_no_curve(connection, plan):
            _replace(connection, plan)
        return False
    record = imported_study(plan)
    found = select(studies.c.id).where(studies.c.name == record.name)
    if connection.scalar(found) is None:
        connection.execute(insert(studies).values(study_row(record)))
    study_id = connection.scalars(found).one()
    connection.execute(insert(plans).values(plan_row(plan, study_id, origin)))
    return True


def keep_curve(store: StudyStore, plan: Plan) -> None:
    """Keep the curve that was measured of a stored plan, in the place of an older one.

    Raises:
        StoreError: there is no such plan, or another one has its id.
    """
    with store.transaction() as connection:
        if not holds(connection, store.location, plan):
            raise StoreError(
                f"the store {store.location} holds no plan {plan.id!r}",
                remedy="import it first, or give -o FILE",
            )
        _replace(connection, plan)


def newest_plans(store: StudyStore, names: Sequence[str] = ()) -> list[Plan]:
    """Read the newest plan of every study, imported ones too; newest first.

    Args:
        names: of the studies to read, as `autotune plans` lists them, or without the machine that an imported
            one has after its name; none = all.

    Raises:
        StoreError: there is no such study.
        PlanError: a plan cannot be read.
    """
    listed = store.plans()
    for name in names:
        if not any(name in _names(summary) for summary in listed):
            known = sorted({summary.study for summary in listed})
            raise StoreError(
                f"the store {store.location} holds no plan of a study {name!r}", remedy=nearest(name, known)
            )
    found: dict[str, Plan] = {}
    for summary in listed:
        if summary.study not in found and (not names or any(name in _names(summary) for name in names)):
            found[summary.study] = store.plan(summary.id)
    return list(found.values())


def _names(summary: PlanSummary) -> tuple[str, str]:
    """Give the names by which a study may be asked for."""
    return summary.study, summary.study.partition(AT)[0]


def holds(connection: Connection, location: Location, plan: Plan) -> bool:
    """Tell whether a plan is there, whatever is known of its curve.

    Raises:
        StoreError: another one has its id.
    """
    held = connection.scalar(select(plans.c.document).where(plans.c.id == plan.id))
    if held is not None and not _is_same(held, plan):
        raise StoreError(
            f"the store {location} already holds another plan {plan.id!r}",
            remedy="use another store (--store URL) for one of the two",
        )
    return held is not None


def imported_study(plan: Plan) -> StudyRecord:
    """Give the study that stands for an imported plan's: one for each machine, never one of a study file."""
    machine = str(plan.machine.get("fingerprint", "unknown"))[:MACHINE_DIGITS]
    name = (plan.study.name or "unknown")[: STUDY_LETTERS - MACHINE_DIGITS - len(AT)]
    return StudyRecord(
        name=f"{name}{AT}{machine}",
        created_s=plan.created_s,
        spec=plan.study.spec,
        machine=plan.machine,
        versions=plan.versions,
        model_digest=str(plan.model.get("digest", ""))[:DIGEST_LETTERS],
        model_source=str(plan.model.get("source", "unknown")),
    )


def _replace(connection: Connection, plan: Plan) -> None:
    document = plan_row(plan, 0)["document"]
    connection.execute(update(plans).where(plans.c.id == plan.id).values(document=document))


def _has_no_curve(connection: Connection, plan: Plan) -> bool:
    document = connection.scalars(select(plans.c.document).where(plans.c.id == plan.id)).one()
    return json.loads(document).get("curve") is None


def _is_same(document: str, plan: Plan) -> bool:
    from autotune.plan.document import parse_plan  # here: a listing parses no plan

    try:
        held = parse_plan(document)
    except PlanError:
        return False
    return held.model_copy(update={"curve": None}) == plan.model_copy(update={"curve": None})
