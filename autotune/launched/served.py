"""Judges what a running server gave under a load, beside what its plan states."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from autotune.launched.sending import MOST_CONNECTIONS, Sending, SentOverHttp
from autotune.launched.stated import PERCENTILES, StatedLoad
from autotune.statistics.paired import Interval, mean_interval
from autotune.statistics.quantiles import needed_count, percentile_of, supports
from autotune.units import format_count, format_latency, format_rate

STRETCHES: Final = 10
"""Of a load, between which intervals are taken: requests that queue hang together, stretches hardly."""

SETTLING: Final = 0.1
"""Of the time asked for, so much more is sent before it, while the queue fills and connections are made."""

KEEPS_UP: Final = 0.97
"""A server keeps up that answers so large a share of what is sent, in time."""

LATE_PERCENTILE: Final = 99.0
LATE_S: Final = 0.001
LATE_SHARE: Final = 0.05
"""The load is not what it says where more than 1 % of the requests are sent later than a millisecond, and
later than this share of the median latency. Lateness makes latencies longer, as they count from the intended
time."""

LEAST_MISSING: Final = 3
"""So many answers may be missing of a short load: what is under way at its end is not yet answered."""

LEAST_REQUESTS: Final = 20
"""Of fewer nothing is said."""

MOST_FAULTS: Final = 5
"""So many kinds of faults are named."""

ServedVerdict = Literal["keeps up", "falls short", "undecided"]


@dataclass(frozen=True)
class ServedLatency:
    """A percentile of latency, from the intended time of a request to the end of its answer.

    Attributes:
        value_s: None where there are too few requests to speak of it, or so many were not answered.
        interval: over the stretches, with 95 % confidence; None where a stretch has too few requests.
        needed: how many requests it takes.
        stated_s: what the plan states; None where it states nothing.
    """

    percentile: float
    value_s: float | None
    interval: Interval | None
    needed: int
    stated_s: float | None


@dataclass(frozen=True)
class ServedLoad:
    """What a running server gave.

    Attributes:
        urls: that were asked.
        stated: what the plan states.
        seconds: of what counts.
        sent: requests that count; answered: of them, those that got an answer of the kind 2xx.
        answered_per_s: answers of that kind that came while it was measured.
        failures: how often each fault came: a status, or words.
        given_up: requests that were not answered when it was over.
        late_s: by how much requests were sent late, at the 99th percentile.
        held: requests that waited for one of all the connections.
        reasons: sentences on what the verdict rests on, and what weakens it.
        stopped: it was told to stop before its end.
    """

    urls: tuple[str, ...]
    stated: StatedLoad
    seconds: float
    sent: int
    answered: int
    answered_per_s: float
    latencies: tuple[ServedLatency, ...]
    failures: tuple[tuple[str, int], ...]
    given_up: int
    late_s: float
    held: int
    verdict: ServedVerdict
    reasons: tuple[str, ...]
    stopped: bool = False

    @property
    def failed_wholly(self) -> bool:
        """Whether every request had an answer that is none: more of them would tell nothing else."""
        return 0 < self.sent == sum(count for _, count in self.failures)

    @property
    def in_words(self) -> str:
        """What was sent, for how long, and how much of it was answered."""
        if not self.sent:
            return "it was ended before a request counted"
        answered = "all" if self.answered == self.sent else str(self.answered)
        return f"{format_count(self.sent, 'request')} in {self.seconds:.3g} s, {answered} answered"

    def latency(self, percentile: float) -> ServedLatency | None:
        """Give one of `latencies`."""
        return next((latency for latency in self.latencies if latency.percentile == percentile), None)


def judge_load(
    urls: Sequence[str], stated: StatedLoad, sending: Sending, seconds: float, *, shares_cpus: bool
) -> ServedLoad:
    """Say what a load has shown.

    Args:
        seconds: that were asked for, after the settling.
        shares_cpus: it was sent from the instances' own cpus.
    """
    return _Judging(tuple(urls), stated, sending, seconds, shares_cpus).served()


class _Judging:
    """The requests that count of a load, and what is said of them."""

    def __init__(
        self, urls: tuple[str, ...], stated: StatedLoad, sending: Sending, seconds: float, shares_cpus: bool
    ) -> None:
        self._urls, self._stated, self._shares_cpus = urls, stated, shares_cpus
        self._begin_s = sending.start_s + SETTLING * seconds
        self._requests = [request for request in sending.requests if request.due_s >= self._begin_s]
        self._stopped = sending.stopped
        sent_s = max((request.due_s for request in self._requests), default=self._begin_s) - self._begin_s
        self._length_s = max(1e-3, sent_s) if sending.stopped else seconds
        end_s = self._begin_s + self._length_s
        self._in_time = sum(
            request.is_answered and self._begin_s <= request.end_s <= end_s for request in sending.requests
        )

    def served(self) -> ServedLoad:
        """Put it all together."""
        limit = self._stated.limit
        wanted = sorted({*PERCENTILES, *([] if limit is None else [limit.percentile])})
        own = [
            request for request in self._requests if not request.was_held and math.isfinite(request.sent_s)
        ]
        served = ServedLoad(
            urls=self._urls,
            stated=self._stated,
            seconds=self._length_s,
            sent=len(self._requests),
            answered=sum(request.is_answered for request in self._requests),
            answered_per_s=self._in_time / self._length_s,
            latencies=tuple(self._latency(percentile) for percentile in wanted),
            failures=tuple(Counter(filter(None, map(fault_of, self._requests))).most_common()),
            given_up=sum(math.isinf(request.end_s) for request in self._requests),
            late_s=percentile_of(
                [request.sent_s - request.due_s for request in own] or [0.0], LATE_PERCENTILE
            ),
            held=sum(request.was_held for request in self._requests),
            verdict="undecided",
            reasons=(),
            stopped=self._stopped,
        )
        failings = tuple(filter(None, (_shortage(served), _missed_limit(served))))
        reasons = (*failings, *_notes(served, self._shares_cpus))
        return replace(served, verdict=_verdict(served), reasons=reasons)

    def _latency(self, percentile: float) -> ServedLatency:
        latencies_s = [_latency_s(request) for request in self._counted()]
        value_s = percentile_of(latencies_s, percentile) if supports(len(latencies_s), percentile) else None
        return ServedLatency(
            percentile=percentile,
            value_s=None if value_s is None or math.isinf(value_s) else value_s,
            interval=self._interval(percentile),
            needed=needed_count(percentile),
            stated_s=self._stated.latencies_s.get(percentile),
        )

    def _counted(self) -> Iterator[SentOverHttp]:
        """Give what has a latency: answers, and requests that wait for one in vain."""
        return (request for request in self._requests if request.is_answered or math.isinf(request.end_s))

    def _interval(self, percentile: float) -> Interval | None:
        stretches: list[list[float]] = [[] for _ in range(STRETCHES)]
        for request in self._counted():
            place = math.floor(STRETCHES * (request.due_s - self._begin_s) / self._length_s)
            stretches[min(STRETCHES - 1, place)].append(_latency_s(request))
        if min(map(len, stretches)) < needed_count(percentile):
            return None
        values = [percentile_of(latencies_s, percentile) for latencies_s in stretches]
        return mean_interval(values) if all(map(math.isfinite, values)) else None


def fault_of(request: SentOverHttp) -> str:
    """Say why a request failed; empty where it was answered as it should, or not at all until the end."""
    if request.is_answered or math.isinf(request.end_s):
        return ""
    return request.fault or f"status {request.status}"


def _latency_s(request: SentOverHttp) -> float:
    return request.end_s - request.due_s


def is_late(served: ServedLoad) -> bool:
    """Whether the load itself was late by more than counts as nothing."""
    median = served.latency(50.0)
    usual_s = 0.0 if median is None or median.value_s is None else median.value_s
    return served.late_s > max(LATE_S, LATE_SHARE * usual_s)


def _verdict(served: ServedLoad) -> ServedVerdict:
    """Judge; what may be the fault of a load that was late is nobody's."""
    if served.failed_wholly:
        return "falls short"
    if served.sent < LEAST_REQUESTS:
        return "undecided"
    if _shortage(served):
        return "undecided" if served.late_s > (1 - KEEPS_UP) * served.seconds else "falls short"
    if _missed_limit(served):
        return "undecided" if is_late(served) else "falls short"
    return "keeps up"


