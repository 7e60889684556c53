"""Begins the jobs of this machine for as long as the service runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import FastAPI

from autotune.queue.dispatch import Dispatcher
from autotune.queue.orders import JobOrders
from autotune.queue.schedule import Scheduler
from autotune.service.context import Context

STOP_JOB_S = 5.0
"""How long a job may take to end where it ends with its service: with what answers may take, that is 10 s."""


@contextmanager
def dispatching(app: FastAPI, context: Context, cpus: str) -> Iterator[Dispatcher]:
    """Begin the jobs of this machine, and tell the application's streams what is told of them.

    A job that runs at the end goes on by itself, unless the operator has said that it ends with the service.
    It waits again then.

    Args:
        cpus: what jobs run on, as Linux writes lists; empty = the same as the service.
    """
    settings = context.settings
    orders = JobOrders(
        settings.store, context.machine, str(settings.state.absolute()), cpus, settings.webhook_hosts
    )
    scheduler = Scheduler(context.store, context.machine)

    def ask_due() -> None:
        for job in scheduler.ask_due():
            app.state.feeds.woken(job.id)

    with Dispatcher(context.store, orders, news=app.state.feeds.woken, between=ask_due) as dispatcher:
        app.state.dispatcher = dispatcher
        yield dispatcher
        if settings.stop_jobs:
            dispatcher.stop_all(STOP_JOB_S)
