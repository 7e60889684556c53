"""A service in Python: what `autotune submit`, `status`, `watch` and `cancel` are made of."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from autotune.client.asking import Json, segment
from autotune.client.connection import Connection, OnWait
from autotune.client.credentials import find_address
from autotune.client.looking import Looking
from autotune.client.patience import Patience
from autotune.client.study_bodies import study_body
from autotune.client.watching import watch_events
from autotune.errors import RequestError
from autotune.events import Event

if TYPE_CHECKING:
    from autotune.spec.study import StudySpec

DEFAULT_ADDRESS = "http://127.0.0.1:8787"
_KEY = re.compile(r"[!-~]{1,128}")
"""What names a request. A service refuses others, too, but some of them no request could even carry."""


class Client(Looking):
    """A service that `autotune serve` runs; a context manager.

    Every call is sent again where the connection is lost or the service is busy, and has its effect once.
    What the service refuses is raised as the error that the same command would end with.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        ca: Path | None = None,
        plain: bool = False,
        patience: Patience = Patience(),  # noqa: B008 - a frozen value
        on_wait: OnWait | None = None,
    ) -> None:
        """Take a service's address; nothing is sent.

        Args:
            url: of the service, as its operator gave it; None = of the one that runs in this folder, or where
                one listens by default.
            token: what may be done; None = AUTOTUNE_TOKEN, or that of a service that was started in this
                folder on this machine.
            ca: PEM file of the authority that signed its certificate, or of a certificate that signed itself;
                None = the authorities that the system trusts.
            plain: send a token over a network unencrypted.
            patience: how often something is tried again.
            on_wait: is told what is waited for, and how many seconds, where that is longer than a moment.

        Raises:
            ServiceError: the address is none, or `ca` or the token's file cannot be read.
        """
        address = find_address() or DEFAULT_ADDRESS if url is None else url
        told = {} if on_wait is None else {"on_wait": on_wait}
        super().__init__(Connection(address, token=token, ca=ca, plain=plain, patience=patience, **told))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The service's address."""
        return self._connection.url

    def close(self) -> None:
        """Close what connects to the service."""
        self._connection.close()

    def submit(
        self, study: StudySpec | Mapping[str, Any] | Path, *, key: str | None = None, priority: int = 0
    ) -> Json:
        """Ask for a study, and give the job that does it; asking again with the same key gives the same job.

        Args:
            study: a study file, the values of one, or a `StudySpec`.
            key: names what is asked for; None = a new one, so that it is a new job.
            priority: a higher one is begun first.

        Raises:
            StudyFileError: it is no study, or the file cannot be read.
            JobConflictError: the key was used for another study.
            RequestError: the key is none.
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._ask({"kind": "tune", **study_body(study), "priority": priority}, key)

    def validate(self, study: StudySpec | Mapping[str, Any] | Path) -> Json:
        """Have a study checked, and give what would be tried there, and for how long; nothing is measured.

        Raises:
            AutotuneError: as for `submit`; or the study cannot be run there.
        """
        return self._post("/studies/validate", study_body(study))

    def verify(self, plan: str, *, key: str | None = None, priority: int = 0, **bounds: Any) -> Json:
        """Ask whether a plan still holds, and give the job that finds out.

        Args:
            plan: its id.
            key, priority: as for `submit`.
            bounds: `tolerance`, `rounds` and `minutes`.

        Raises:
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._ask({"kind": "verify", "plan": plan, "priority": priority, **bounds}, key)

    def compare(self, a: str, b: str, *, key: str | None = None, priority: int = 0, **bounds: Any) -> Json:
        """Ask which of two plans is faster, and give the job that finds out.

        Args:
            a, b: their ids.
            key, priority: as for `submit`.
            bounds: `rounds` and `minutes`.

        Raises:
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._ask({"kind": "compare", "a": a, "b": b, "priority": priority, **bounds}, key)

    def jobs(self, **filters: Any) -> list[Json]:
        """List jobs, newest first.

        Args:
            filters: `state` (one or several), `study`, `limit` and `offset`.

        Raises:
            AutotuneError: the service refuses, or stays out of reach.
        """
        listed: list[Json] = self._get("/jobs", **filters)["jobs"]
        return listed

    def job(self, job_id: str) -> Json:
        """Give a job, with its result or its fault once it has ended.

        Raises:
            JobNotFoundError: there is none of this id.
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._get(f"/jobs/{segment(job_id)}")

    def watch(self, job_id: str, *, after: int = 0) -> Iterator[Event]:
        """Give the events of a job from its first on, as they happen, until it has ended.

        A connection that is lost is opened anew, and no event is given twice. The job does not depend on it.

        Args:
            after: number of an event; those up to it are left out.

        Raises:
            JobNotFoundError: there is none of this id.
            AutotuneError: the service refuses, or stays out of reach.
        """
        return watch_events(self._connection, segment(job_id), after)

    def cancel(self, job_id: str) -> Json:
        """End a job early: what it has measured is kept. An ended one stays as it is.

        Raises:
            JobNotFoundError: there is none of this id.
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._post(f"/jobs/{segment(job_id)}/cancel")

    def resume(self, job_id: str) -> Json:
        """Let a job that was cancelled or failed go on.

        Raises:
            JobNotFoundError: there is none of this id.
            JobConflictError: it is done, or is just ending.
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._post(f"/jobs/{segment(job_id)}/resume")

    def reorder(self, job_id: str, priority: int) -> Json:
        """Give a job that waits another priority.

        Raises:
            JobNotFoundError: there is none of this id.
            JobConflictError: it does not wait.
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._document("PATCH", f"/jobs/{segment(job_id)}", body={"priority": priority})

    def delete(self, job_id: str) -> None:
        """Forget a job and its events; its study and plans stay. One that is gone already is no error.

        Raises:
            JobConflictError: it runs.
            AutotuneError: the service refuses, or stays out of reach.
        """
        self._forget(f"/jobs/{segment(job_id)}")

    def delete_study(self, name: str) -> None:
        """Forget a study with its trials and plans. One that is gone already is no error.

        Raises:
            JobConflictError: a job of it waits or runs, or a schedule watches it.
            AutotuneError: the service refuses, or stays out of reach.
        """
        self._forget(f"/studies/{segment(name)}")

    def schedules(self) -> list[Json]:
        """List what is verified every so often, by name.

        Raises:
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._list("/schedules", "schedules")

    def put_schedule(self, name: str, study: str, **asked: Any) -> Json:
        """Have a study's newest plan verified every so often, in the place of the schedule of this name.

        Args:
            asked: `every_s`, `on_change`, `tolerance`, `minutes`, `webhook` and `priority`.

        Raises:
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._document("PUT", f"/schedules/{segment(name)}", body={"study": study, **asked})

    def delete_schedule(self, name: str) -> None:
        """Forget a schedule; the jobs that it has asked for stay. One that is gone already is no error.

        Raises:
            AutotuneError: the service refuses, or stays out of reach.
        """
        self._forget(f"/schedules/{segment(name)}")

    def ready(self) -> None:
        """Make sure that jobs can be asked for and are begun; needs no token.

        Raises:
            ServiceError: they cannot, and why; or the service stays out of reach.
        """
        self._connection.request("GET", "/health/ready")

    def _ask(self, body: Json, key: str | None) -> Json:
        """Put a job into the queue, once, however often the request has to be sent."""
        if key is not None and not _KEY.fullmatch(key):
            raise RequestError(
                f"{key!r:.60} is no key",
                path="Idempotency-Key",
                remedy="give 1 to 128 printable letters of ASCII without blanks",
            )
        headers = {"Idempotency-Key": key if key is not None else secrets.token_hex(16)}
        return self._document("POST", "/jobs", body=body, headers=headers)
