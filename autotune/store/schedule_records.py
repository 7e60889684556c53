"""What the store keeps of scheduled jobs, and of what verifications have shown: frozen values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ScheduleRecord:
    """The newest plan of a study is to be verified every so often.

    Attributes:
        name: by which it is changed and deleted.
        study: whose newest plan is verified.
        machine: name of the machine that does it.
        every_s: how long after one is asked for the next is; None = only where something changes.
        on_change: whether it is verified when the machine or an installed version is another one.
        tolerance: by which share a figure may fall short of what the plan states.
        minutes: begin no round later than this; None = no such bound.
        webhook: URL that is told where the plan does not hold any more; empty = nobody is.
        priority: of its jobs; the usual one lets all that people ask for come first.
        asked_by: the name of the token that asked.
        due_s: when the next job is asked for, by the database's clock; None = never, by the time alone.
        seen: digest of the machine and the versions when they were last looked at; empty before that.
    """

    name: str
    study: str
    machine: str
    every_s: float | None = None
    on_change: bool = False
    tolerance: float = 0.05
    minutes: float | None = None
    webhook: str = ""
    priority: int = -10
    asked_by: str = ""
    due_s: float | None = None
    seen: str = ""


@dataclass(frozen=True)
class PlanStanding:
    """What the newest verification of a plan has shown.

    Attributes:
        verdict: as `autotune.jobs.verification` has it: a plan that is `worse` is not to be relied on.
        job: id of the job that verified it.
        ended_s: when that ended, by the database's clock.
    """

    plan: str
    verdict: str
    job: str
    ended_s: float

    @property
    def is_worse(self) -> bool:
        """Whether the plan does not hold what it states any more."""
        return self.verdict == "worse"
