"""What looking at a plan's running processes has shown, as a document."""

from __future__ import annotations

from typing import Any, Final

from autotune.jobs.launched import LaunchedVerification
from autotune.launched.findings import Finding
from autotune.launched.served import ServedLatency, ServedLoad
from autotune.statistics.paired import Interval

SCHEMA: Final = "autotune.launched/1"


def launched_document(verification: LaunchedVerification) -> dict[str, Any]:
    """Write what looking at a plan's running processes has shown as one JSON document."""
    found = verification.found
    return {
        "schema": SCHEMA,
        "plan": verification.plan.id,
        "verdict": verification.verdict,
        "stale": list(verification.stale),
        "instances": [
            {"instance": index, "processes": list(found.instances.get(index, ()))}
            for index in range(len(verification.plan.instances))
        ],
        "findings": [_finding(finding) for finding in verification.findings],
        "others": [
            {
                "plan": other.id or None,
                "path": other.path,
                "processes": list(other.pids),
                "reason": other.reason,
            }
            for other in found.others
        ],
        "measuring": list(found.measuring),
        "hidden": [
            {"process": process.pid, "name": process.name, "user": None if process.user < 0 else process.user}
            for process in found.hidden
        ],
        "served": None if verification.served is None else _served(verification.served),
        "stopped": verification.stopped,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "instance": finding.instance,
        "aspect": finding.aspect,
        "finding": finding.likeness,
        "said": finding.said,
        "remedy": finding.remedy,
        "processes": list(finding.pids),
    }


def _served(served: ServedLoad) -> dict[str, Any]:
    stated, limit = served.stated, served.stated.limit
    return {
        "verdict": served.verdict,
        "urls": list(served.urls),
        "rate_per_s": stated.rate_per_s,
        "seconds": served.seconds,
        "sent": served.sent,
        "answered": served.answered,
        "answered_per_s": served.answered_per_s,
        "failures": dict(served.failures),
        "given_up": served.given_up,
        "held": served.held,
        "late_s": served.late_s,
        "latencies": [_latency(latency) for latency in served.latencies],
        "stated": {
            "capacity_per_s": stated.capacity_per_s,
            "basis": stated.basis,
            "limit": None if limit is None else {"percentile": limit.percentile, "max_s": limit.max_s},
        },
        "reasons": list(served.reasons),
        "stopped": served.stopped,
    }


def _latency(latency: ServedLatency) -> dict[str, Any]:
    return {
        "percentile": latency.percentile,
        "value_s": latency.value_s,
        "interval": None if latency.interval is None else _interval(latency.interval),
        "needed": latency.needed,
        "stated_s": latency.stated_s,
    }


def _interval(interval: Interval) -> dict[str, Any]:
    return {
        "low": interval.low,
        "high": interval.high,
        "confidence": interval.confidence,
        "stretches": interval.count,
    }
