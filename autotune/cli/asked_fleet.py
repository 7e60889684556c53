"""Reads what `autotune fleet` and `autotune choose` are asked for from the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autotune.cli.asked_plan import read_type_price

if TYPE_CHECKING:
    from autotune.fleet.price import AskedPrice, MonthlyBudget
    from autotune.fleet.workload import LatencyTarget, Workload


Rate = Annotated[
    str, typer.Option("--rate", metavar="RATE", help="Requests at the peak: 25000, 25000/s, 1e9/day.")
]
P50 = Annotated[str | None, typer.Option("--p50", metavar="LATENCY", help="What p50 keeps to.")]
P90 = Annotated[str | None, typer.Option("--p90", metavar="LATENCY", help="What p90 keeps to.")]
P95 = Annotated[str | None, typer.Option("--p95", metavar="LATENCY", help="What p95 keeps to.")]
P99 = Annotated[str | None, typer.Option("--p99", metavar="LATENCY", help="What p99 keeps to, such as 20ms.")]
Headroom = Annotated[
    str, typer.Option(metavar="SHARE", help="Of what a machine bears, the share that is left free.")
]
Spare = Annotated[int, typer.Option(metavar="N", help="Machines beside those that are needed.")]
Zones = Annotated[int, typer.Option(metavar="N", help="Of which one may be lost, if several.")]
MachineHour = Annotated[
    str | None,
    typer.Option(
        "--price",
        metavar="PRICE",
        help="Of one machine an hour, such as 0.808USD; else the type's, or the study's.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@dataclass(frozen=True)
class Margins:
    """What is left free or spare, as it is typed."""

    headroom: str
    spare: int
    zones: int


def read_workload(rate: str, limits: Mapping[float, str | None], margins: Margins) -> Workload:
    """Read a workload.

    Args:
        limits: by percentile, the latency that is typed; exactly one is.

    Raises:
        typer.BadParameter: something is out of bounds; says what, and what it may be.
    """
    from autotune.fleet.workload import Workload
    from autotune.units import parse_share

    target, rate_per_s = _target(limits), read_rate(rate)
    try:
        return Workload(rate_per_s, target, parse_share(margins.headroom), margins.spare, margins.zones)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def read_rate(text: str, *, option: str = "--rate", bounds: tuple[float, float] | None = None) -> float:
    """Read requests per second of `100/s`, `6000/min` or `1e9/day`; of a number alone, `/s`.

    Args:
        bounds: the lowest and the highest rate, per second, that can be sent; None where none is sent.

    Raises:
        typer.BadParameter: it is none of them, or out of bounds.
    """
    from autotune.units import parse_rate_per_s

    try:
        rate_per_s = parse_rate_per_s(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
    if bounds is not None and not bounds[0] <= rate_per_s <= bounds[1]:
        raise typer.BadParameter(
            f"{text} is {rate_per_s:g} requests per second, which cannot be sent: give from {bounds[0]:g}/s "
            f"to {bounds[1]:g}/s",
            param_hint=option,
        )
    return rate_per_s


def read_price(
    text: str | None, machine_type: str | None, region: str | None, prices: Path | None
) -> AskedPrice:
    """Read what machines cost: a price of each, or a type of a table; neither = what studies state.

    Raises:
        typer.BadParameter: the text is no price, or both are given.
        StudyFileError: the table is wrong, or has no such type.
    """
    from autotune.fleet.price import AskedPrice, parse_price

    of_type = read_type_price(machine_type, region, prices)
    if text is None:
        return AskedPrice(of_type=of_type)
    if of_type is not None:
        raise typer.BadParameter(
            f"{text!r} beside --type {machine_type}: give one of them", param_hint="--price"
        )
    try:
        return AskedPrice(parse_price(text))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--price") from error


def read_budget(text: str | None) -> MonthlyBudget | None:
    """Read what a fleet may cost a month; None = no bound.

    Raises:
        typer.BadParameter: the text is no amount of money.
    """
    from autotune.fleet.price import parse_budget

    try:
        return None if text is None else parse_budget(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--budget") from error


def _target(limits: Mapping[float, str | None]) -> LatencyTarget:
    from autotune.fleet.workload import LatencyTarget
    from autotune.units import parse_duration_s

    given = [(percentile, text) for percentile, text in limits.items() if text is not None]
    names = ", ".join(f"--p{percentile:g}" for percentile in limits)
    if len(given) != 1:
        what = "no limit of latency is given" if not given else f"{len(given)} limits of latency are given"
        raise typer.BadParameter(f"{what}: give one of {names}, such as --p99 20ms")
    percentile, text = given[0]
    try:
        return LatencyTarget(percentile, parse_duration_s(text))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=f"--p{percentile:g}") from error
