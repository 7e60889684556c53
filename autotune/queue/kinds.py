"""What each kind of job does, and what is kept of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from autotune.events import Emit
from autotune.queue.orders import JobOrders
from autotune.queue.requests import CompareValues, TuneValues, VerifyValues, read_values
from autotune.stop import Stop
from autotune.store.job_records import JobRecord
from autotune.store.store import StudyStore


@dataclass(frozen=True)
class JobResult:
    """What came of a job.

    Attributes:
        plan: id of the plan that it gave, or that it verified; empty without one.
        document: of its result; None where that is the plan alone.
        stopped: it was told to stop before its end, and this is what it had by then.
        reason: why it has no plan; empty where it has one, or never has.
    """

    plan: str = ""
    document: Mapping[str, Any] | None = None
    stopped: bool = False
    reason: str = ""


NOTHING = JobResult()


@dataclass(frozen=True)
class _Call:
    """One job under way."""

    job: JobRecord
    store: StudyStore
    orders: JobOrders
    emit: Emit
    stop: Stop = field(default_factory=Stop)


def run_kind(job: JobRecord, store: StudyStore, orders: JobOrders, *, emit: Emit, stop: Stop) -> JobResult:
    """Do a job as its kind says.

    Args:
        store: where its plans are.
        orders: where its study is, and who may be told of its result.
        emit, stop: as jobs have them.

    Raises:
        AutotuneError: it cannot be read, or done.
        Stopped: as `stop` says, before there was anything to keep.
    """
    call = _Call(job, store, orders, emit, stop)
    values = read_values(job)
    if isinstance(values, TuneValues):
        return _tune(call, values)
    if isinstance(values, VerifyValues):
        return _verify(call, values)
    return _compare(call, values)


def _tune(call: _Call, values: TuneValues) -> JobResult:
    import optuna

    from autotune.jobs.tuning import tune

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    tuned = tune(
        values.study, store=call.orders.store, offline=values.offline, emit=call.emit, stop=call.stop
    )
    plan = "" if tuned.plan is None else tuned.plan.id
    return JobResult(plan, stopped=tuned.stopped, reason=tuned.reason)


def _verify(call: _Call, values: VerifyValues) -> JobResult:
    from autotune.documents.verification import verification_document
    from autotune.jobs.dueling import Bounds
    from autotune.jobs.reviving import Origin
    from autotune.jobs.verification import verify
    from autotune.queue.webhooks import tell_webhook

    bounds = Bounds(values.rounds or Bounds.rounds, values.minutes)
    found = verify(
        call.store.plan(values.plan),
        tolerance=values.tolerance,
        bounds=bounds,
        origin=Origin(offline=True),
        emit=call.emit,
        stop=call.stop,
    )
    document = verification_document(found)
    if values.webhook and not found.stopped:
        tell_webhook(values.webhook, document, call.orders.webhook_hosts, job_id=call.job.id, emit=call.emit)
    return JobResult(found.plan.id, document, found.stopped)


def _compare(call: _Call, values: CompareValues) -> JobResult:
    from autotune.documents.comparison import comparison_document
    from autotune.jobs.comparison import compare_plans
    from autotune.jobs.dueling import Bounds
    from autotune.jobs.reviving import Origin

    found = compare_plans(
        call.store.plan(values.a),
        call.store.plan(values.b),
        bounds=Bounds(values.rounds or Bounds.rounds, values.minutes),
        origin=Origin(offline=True),
        emit=call.emit,
        stop=call.stop,
    )
    return JobResult(document=comparison_document(found), stopped=found.stopped)
