"""What the store keeps of jobs that were asked for: frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

JobKind = Literal["tune", "verify", "compare"]
JobState = Literal["queued", "running", "done", "failed", "cancelled"]

ENDED: Final[tuple[JobState, ...]] = ("done", "failed", "cancelled")
"""States that a job leaves only when somebody resumes it."""


@dataclass(frozen=True)
class JobHolder:
    """The process that runs a job.

    Attributes:
        host: the machine's name.
        boot: what the kernel calls the time since it was started; a process of an earlier boot is gone.
        pid: its process id, in its own namespace.
        started_ticks: when it was started, in clock ticks since the boot: no later process has both.
    """

    host: str
    boot: str
    pid: int
    started_ticks: int


@dataclass(frozen=True)
class JobRequest:
    """What somebody asks for.

    Attributes:
        kind: what is to be done.
        study: the name of its study, for listings.
        machine: name of the machine that is to do it.
        values: what the kind needs, as `autotune.queue.requests` reads it.
        priority: a higher one comes first; among equals, the one that was asked for first.
        client_key: the same key asks for the same job, however often; None asks for a new one each time.
        asked_by: the name of the token that asked, or `schedule`.
    """

    kind: JobKind
    study: str
    machine: str
    values: Mapping[str, Any]
    priority: int = 0
    client_key: str | None = None
    asked_by: str = ""


@dataclass(frozen=True)
class JobFault:
    """Why a job failed, in the words of an error.

    Attributes:
        kind: the class of the error, such as `ModelError`.
        problem: what happened; remedy: what to do next, or empty.
    """

    kind: str
    problem: str
    remedy: str = ""


@dataclass(frozen=True)
class JobRecord:
    """One job.

    Attributes:
        id: opaque; of the letters and digits of a URL.
        asked_s, started_s, ended_s: Unix time by the database's clock; None before it happened. Who resumes a
            job lets it begin anew.
        attempts: how many processes have begun it since it was asked for, or resumed; those that were told to
            leave it do not count.
        stop_asked: somebody wants it to end early.
        holder: the process that runs it; None while none does.
        held_until_s: until when a holder on another machine is believed to live, by the database's clock.
        plan: id of the plan that it gave, or that it verified; empty without one.
        result: the document of its result, once it is done; None before, and where there is none.
        fault: why it failed; of one that waits or runs again, why the last attempt ended; else None.
    """

    id: str
    request: JobRequest
    state: JobState
    asked_s: float
    started_s: float | None = None
    ended_s: float | None = None
    attempts: int = 0
    stop_asked: bool = False
    holder: JobHolder | None = None
    held_until_s: float | None = None
    plan: str = ""
    result: Mapping[str, Any] | None = None
    fault: JobFault | None = None

    @property
    def is_ended(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return self.state in ENDED


@dataclass(frozen=True)
class ToldEvent:
    """One event of a job.

    Attributes:
        number: within its job, from 1, without gaps.
        told_s: Unix time by the database's clock.
        event: one line of JSON, as `autotune.events.to_json` writes it.
    """

    number: int
    told_s: float
    event: str
