"""The study store: studies, trials, confirmations and plans in one database with Optuna's own tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Column, Connection, Engine, Table, func, insert, select
from sqlalchemy.exc import IntegrityError

from autotune.errors import NotStoredError, PlanError, StoreError
from autotune.store.engine import (
    BUSY_TIMEOUT_S,
    READS,
    making_tables,
    reading_engine,
    translated,
    writing_engine,
)
from autotune.store.imports import holds
from autotune.store.inspection import check_place, inspect_file, recover
from autotune.store.location import Location, parse_location
from autotune.store.lookup import LATEST, find_plan, nearest
from autotune.store.records import (
    ConfirmationRecord,
    PlanSummary,
    StudyRecord,
    TrialRecord,
    TrialSummary,
)
from autotune.store.rows import (
    confirmation_record,
    confirmation_row,
    plan_row,
    plan_summary,
    study_record,
    study_row,
    trial_record,
    trial_row,
    trial_summary,
)
from autotune.store.schema import (
    Contents,
    check_contents,
    check_optuna,
    check_readable,
    columns_after,
    read_contents,
    upgrade,
)
from autotune.store.tables import REVISIONS, confirmations, plans, studies, trials

if TYPE_CHECKING:
    from optuna.storages import BaseStorage, RDBStorage

    from autotune.plan.document import Plan

DEFAULT_URL = "sqlite:///autotune.db"


def open_store(
    url: str = DEFAULT_URL,
    *,
    timeout_s: float = BUSY_TIMEOUT_S,
    optuna: BaseStorage | None = None,
    runs_studies: bool = True,
) -> StudyStore:
    """Open a store for writing; make it, or bring its tables up to date, where needed.

    Everything is checked first, reading only: a refused database is left byte for byte as it was. A database
    with nothing but Optuna's tables is accepted, and gets ours beside them.

    Args:
        timeout_s: how long a lock that another process holds is waited for.
        optuna: another storage for Optuna's trials; None = the same database.
        runs_studies: whether Optuna's tables are to be written, and are checked; asking Optuna takes memory.

    Raises:
        StoreError: the URL is wrong, or the database corrupt, foreign, read-only, newer or locked.
    """
    location = parse_location(url)
    with translated(location, timeout_s):
        contents = _check(location, timeout_s, writing=True, runs_studies=runs_studies)
        store = StudyStore(location, writing_engine(location, timeout_s), timeout_s, optuna=optuna)
        if contents.revision != REVISIONS[-1]:
            with making_tables(location, timeout_s), store.transaction() as connection:
                upgrade(connection)
    return store


def read_store(url: str = DEFAULT_URL, *, timeout_s: float = BUSY_TIMEOUT_S) -> StudyStore:
    """Open a store that is there, for reading only: nothing is made or changed.

    Raises:
        StoreError: as for `open_store`; or there is no store, or one of an older version.
    """
    location = parse_location(url)
    with translated(location, timeout_s):
        contents = _check(location, timeout_s, writing=False)
        return StudyStore(
            location, reading_engine(location, timeout_s), timeout_s, lacking=columns_after(contents.revision)
        )


class StudyStore:
    """One open database; a context manager. Made by `open_store` and `read_store`."""

    def __init__(
        self,
        location: Location,
        engine: Engine,
        timeout_s: float,
        *,
        lacking: frozenset[str] = frozenset(),
        optuna: BaseStorage | None = None,
    ) -> None:
        """Take an open database.

        Args:
            lacking: columns that an older database does not have, and that are read as their defaults.
            optuna: where Optuna's trials are kept; None = in the same database.
        """
        self.location = location
        self._lacking = lacking
        self._engine = engine
        self._reader = engine.execution_options(**{READS: True, "postgresql_readonly": True})
        self._timeout_s = timeout_s
        self._optuna: RDBStorage | None = None
        self._other_optuna = optuna

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release every connection, Optuna's too."""
        if self._optuna is not None:
            from autotune.store.optuna_storage import close_optuna

            close_optuna(self._optuna)
            self._optuna = None
        self._engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction: committed at its end, rolled back by an exception."""
        with translated(self.location, self._timeout_s), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One transaction that writes nothing: it waits for no writer but one that just commits."""
        with translated(self.location, self._timeout_s), self._reader.begin() as connection:
            yield connection

    def optuna_storage(self) -> BaseStorage:
        """Give Optuna's storage, which is in the same database; the same one at every call.

        Raises:
            StoreError: Optuna cannot use the database.
        """
        if self._other_optuna is not None:
            return self._other_optuna
        if self._optuna is None:
            from autotune.store.optuna_storage import open_optuna

            self._optuna = open_optuna(self.location, self._timeout_s)
        return self._optuna

    def create_study(self, record: StudyRecord) -> None:
        """Add a study.

        Raises:
            StoreError: there is one of this name.
        """
        with self.transaction() as connection:
            try:
                connection.execute(insert(studies).values(study_row(record)))
            except IntegrityError as error:
                raise StoreError(
                    f"the store {self.location} already holds a study {record.name!r}",
                    remedy="give the study another name, or use another --store",
                ) from error

    def find_study(self, name: str) -> StudyRecord | None:
        """The study of this name, if there is one."""
        with self.reading() as connection:
            row = connection.execute(select(studies).where(studies.c.name == name)).one_or_none()
            return None if row is None else study_record(row)

    def studies(self) -> tuple[str, ...]:
        """The names of all studies, oldest first."""
        with self.reading() as connection:
            return tuple(connection.scalars(select(studies.c.name).order_by(studies.c.id)))

    def record_trial(self, record: TrialRecord) -> None:
        """Keep one finished trial with its raw values, at once and as a whole.

        Raises:
            StoreError: the study is unknown, or has a trial of this number.
        """
        with self.transaction() as connection:
            row = trial_row(record, self._study_id(connection, record.study))
            try:
                connection.execute(insert(trials).values(row))
            except IntegrityError as error:
                raise StoreError(
                    f"the study {record.study!r} already has a trial {record.number}",
                    remedy="is another `autotune tune` running this study?",
                ) from error

    def trials(self, study: str) -> tuple[TrialRecord, ...]:
        """Every trial of a study with its raw values, by number.

        Raises:
            StoreError: the study is unknown, or a stored result is damaged.
        """
        with self.reading() as connection:
            mine = trials.c.study_id == self._study_id(connection, study)
            rows = connection.execute(select(*self._columns(trials)).where(mine).order_by(trials.c.number))
            return tuple(trial_record(row, study) for row in rows)

    def trial_summaries(self, study: str) -> tuple[TrialSummary, ...]:
        """Every trial of a study without its raw values, by number.

        Raises:
            StoreError: the study is unknown.
        """
        listed = [column for column in trials.c if column.name not in ("result", "host")]
        with self.reading() as connection:
            mine = trials.c.study_id == self._study_id(connection, study)
            rows = connection.execute(select(*listed).where(mine).order_by(trials.c.number))
            return tuple(trial_summary(row, study) for row in rows)

    def record_confirmation(self, record: ConfirmationRecord) -> None:
        """Keep one run of a confirmation with its raw values, at once and as a whole.

        Raises:
            StoreError: the study is unknown, or has a run at this place.
        """
        with self.transaction() as connection:
            row = confirmation_row(record, self._study_id(connection, record.study))
            try:
                connection.execute(insert(confirmations).values(row))
            except IntegrityError as error:
                raise StoreError(
                    f"confirmation {record.series} of the study {record.study!r} already has a run "
                    f"{record.position} in round {record.round}",
                    remedy="is another `autotune tune` running this study?",
                ) from error

    def count_confirmations(self, study: str) -> int:
        """How many runs of a study's confirmations are kept; reads none of them.

        Raises:
            StoreError: the study is unknown.
        """
        with self.reading() as connection:
            counted = select(func.count()).where(
                confirmations.c.study_id == self._study_id(connection, study)
            )
            return int(connection.execute(counted).scalar_one())

    def confirmations(self, study: str, series: int | None = None) -> tuple[ConfirmationRecord, ...]:
        """Every run of a study's confirmations, or of one of them, by series, round and position.

        Raises:
            StoreError: the study is unknown, or a stored result is damaged.
        """
        order = (confirmations.c.series, confirmations.c.round, confirmations.c.position)
        with self.reading() as connection:
            listed = select(*self._columns(confirmations)).where(
                confirmations.c.study_id == self._study_id(connection, study)
            )
            if series is not None:
                listed = listed.where(confirmations.c.series == series)
            rows = connection.execute(listed.order_by(*order))
            return tuple(confirmation_record(row, study) for row in rows)

    def save_plan(self, plan: Plan) -> None:
        """Keep a plan; keeping the same one again changes nothing.

        Raises:
            StoreError: its study is unknown, or another plan has its id.
        """
        with self.transaction() as connection:
            row = plan_row(plan, self._study_id(connection, plan.study.name))
            if not holds(connection, self.location, plan):
                connection.execute(insert(plans).values(row))

    def origin(self, plan_id: str) -> str:
        """Say which file or store a plan was imported from; empty where it was made in this store."""
        if "origin" in self._lacking:
            return ""
        with self.reading() as connection:
            return connection.scalar(select(plans.c.origin).where(plans.c.id == plan_id)) or ""

    def plans(self, study: str | None = None) -> tuple[PlanSummary, ...]:
        """What the store holds, newest first; of one study if named.

        Raises:
            StoreError: the study is unknown.
        """
        with self.reading() as connection:
            listed = select(*self._columns(plans), studies.c.name).join_from(plans, studies)
            if study is not None:
                listed = listed.where(plans.c.study_id == self._study_id(connection, study))
            rows = connection.execute(listed.order_by(plans.c.created_s.desc(), plans.c.id))
            return tuple(plan_summary(row) for row in rows)

    def plan(self, ref: str = LATEST) -> Plan:
        """The plan that `ref` means: `latest`, an id, a study's name (its newest), or how one id begins.

        Raises:
            StoreError: nothing, or more than one plan, answers to it; names the near ones.
            PlanError: its document cannot be read.
        """
        from autotune.plan.document import parse_plan

        with self.reading() as connection:
            plan_id = find_plan(ref, connection, self.location, knows_origins="origin" not in self._lacking)
            document = connection.scalars(select(plans.c.document).where(plans.c.id == plan_id)).one()
        try:
            return parse_plan(document)
        except PlanError as error:
            raise PlanError(
                f"the plan {plan_id!r} of the store {self.location}: {error.problem}", remedy=error.remedy
            ) from error

    def newest_plan(self, study: str) -> Plan | None:
        """The study's newest plan; None where there is none that can be read."""
        summaries = self.plans(study)
        try:
            return self.plan(summaries[0].id) if summaries else None
        except PlanError:
            return None

    def _columns(self, table: Table) -> list[Column[Any]]:
        """Name the columns of a table that this database has."""
        return [column for column in table.c if column.name not in self._lacking]

    def _study_id(self, connection: Connection, name: str) -> int:
        found = connection.scalar(select(studies.c.id).where(studies.c.name == name))
        if found is None:
            names = connection.scalars(select(studies.c.name)).all()
            raise NotStoredError(
                f"the store {self.location} holds no study {name!r}", remedy=nearest(name, names)
            )
        return found


def _check(location: Location, timeout_s: float, *, writing: bool, runs_studies: bool = False) -> Contents:
    """Refuse a database that cannot be used, before anything in it is changed; give what it holds."""
    contents = _contents(location, timeout_s, writing=writing)
    check_contents(contents, location)
    if runs_studies:
        check_optuna(contents, location)
    if not writing:
        check_readable(contents, location)
    if contents.abandoned and location.path is not None:
        recover(location.path, timeout_s)
    return contents


def _contents(location: Location, timeout_s: float, *, writing: bool) -> Contents:
    if location.path is None:
        with reading_engine(location, timeout_s).connect() as connection:
            return read_contents(connection)
    check_place(location.path, writing=writing)
    if not location.path.exists():
        return Contents(frozenset())
    return inspect_file(location.path, timeout_s, thorough=writing)
