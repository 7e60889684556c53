"""Older plan documents in today's form: what they did not know stays unsaid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from autotune.errors import PlanError
from autotune.placement.assignment import WORKER_MODULE
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
    """Version 3 started workers by the name that their module had then, which no command line is read by."""
    return from_version_4(old)


def from_version_4(old: Mapping[str, Any]) -> dict[str, Any]:
    """Version 4 had command lines, and held of a study whatever it was given.

    Raises:
        PlanError: a command line is none of autotune's worker.
    """
    upgraded = {**old, "schema": "autotune.plan/5"}
    if isinstance(instances := old.get("instances"), list):
        upgraded["instances"] = [
            _with_worker(instance, f"instances.{index}.argv") for index, instance in enumerate(instances)
        ]
    if isinstance(study := old.get("study"), dict):
        upgraded["study"] = {"name": study.get("name", ""), "spec": study.get("spec", {})}
    return upgraded


def _with_worker(instance: Any, place: str) -> Any:
    """The instance, with what its command line says in the place of that."""
    if not isinstance(instance, dict) or not isinstance(argv := instance.get("argv"), list):
        return instance
    rest = {key: value for key, value in instance.items() if key != "argv"}
    return {**rest, "worker": _worker(argv, place)}


def _worker(argv: list[Any], place: str) -> dict[str, Any]:
    """Read the command line of autotune's worker: `PYTHON -P -m MODULE --NAME VALUE ...`.

    Raises:
        PlanError: it is another program's.
    """
    is_worker = argv[1:3] == ["-P", "-m"] and argv[3:4] in ([WORKER_MODULE], [_OLD_WORKER])
    names, values = argv[4::2], argv[5::2]
    try:
        if not is_worker or len(names) != len(values):
            raise ValueError
        read = {name: _READERS[name](value) for name, value in zip(names, values, strict=True)}
    except (KeyError, TypeError, ValueError):
        raise PlanError(
            f"{place}: {' '.join(map(str, argv))[:80]!r} is not what starts autotune's worker",
            remedy="give the plan as `autotune tune` stored it, or tune again",
        ) from None
    return {"interpreter": argv[0]} | {
        name.removeprefix("--").replace("-", "_"): value for name, value in read.items()
    }


_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(("--backend", "--precision", "--artifact", "--requests", "--knobs"), str),
    **dict.fromkeys(
        ("--threads", "--batch-size", "--sequence-length", "--seed", "--instance", "--instances"), int
    ),
    "--warmup-s": float,
}
"""What reads the value of each argument that a worker ever had, by its name."""


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
    "autotune.plan/4": from_version_4,
}
"""By the schema that they read."""
