"""What every request's handler uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from autotune.service.settings import ServiceSettings
from autotune.store.in_use import using_store
from autotune.store.jobs import JobQueue
from autotune.store.store import StudyStore, open_store

LOCK_WAIT_S = 5.0
"""How long a request waits for a store that another process locks; who asked may come again. Writers hold a
lock for milliseconds, and a browser's patience is shorter than a job's."""


@dataclass(frozen=True)
class Context:
    """One running service.

    Attributes:
        settings: what its operator said.
        store: the open store; each transaction has a connection of its own, so threads may share it.
        machine: name of the machine that it runs on, and its jobs.
    """

    settings: ServiceSettings
    store: StudyStore
    machine: str

    @property
    def queue(self) -> JobQueue:
        """The jobs in the store."""
        return JobQueue(self.store)


@contextmanager
def open_context(settings: ServiceSettings, machine: str) -> Iterator[Context]:
    """Open the store for as long as the service runs.

    Raises:
        StoreError: it cannot be opened.
    """
    with (
        using_store(settings.store, "service"),
        open_store(settings.store, timeout_s=LOCK_WAIT_S, runs_studies=False) as store,
    ):
        yield Context(settings, store, machine)


def context_of(request: Request) -> Context:
    """Give the context of the service that a request came to."""
    context: Context = request.app.state.context
    return context


InContext = Annotated[Context, Depends(context_of)]
"""A handler's parameter that gives it the service's context."""
