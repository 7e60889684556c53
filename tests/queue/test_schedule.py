"""Verifications that are due are asked for: every so often, and where the machine or a version changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import update

from autotune.queue.requests import VerifyValues, read_values
from autotune.queue.schedule import BY_SCHEDULE, Scheduler
from autotune.queue.surroundings import installed_versions, surroundings_digest
from autotune.store.job_records import JobRecord
from autotune.store.jobs import JobQueue
from autotune.store.schedule_records import ScheduleRecord
from autotune.store.schedule_tables import schedules
from autotune.store.schedules import ScheduleBook
from autotune.store.store import StudyStore, open_store
from autotune.testing.plans import build_plan
from autotune.testing.queue_contract import HOLDER, MACHINE
from autotune.testing.store_contract import STUDY

NIGHTLY = ScheduleRecord(
    "nightly", STUDY.name, MACHINE, every_s=86_400.0, tolerance=0.1, minutes=5.0, webhook="https://a.example/"
)


@dataclass
class House:
    """A store with a plan, and a machine that may change.

    Attributes:
        digest: of the machine and its versions.
    """

    store: StudyStore
    digest: str = "as it was"

    @property
    def queue(self) -> JobQueue:
        return JobQueue(self.store)

    @property
    def book(self) -> ScheduleBook:
        return ScheduleBook(self.store)

    def ask_due(self) -> tuple[JobRecord, ...]:
        return Scheduler(self.store, MACHINE, digest=lambda: self.digest).ask_due()

    def let_time_pass(self) -> None:
        """Have every schedule's next time come."""
        with self.store.transaction() as connection:
            connection.execute(update(schedules).values(due_s=self.queue_now_s - 1.0))

    @property
    def queue_now_s(self) -> float:
        return JobQueue(self.store).now_s()

    def end(self, job: JobRecord) -> None:
        begun = self.queue.begin(MACHINE, HOLDER)
        assert begun is not None
        assert begun.id == job.id
        self.queue.end(job.id, HOLDER, "done", plan="quickstart-7f3a9c", result={"verdict": "holds"})


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with open_store(f"sqlite:///{tmp_path / 'autotune.db'}") as store:
        store.create_study(STUDY)
        store.save_plan(build_plan())
        yield House(store)


def test_a_verification_is_asked_for_when_it_is_due_and_then_one_interval_later(house: House) -> None:
    house.book.put(NIGHTLY)
    assert house.ask_due() == ()
    house.let_time_pass()
    (job,) = house.ask_due()
    assert read_values(job) == VerifyValues(
        plan=build_plan().id, tolerance=0.1, minutes=5.0, webhook="https://a.example/"
    )
    assert (job.request.kind, job.request.asked_by, job.request.priority) == ("verify", BY_SCHEDULE, -10)
    assert (house.book.schedule("nightly").due_s or 0.0) > house.queue_now_s + 86_000.0
    house.end(job)
    assert house.ask_due() == ()


def test_one_that_still_waits_or_runs_is_not_asked_for_again(house: House) -> None:
    house.book.put(NIGHTLY)
    house.let_time_pass()
    (job,) = house.ask_due()
    house.let_time_pass()
    assert house.ask_due() == ()
    house.end(job)
    house.let_time_pass()
    assert len(house.ask_due()) == 1


def test_the_newest_plan_is_verified_and_nothing_where_there_is_none(house: House) -> None:
    newer = build_plan(id="quickstart-000001", created_s=build_plan().created_s + 1.0)
    house.store.save_plan(newer)
    for name, study in (("nightly", STUDY.name), ("early", "not-yet")):
        house.book.put(replace(NIGHTLY, name=name, study=study))
    house.let_time_pass()
    (job,) = house.ask_due()
    values = read_values(job)
    assert isinstance(values, VerifyValues)
    assert values.plan == newer.id
    assert (house.book.schedule("early").due_s or 0.0) > house.queue_now_s


def test_a_change_of_machine_or_versions_asks_once_and_the_first_look_is_none(house: House) -> None:
    house.book.put(replace(NIGHTLY, every_s=None, on_change=True))
    assert house.ask_due() == ()
    assert house.ask_due() == ()
    house.digest = "another version"
    (job,) = house.ask_due()
    assert house.ask_due() == ()
    house.end(job)
    assert house.ask_due() == ()
    house.digest = "as it was"
    assert len(house.ask_due()) == 1


def test_who_does_not_ask_for_changes_is_not_told_of_them(house: House) -> None:
    house.book.put(NIGHTLY)
    house.ask_due()
    house.digest = "another version"
    assert house.ask_due() == ()


def test_a_schedule_of_another_machine_is_that_machines(house: House) -> None:
    house.book.put(replace(NIGHTLY, machine="there"))
    house.let_time_pass()
    assert house.ask_due() == ()
    assert len(Scheduler(house.store, "there", digest=lambda: "").ask_due()) == 1


def test_two_services_ask_for_each_job_once(house: House) -> None:
    house.book.put(NIGHTLY)
    house.let_time_pass()
    stale = house.book.schedules(MACHINE)
    (job,) = house.ask_due()
    house.end(job)
    moved = house.book.schedule("nightly").due_s
    house.book.advance(stale[0])
    assert house.book.schedule("nightly").due_s == moved


def recorded(root: Path, *, online: str = "0-3", memory: str = "64 kB") -> Path:
    for name, text in (
        ("sys/devices/system/cpu/online", online),
        ("proc/meminfo", f"MemTotal: {memory}\nMemFree: 1 kB\n"),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_the_digest_is_the_same_until_something_changes(tmp_path: Path) -> None:
    before = surroundings_digest(recorded(tmp_path))
    assert surroundings_digest(recorded(tmp_path)) == before
    assert surroundings_digest(recorded(tmp_path, online="0-1")) != before
    assert surroundings_digest(recorded(tmp_path, memory="32 kB")) != before


def test_the_versions_are_those_of_all_that_can_decide_speed() -> None:
    assert {"autotune", "torch", "onnxruntime", "numpy"} <= {*installed_versions()}
