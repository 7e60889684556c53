"""Forgets what is old: events and jobs that have ended, and studies in which nothing happens any more."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Select, Subquery, delete, func, select, union_all

from autotune.errors import JobConflictError, StoreError, StudyError
from autotune.store.engine import BUSY_TIMEOUT_S
from autotune.store.in_use import one_run
from autotune.store.job_records import ENDED
from autotune.store.job_tables import events, jobs
from autotune.store.schedule_tables import schedules
from autotune.store.store import StudyStore
from autotune.store.tables import confirmations, plans, studies, trials
from autotune.store.trial_pages import study_found

BATCH: Final = 500
"""Jobs whose events are forgotten in one transaction: others may write between two."""


@dataclass(frozen=True)
class Expired:
    """What is old enough to be forgotten.

    Attributes:
        studies: names of those whose trials and rounds go; the ones without a plan that stays go themselves.
        plans: how many plans go with them.
        jobs: ids of jobs that have ended; their events go with them.
        trials, rounds, events: how many of each go.
        kept: names of studies that are as old, and why they stay.
    """

    studies: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    trials: int = 0
    rounds: int = 0
    events: int = 0
    kept: tuple[tuple[str, str], ...] = field(default=())


def find_expired(
    store: StudyStore, *, before_s: float, keep_plans: bool = True, watched: Sequence[str] = ()
) -> Expired:
    """Say what was last touched before a moment, and may go.

    Args:
        before_s: Unix time.
        keep_plans: whether plans stay, which hold all that is needed to use, verify and show them.
        watched: names of studies whose plans are verified by a schedule, and stay in any case.
    """
    with store.transaction() as connection:
        old_jobs = _old_jobs(before_s)
        told = select(func.count()).select_from(events).where(events.c.job_id.in_(old_jobs))
        busy = set(connection.scalars(select(jobs.c.study).where(jobs.c.state.not_in(ENDED)).distinct()))
        old = _old_studies(connection, before_s)
        names = [name for name in old if name not in busy]
        going = [] if keep_plans else [name for name in names if name not in watched]
        return Expired(
            studies=tuple(name for name in names if name in going or not _is_bare(connection, name)),
            plans=tuple(
                connection.scalars(select(plans.c.id).join(studies).where(studies.c.name.in_(going)))
            ),
            jobs=tuple(connection.scalars(old_jobs)),
            trials=_count(connection, trials, names),
            rounds=_count(connection, confirmations, names),
            events=int(connection.scalar(told) or 0),
            kept=(
                *((name, "a job of it waits or runs") for name in old if name in busy),
                *((name, "a schedule watches it") for name in names if not keep_plans and name in watched),
            ),
        )


def forget(store: StudyStore, url: str, expired: Expired) -> tuple[str, ...]:
    """Forget what was found to be old; give the names of studies that are being tuned meanwhile, and stay.

    Each step is whole by itself: where it is ended between two, the next call does the rest.

    Args:
        url: of the store.

    Raises:
        StoreError: the store cannot be written.
    """
    for begin in range(0, len(expired.jobs), BATCH):
        some = expired.jobs[begin : begin + BATCH]
        with store.transaction() as connection:
            ended = jobs.c.id.in_(some) & jobs.c.state.in_(ENDED)
            gone = select(jobs.c.id).where(ended)
            connection.execute(delete(events).where(events.c.job_id.in_(gone)))
            connection.execute(delete(jobs).where(ended))
    return tuple(name for name in expired.studies if not _forget_study(store, url, name, expired.plans))


def delete_study(store: StudyStore, url: str, name: str) -> None:
    """Forget a study with its trials, rounds and plans; jobs that have ended stay.

    Args:
        url: of the store.

    Raises:
        NotStoredError: there is none of this name.
        JobConflictError: a job of it waits or runs, or a schedule watches it.
        StudyError: it is being tuned.
        StoreError: the store cannot be written.
    """
    study_found(store, name)
    with store.reading() as connection:
        waiting = select(jobs.c.id).where(jobs.c.study == name, jobs.c.state.not_in(ENDED))
        job = connection.scalar(waiting.limit(1))
        schedule = connection.scalar(select(schedules.c.name).where(schedules.c.study == name).limit(1))
    if job is not None:
        raise JobConflictError(
            f"the job {job} of the study {name!r} waits or runs", remedy="cancel it, and wait for its end"
        )
    if schedule is not None:
        raise JobConflictError(
            f"the schedule {schedule!r} watches the study {name!r}", remedy="delete the schedule first"
        )
    if not _forget_study(store, url, name, [plan.id for plan in store.plans(name)]):
        raise StudyError(f"the study {name!r} is being tuned", remedy="wait for it to end, or stop it")


def reclaim(store: StudyStore) -> None:
    """Give the disk back what a store does not need any more; nobody can write meanwhile.

    A server does that by itself.

    Raises:
        StoreError: there is no room for it, or somebody keeps the store busy.
    """
    path = store.location.path
    if path is None:
        return
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_S)) as connection:
            connection.execute("VACUUM")
    except sqlite3.Error as error:
        raise StoreError(
            f"the space that is free in the store {store.location} cannot be given back: {error}",
            remedy="it is used again by what comes; for a moment this needs as much room as the store takes",
        ) from error


def _forget_study(store: StudyStore, url: str, name: str, going: Sequence[str]) -> bool:
    """Forget the trials of a study, and all of it where no plan stays; False where it is being tuned."""
    try:
        with one_run(url, name):
            _forget_search(store, name)  # first: without its trials, Optuna's study would be in the way
            with store.transaction() as connection:
                study_id = connection.scalar(select(studies.c.id).where(studies.c.name == name))
                for table in (trials, confirmations):
                    connection.execute(delete(table).where(table.c.study_id == study_id))
                own = plans.c.study_id == study_id
                connection.execute(delete(plans).where(own, plans.c.id.in_(going)))
                if not connection.scalar(select(func.count()).select_from(plans).where(own)):
                    connection.execute(delete(studies).where(studies.c.id == study_id))
    except StudyError:
        return False
    return True


def _forget_search(store: StudyStore, name: str) -> None:
    """Delete Optuna's study, which has a row for each trial."""
    import optuna
    from optuna.exceptions import StorageInternalError

    try:
        optuna.delete_study(study_name=name, storage=store.optuna_storage())
    except KeyError:
        return  # an imported one, or what an earlier call has left
    except StorageInternalError as error:
        cause = str(error.__cause__ or error).splitlines()[0]
        raise StoreError(
            f"the study {name!r} of the store {store.location} cannot be forgotten: {cause}",
            remedy="see whether the store is locked or may be written; the next call does the rest",
        ) from error


