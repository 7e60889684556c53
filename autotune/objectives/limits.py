"""What a plan must keep to, whatever is optimised: a percentile of latency, and memory.

A single trial is judged by what it measured. A plan is judged by all its runs together and by what they show:
a limit is met when the percentile's 95 % upper bound meets it.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from autotune.objectives.outcome import Outcome
from autotune.statistics.quantiles import percentile_of, upper_bound
from autotune.units import format_bytes, format_latency

if TYPE_CHECKING:
    from autotune.spec.study import LatencyLimit, Limits


def violations(limits: Limits, outcome: Outcome) -> dict[str, float]:
    """By limit (`latency`, `memory`): measured / limit - 1, so that up to 0 is met and 0.1 is 10 % over.

    Relative, because Optuna's TPE ranks infeasible trials by the sum of their violations. Of a `server`, what
    counts as measured is the percentile's upper bound at the rate of the score.
    """
    found: dict[str, float] = {}
    if limits.latency is not None:
        found["latency"] = _measured_s(limits.latency, outcome) / limits.latency.max_s - 1
    if limits.memory_bytes is not None:
        found["memory"] = outcome.memory_bytes / limits.memory_bytes - 1
    return found


def missed(limits: Limits, outcomes: Sequence[Outcome]) -> list[str]:
    """Which limits all runs of a configuration together do not show to be met; nothing of no runs.

    Where requests are too few for a bound of a percentile, the percentile itself counts. Every run of a
    `server` has looked for a rate at which its own bound meets the limit: the median run counts.
    """
    if not outcomes:
        return []
    latency = limits.latency
    bound_s = None if latency is None else _bound_s(latency, outcomes)
    return list(limits_exceeded(limits, bound_s, max(outcome.memory_bytes for outcome in outcomes)))


def limits_exceeded(limits: Limits, latency_s: float | None, most_bytes: int) -> Iterator[str]:
    """Say which limits are not shown to be met, and by how much they are missed.

    Args:
        latency_s: that the limited percentile is shown not to exceed; None where no latency is limited.
        most_bytes: of memory, that any run took.
    """
    latency, most = limits.latency, limits.memory_bytes
    if latency is not None and latency_s is not None and latency_s > latency.max_s:
        yield (
            f"its p{latency.percentile:g} latency is not shown to be within {format_latency(latency.max_s)}: "
            f"with 95 % confidence it is at most {format_latency(latency_s)}, "
            f"{latency_s / latency.max_s - 1:.1%} more"
        )
    if most is not None and most_bytes > most:
        yield (
            f"it takes {format_bytes(most_bytes)} of memory, {most_bytes / most - 1:.1%} more than the limit "
            f"of {format_bytes(most)}"
        )


def bound_or_value(latencies_s: Sequence[float], percentile: float) -> float:
    """A percentile's 95 % upper bound; where there are too few for one, the percentile itself."""
    bound = upper_bound(latencies_s, percentile)
    return percentile_of(latencies_s, percentile) if bound is None else bound


def limit_words(limits: Limits, name: str) -> str:
    """One of the limits of `violations`, for people: `the limit of 50.0 ms on p99 latency`."""
    if name == "latency" and limits.latency is not None:
        return (
            f"the limit of {format_latency(limits.latency.max_s)} on p{limits.latency.percentile:g} latency"
        )
    return f"the limit of {format_bytes(limits.memory_bytes or 0)} on memory"


def _measured_s(limit: LatencyLimit, outcome: Outcome) -> float:
    if outcome.promised_s is not None:
        return outcome.promised_s
    return percentile_of(outcome.latencies_s, limit.percentile)


def _bound_s(limit: LatencyLimit, outcomes: Sequence[Outcome]) -> float:
    promised = [outcome.promised_s for outcome in outcomes if outcome.promised_s is not None]
    if promised:
        return statistics.median(promised)
    return bound_or_value(
        [latency for outcome in outcomes for latency in outcome.latencies_s], limit.percentile
    )
