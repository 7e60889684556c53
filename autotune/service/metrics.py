"""What Prometheus is told: of the store, of the queue, and of the service itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from autotune.errors import StoreError
from autotune.service.context import Context
from autotune.service.feeds import Feeds
from autotune.store.job_records import JobState
from autotune.store.trial_pages import best_trials, count_trials
from autotune.store.usage import BlockCounter, WaitCounter, job_times, trial_times

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

STATES: Final[tuple[JobState, ...]] = ("queued", "running", "done", "failed", "cancelled")

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0)
"""Seconds that an answer takes."""

UNMATCHED: Final = "none"
"""In the place of a route of requests that nothing answers: their paths are anybody's words."""


class StoreCollector(Collector):
    """Reads the store when somebody asks, and at no other time."""

    def __init__(self, context: Context, feeds: Feeds) -> None:
        self._context, self._feeds = context, feeds
        self._waits, self._blocks = WaitCounter(), BlockCounter()
        self._lock = threading.Lock()
        with suppress(StoreError):  # it is locked just now: the first who asks begins to count
            self._blocks.begin(context.store)

    def collect(self) -> Iterator[Metric]:
        """Give every metric of the store and the queue."""
        yield from self._of_trials()
        yield from self._of_jobs()
        yield from self._of_measuring()
        streams = GaugeMetricFamily("autotune_event_streams", "Clients that listen to events.")
        streams.add_metric([], self._feeds.streams)
        yield streams

    def _of_trials(self) -> Iterator[Metric]:
        store = self._context.store
        counted = GaugeMetricFamily(
            "autotune_trials", "Finished trials: measured, or the kind of failure.", labels=("study", "state")
        )
        for (study, state), count in count_trials(store).items():
            counted.add_metric([study, state], count)
        yield counted
        scores = GaugeMetricFamily(
            "autotune_best_score",
            "Score of the best trial that meets the limits, in the objective's unit.",
            labels=("study", "objective"),
        )
        gains = GaugeMetricFamily(
            "autotune_best_gain",
            "Of the best trial over the baseline; more than 1 is better.",
            labels=("study",),
        )
        for best in best_trials(store):
            scores.add_metric([best.study, best.objective], best.score)
            if best.gain is not None:
                gains.add_metric([best.study], best.gain)
        yield from (scores, gains)

    def _of_jobs(self) -> Iterator[Metric]:
        counts = self._context.queue.counts()
        by_state = GaugeMetricFamily("autotune_jobs", "Jobs by state.", labels=("state",))
        for state in STATES:
            by_state.add_metric([state], counts.get(state, 0))
        yield by_state
        taken = SummaryMetricFamily(
            "autotune_job_duration_seconds", "From a job's beginning to its end.", labels=("kind", "state")
        )
        for labels, spent in job_times(self._context.store).items():
            taken.add_metric([*labels], spent.count, spent.seconds)
        yield taken

    def _of_measuring(self) -> Iterator[Metric]:
        store = self._context.store
        with self._lock:
            self._waits.read(store)
            self._blocks.read(store)
            waits, blocks = self._waits, self._blocks
        in_trials = CounterMetricFamily(
            "autotune_trial_seconds", "In finished trials, from launch to end.", labels=("study",)
        )
        for study, spent in trial_times(store).items():
            in_trials.add_metric([study], spent.seconds)
        yield in_trials
        since = "since the service was started"
        yield _total("autotune_measuring_seconds", f"In measuring windows, {since}.", blocks.measuring_s)
        windows = CounterMetricFamily(
            "autotune_blocks", f"Measuring windows by what became of them, {since}.", labels=("fate",)
        )
        windows.add_metric(["kept"], blocks.kept)
        windows.add_metric(["disturbed"], blocks.dropped)
        yield windows
        yield _total("autotune_lock_waits", "Times that a job waited for others who measure.", waits.count)
        yield _total("autotune_lock_wait_seconds", "How long jobs waited for them.", waits.seconds)


def _total(name: str, words: str, value: float) -> Metric:
    family = CounterMetricFamily(name, words)
    family.add_metric([], value)
    return family


class ServiceMetrics:
    """The metrics of one service; its own registry, so that several may live in one process."""

    def __init__(self, context: Context, feeds: Feeds) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # none says when it began
        self._registry = CollectorRegistry(auto_describe=False)
        self._requests = Counter(
            "autotune_http_requests",
            "Requests that were answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "autotune_http_request_duration_seconds",
            "From a request's head to the end of its answer.",
            ("route",),
            registry=self._registry,
            buckets=BUCKETS,
        )
        ProcessCollector(registry=self._registry)
        self._registry.register(StoreCollector(context, feeds))

    def text(self) -> bytes:
        """Write every metric as Prometheus reads it.

        Raises:
            StoreError: the store cannot be read now.
        """
        return generate_latest(self._registry)

    def count(self, method: str, route: str, status: int, seconds: float | None) -> None:
        """Take note of an answer; seconds are None of a stream, which lasts as long as there is to tell."""
        self._requests.labels(method, route, str(status)).inc()
        if seconds is not None:
            self._seconds.labels(route).observe(seconds)


EVENT_STREAM: Final = b"text/event-stream"

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class CountedRequests:
    """Counts what an application answers, by route; streams of events count when they end."""

    def __init__(self, app: Any, metrics: ServiceMetrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on, and count its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start_s, status, is_stream = time.monotonic(), 500, False

        async def noting(message: Any) -> None:
            nonlocal status, is_stream
            if message["type"] == "http.response.start":
                status = message["status"]
                is_stream = any(value.startswith(EVENT_STREAM) for _, value in message["headers"])
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            route = getattr(scope.get("route"), "path", UNMATCHED)
            method = scope["method"] if scope["method"] in METHODS else UNMATCHED
            seconds = None if is_stream else time.monotonic() - start_s
            self._metrics.count(method, route, status, seconds)
