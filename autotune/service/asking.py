"""Asks for jobs: what the API and the pages take from a client, as values, and what becomes of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from autotune.errors import RequestError, ServiceError
from autotune.queue.requests import (
    CompareValues,
    JobValues,
    TuneValues,
    VerifyValues,
    tune_request,
    values_to_store,
)
from autotune.queue.webhooks import read_webhook
from autotune.service.admission import admit
from autotune.service.context import Context
from autotune.service.runnable import check_runs
from autotune.spec.json_document import study_of_json
from autotune.spec.load import parse_study
from autotune.spec.study import StudySpec
from autotune.store.job_records import JobRecord, JobRequest
from autotune.store.job_tables import KEY_LETTERS

MOST_PRIORITY: Final = 100
"""In either direction."""

NAMELESS: Final = "-"
"""Stands for the name of a study that gives none and was given none: no study can be called so."""

_KEY: Final = re.compile(rf"[!-~]{{1,{KEY_LETTERS}}}")


@dataclass(frozen=True)
class Asker:
    """Who asks, and how.

    Attributes:
        name: of the token.
        priority: of the job; a higher one comes first.
        key: the same key asks for the same job, however often; None asks for a new one each time.
    """

    name: str
    priority: int = 0
    key: str | None = None


def read_study_asked(study: Mapping[str, Any] | None, text: str | None, *, name: str = "") -> StudySpec:
    """Read a study that a client sent: as JSON values, or as the text of a study file.

    Args:
        name: what the study is called if it gives no name.

    Raises:
        StudyFileError: it is not a study.
        RequestError: neither is there, or both are.
    """
    if (study is None) == (text is None):
        raise RequestError(
            "give the study as `study` (JSON) or as `study_yaml` (the text of a study file)",
            path="study",
            remedy="give one of them",
        )
    if text is None:
        return study_of_json(dict(study or {}), name=name)
    return parse_study(text, name=name or NAMELESS)


def read_key(key: str | None) -> str | None:
    """Read a client's key for a job.

    Raises:
        RequestError: it is too long, or holds what is not printable.
    """
    if key is not None and _KEY.fullmatch(key) is None:
        raise RequestError(
            f"{key!r:.60} is no key",
            path="Idempotency-Key",
            remedy=f"give 1 to {KEY_LETTERS} printable letters without blanks, such as a UUID",
        )
    return key


def ask_tune(context: Context, spec: StudySpec, asker: Asker) -> tuple[JobRecord, bool]:
    """Ask for a study on this machine; say whether the job is new.

    Raises:
        JobConflictError: the key was used for another request.
        AutotuneError: the study may not be asked for over HTTP, or cannot run here.
    """
    values = TuneValues(study=admit(spec, context.settings), offline=not context.settings.hub)
    check_runs(context, values.study)
    return context.queue.enqueue(tune_request(values, context.machine, **_others(asker)))


def ask_verify(context: Context, plan: str, asker: Asker, **bounds: Any) -> tuple[JobRecord, bool]:
    """Ask for a plan of the store to be verified here; `bounds` are fields of `VerifyValues`.

    Raises:
        RequestError: the webhook is none that the operator has allowed.
        NotStoredError: there is no such plan.
        JobConflictError: the key was used for another request.
    """
    check_webhook(context, bounds.get("webhook", ""))
    found = context.store.plan(plan)
    return _ask(context, "verify", found.study.name, VerifyValues(plan=found.id, **bounds), asker)


def ask_compare(context: Context, a: str, b: str, asker: Asker, **bounds: Any) -> tuple[JobRecord, bool]:
    """Ask for two plans of the store to be compared here; `bounds` are fields of `CompareValues`.

    Raises:
        NotStoredError: there is no such plan.
        JobConflictError: the key was used for another request.
    """
    one, other = context.store.plan(a), context.store.plan(b)
    values = CompareValues(a=one.id, b=other.id, **bounds)
    return _ask(context, "compare", one.study.name, values, asker)


def check_webhook(context: Context, url: str) -> None:
    """Refuse a webhook whose host the operator has not allowed; nothing is looked up. Empty = none.

    Raises:
        RequestError: it is none that may be told.
    """
    try:
        if url:
            read_webhook(url, context.settings.webhook_hosts)
    except ServiceError as error:
        raise RequestError(error.problem, path="webhook", remedy=error.remedy) from None


def _ask(context: Context, kind: Any, study: str, values: JobValues, asker: Asker) -> tuple[JobRecord, bool]:
    request = JobRequest(kind, study[:64], context.machine, values_to_store(values), **_others(asker))
    return context.queue.enqueue(request)


def _others(asker: Asker) -> dict[str, Any]:
    return {"priority": asker.priority, "client_key": asker.key, "asked_by": asker.name}
