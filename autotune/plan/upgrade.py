"""Older plan documents in today's form: what they did not know stays unsaid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from autotune.placement.command import WORKER_MODULE
from autotune.statistics.quantiles import needed_count

_PERCENTILES = (50, 90, 95, 99)

_OLD_WORKER = "autotune.trial.worker"


def from_version_1(old: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of version 1 were the search's own: one launch, no bounds, no confirmation."""
    figures = {key: _estimate(old[key]) for key in ("estimate", "baseline") if key in old}
    return from_version_2({**old, **figures, "confirmation": {"verdict": "unconfirmed"}})


def from_version_2(old: Mapping[str, Any]) -> dict[str, Any]:
    """Version 2 knew no defaults, no probabilities, and not where the minutes went."""
    return from_version_3(old)


def from_version_3(old: Mapping[str, Any]) -> dict[str, Any]:
    """Version 3 started workers by the name that their module had then."""
    upgraded = {**old, "schema": "autotune.plan/4"}
    if isinstance(instances := old.get("instances"), list):
        upgraded["instances"] = [_with_todays_worker(instance) for instance in instances]
    return upgraded


def _with_todays_worker(instance: Any) -> Any:
    if not isinstance(instance, dict) or not isinstance(argv := instance.get("argv"), list):
        return instance
    renamed = [
        WORKER_MODULE if word == _OLD_WORKER and before == "-m" else word
        for before, word in zip([None, *argv], argv, strict=False)
    ]
    return {**instance, "argv": renamed}


def _estimate(old: Any) -> Any:
    if not isinstance(old, dict):
        return old
    kept = {key: value for key, value in old.items() if not key.startswith("latency_p")}
    latencies = [
        {
            "percentile": float(percentile),
            "value_s": old.get(f"latency_p{percentile}_s"),
            "upper_s": None,
            "needed": needed_count(percentile),
        }
        for percentile in _PERCENTILES
    ]
    return {**kept, "latencies": latencies, "runs": 1}


UPGRADES: Final[Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "autotune.plan/1": from_version_1,
    "autotune.plan/2": from_version_2,
    "autotune.plan/3": from_version_3,
}
"""By the schema that they read."""
