"""A service in Python: what `autotune submit`, `status`, `watch` and `cancel` are made of."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from autotune.client.connection import PREFIX, Connection
from autotune.client.credentials import find_address
from autotune.client.patience import Patience
from autotune.client.study_bodies import study_body
from autotune.client.watching import watch_events
from autotune.errors import JobNotFoundError
from autotune.events import Event

if TYPE_CHECKING:
    from autotune.spec.study import StudySpec

Json = dict[str, Any]
"""A document, as the command line's `--json` prints it."""

DEFAULT_ADDRESS = "http://127.0.0.1:8787"


class Client:
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

        Raises:
            ServiceError: the address is none, or `ca` or the token's file cannot be read.
        """
        address = find_address() or DEFAULT_ADDRESS if url is None else url
        self._connection = Connection(address, token=token, ca=ca, plain=plain, patience=patience)

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
        return self._get(f"/jobs/{_segment(job_id)}")

    def watch(self, job_id: str, *, after: int = 0) -> Iterator[Event]:
        """Give the events of a job from its first on, as they happen, until it has ended.

        A connection that is lost is opened anew, and no event is given twice. The job does not depend on it.

        Args:
            after: number of an event; those up to it are left out.

        Raises:
            JobNotFoundError: there is none of this id.
            AutotuneError: the service refuses, or stays out of reach.
        """
        return watch_events(self._connection, _segment(job_id), after)

    def cancel(self, job_id: str) -> Json:
        """End a job early: what it has measured is kept. An ended one stays as it is.

        Raises:
            JobNotFoundError: there is none of this id.
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._post(f"/jobs/{_segment(job_id)}/cancel")

    def resume(self, job_id: str) -> Json:
        """Let a job that was cancelled or failed go on.

        Raises:
            JobNotFoundError: there is none of this id.
            JobConflictError: it is done, or is just ending.
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._post(f"/jobs/{_segment(job_id)}/resume")

    def reorder(self, job_id: str, priority: int) -> Json:
        """Give a job that waits another priority.

        Raises:
            JobNotFoundError: there is none of this id.
            JobConflictError: it does not wait.
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._document("PATCH", f"/jobs/{_segment(job_id)}", body={"priority": priority})

    def delete(self, job_id: str) -> None:
        """Forget a job and its events; its study and plans stay. One that is gone already is no error.

        Raises:
            JobConflictError: it runs.
            AutotuneError: the service refuses, or stays out of reach.
        """
        try:
            self._connection.request("DELETE", f"{PREFIX}/jobs/{_segment(job_id)}")
        except JobNotFoundError:
            return  # it may be that an earlier try did it, whose answer was lost

    def studies(self) -> list[Json]:
        """List the studies.

        Raises:
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._list("/studies", "studies")

    def study(self, name: str) -> Json:
        """Give a study.

        Raises:
            AutotuneError: there is none; the service refuses, or stays out of reach.
        """
        return self._get(f"/studies/{_segment(name)}")

    def trials(self, study: str) -> list[Json]:
        """List the trials of a study, by number.

        Raises:
            AutotuneError: there is no such study; the service refuses, or stays out of reach.
        """
        return self._list(f"/studies/{_segment(study)}/trials", "trials", following="after")

    def plans(self, study: str | None = None) -> list[Json]:
        """List the plans, newest first.

        Raises:
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._list("/plans", "plans", study=study)

    def plan(self, plan_id: str) -> Json:
        """Give a plan's document, which `autotune.plan.document.parse_plan` reads.

        Raises:
            AutotuneError: there is none; the service refuses, or stays out of reach.
        """
        return self._get(f"/plans/{_segment(plan_id)}")

    def export(self, plan_id: str, target: str, **options: Any) -> bytes:
        """Give a plan's files for a target: a file, or several as a tar.gz.

        Args:
            target: as of `autotune export --to`.
            options: of the target.

        Raises:
            ExportError: the target is unknown, an option is wrong, or it cannot express the plan.
            AutotuneError: the service refuses, or stays out of reach.
        """
        asked = {"to": target, "download": "true", **options}
        path = f"{PREFIX}/plans/{_segment(plan_id)}/export"
        return self._connection.request("GET", path, params=asked).content

    def preview(self, plan_id: str, target: str, **options: Any) -> Json:
        """Give what `export` would, as texts, and what the target cannot express.

        Raises:
            AutotuneError: as for `export`.
        """
        return self._get(f"/plans/{_segment(plan_id)}/export", to=target, **options)

    def cost(self, plan_id: str, **asked: Any) -> Json:
        """Say what a plan costs.

        Args:
            asked: `rate`, `type`, `region` and `prices`, as the service describes them.

        Raises:
            AutotuneError: there is no price; the service refuses, or stays out of reach.
        """
        return self._post(f"/plans/{_segment(plan_id)}/cost", asked)

    def fleet(self, **asked: Any) -> Json:
        """Count the machines that serve a rate within a latency, and say what they cost.

        Args:
            asked: `plan`, `rate`, `p99` and others, as the service describes them.

        Raises:
            FleetError: no number of machines does.
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._post("/fleet", asked)

    def choose(self, **asked: Any) -> Json:
        """Choose the cheapest plan for a rate and a latency.

        Args:
            asked: `rate`, `p99` and others, as the service describes them.

        Raises:
            FleetError: none of them does.
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._post("/choose", asked)

    def ready(self) -> None:
        """Make sure that jobs can be asked for and are begun; needs no token.

        Raises:
            ServiceError: they cannot, and why; or the service stays out of reach.
        """
        self._connection.request("GET", "/health/ready")

    def machine(self) -> Json:
        """Give the service's machine.

        Raises:
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._get("/machine")

    def engines(self) -> Json:
        """Give the engines of the service's machine.

        Raises:
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._get("/engines")

    def models(self) -> Json:
        """Give the models that a study may name there.

        Raises:
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._get("/models")

    def doctor(self) -> Json:
        """Give what the service's machine lacks for good measurements.

        Raises:
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._get("/doctor")

    def _ask(self, body: Json, key: str | None) -> Json:
        """Put a job into the queue, once, however often the request has to be sent."""
        headers = {"Idempotency-Key": key if key is not None else secrets.token_hex(16)}
        return self._document("POST", "/jobs", body=body, headers=headers)

    def _get(self, path: str, **params: Any) -> Json:
        return self._document("GET", path, params=params)

    def _list(self, path: str, name: str, *, following: str = "offset", **params: Any) -> list[Json]:
        """Give all that a listing holds, page by page.

        Args:
            following: parameter that names where the next page begins.
        """
        listed: list[Json] = []
        while True:
            page = self._document("GET", path, params=params)
            listed += page[name]
            if page.get("next") is None:
                return listed
            params[following] = page["next"]

    def _post(self, path: str, body: Any = None) -> Json:
        return self._document("POST", path, body={} if body is None else body)

    def _document(self, method: str, path: str, **asked: Any) -> Json:
        document: Json = self._connection.request(method, f"{PREFIX}{path}", **asked).json()
        return document


def _segment(name: str) -> str:
    """A name as one part of a path, whatever is in it."""
    return quote(name, safe="")