def _old_jobs(before_s: float) -> Select[str]:
    """Jobs that ended before a moment, but for each plan's newest verification: it says how that stands."""
    newest = (
        select(jobs.c.plan, func.max(jobs.c.ended_s).label("ended_s"))
        .where(jobs.c.kind == "verify", jobs.c.state == "done")
        .group_by(jobs.c.plan)
        .subquery()
    )
    standing = select(jobs.c.id).join(
        newest, (jobs.c.plan == newest.c.plan) & (jobs.c.ended_s == newest.c.ended_s)
    )
    ended = select(jobs.c.id).where(jobs.c.state.in_(ENDED), jobs.c.ended_s < before_s)
    return ended.where(jobs.c.id.not_in(standing))


def _old_studies(connection: Connection, before_s: float) -> list[str]:
    """Studies in which nothing came into being since a moment, oldest first."""
    touched = _touched()
    newest = func.max(touched.c.at_s)
    listed = (
        select(studies.c.name)
        .join(touched, touched.c.study_id == studies.c.id)
        .group_by(studies.c.id, studies.c.name)
        .having(newest < before_s)
        .order_by(newest, studies.c.name)
    )
    return list(connection.scalars(listed))


def _touched() -> Subquery:
    """Every moment at which something came into a study."""
    return union_all(
        select(studies.c.id.label("study_id"), studies.c.created_s.label("at_s")),
        select(trials.c.study_id, trials.c.ended_s),
        select(confirmations.c.study_id, confirmations.c.ended_s),
        select(plans.c.study_id, plans.c.created_s),
    ).subquery()


def _is_bare(connection: Connection, name: str) -> bool:
    """Whether a study has nothing but plans."""
    trials_, rounds, planned = (_count(connection, table, [name]) for table in (trials, confirmations, plans))
    return bool(planned) and not trials_ and not rounds


def _count(connection: Connection, table: Any, names: Sequence[str]) -> int:
    counted = select(func.count()).select_from(table).join(studies, table.c.study_id == studies.c.id)
    return int(connection.scalar(counted.where(studies.c.name.in_(names))) or 0)