def _shortage(served: ServedLoad) -> str:
    """Say that less was answered than was sent; empty where it was not."""
    missing = served.sent - served.answered_per_s * served.seconds
    if missing <= max(LEAST_MISSING, (1 - KEEPS_UP) * served.sent):
        return ""
    sent = format_rate(served.sent / served.seconds)
    return f"While they were sent, it answered {format_rate(served.answered_per_s)}, and {sent} were sent."


def _missed_limit(served: ServedLoad) -> str:
    """Say that the study's limit of latency is missed; empty where it is not, or is not known."""
    limit = served.stated.limit
    found = None if limit is None else served.latency(limit.percentile)
    if limit is None or found is None or found.value_s is None or found.value_s <= limit.max_s:
        return ""
    return (
        f"p{limit.percentile:g} is {format_latency(found.value_s)}, and the study's limit is "
        f"{format_latency(limit.max_s)}."
    )


def _notes(served: ServedLoad, shares_cpus: bool) -> Iterator[str]:
    """Say what else there is to know."""
    if 0 < served.sent < LEAST_REQUESTS and not served.failed_wholly:
        yield f"{format_count(served.sent, 'request')} say nothing: measure for longer (--seconds)."
    failed = sum(count for _, count in served.failures)
    if failed:
        faults = ", ".join(f"{fault} ({count})" for fault, count in served.failures[:MOST_FAULTS])
        yield f"{failed} of {format_count(served.sent, 'request')} failed: {faults}."
    if served.given_up:
        yield f"{format_count(served.given_up, 'request')} had no answer when it was over."
    if served.held:
        yield (
            f"{format_count(served.held, 'request')} waited for one of {MOST_CONNECTIONS} connections, which "
            "is in their latency."
        )
    yield from _beside_the_plan(served)
    if is_late(served):
        yield (
            f"Requests were sent late (p99 {format_latency(served.late_s)}), so that latencies are longer "
            "than they would be: use a lower --rate, or a machine of its own for the load."
        )
    if shares_cpus:
        yield "No cpu is free of instances: the load is sent from theirs, which slows them down."


def _beside_the_plan(served: ServedLoad) -> Iterator[str]:
    if not served.stated.latencies_s:
        yield f"The plan states no latencies at this rate: {_why_none(served.stated)}."
        return
    median = served.latency(50.0)
    if median is None or median.value_s is None or not median.stated_s:
        return
    surely = ""
    if median.interval is not None:
        low, high = median.interval.low / median.stated_s, median.interval.high / median.stated_s
        surely = f" (95 %: {low:.2f}x to {high:.2f}x)"
    yield (
        f"p50 is {median.value_s / median.stated_s:.2f}x what the plan states{surely}. That is of its engine "
        "alone: HTTP and the server's own work come on top."
    )
    yield f"What the plan states rests on {served.stated.basis}."


def _why_none(stated: StatedLoad) -> str:
    if stated.capacity_per_s is None:
        return stated.basis
    return f"its processes serve {format_rate(stated.capacity_per_s)} at most"
