"""Reads what is asked of costs and fleets over HTTP, and answers with the command line's documents."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from autotune.documents.cost import cost_document
from autotune.documents.fleet import choice_document, fleet_document
from autotune.errors import BusyError, RequestError
from autotune.fleet.answers import answer_choice, answer_fleet
from autotune.fleet.price import AskedPrice, parse_budget, parse_price
from autotune.fleet.workload import LatencyTarget, Workload
from autotune.plan.costs import costs_of
from autotune.service.context import Context
from autotune.spec.json_document import document_of_json
from autotune.spec.machine_price import MachinePrice
from autotune.spec.price_table import HINT, PriceTable, price_table_of, table_for
from autotune.store.imports import newest_plans
from autotune.units import parse_duration_s, parse_rate_per_s, parse_share

TABLE: Final = "the table sent"
"""What a table of prices is called that came with a request."""

WAIT_S: Final = 5.0
"""How long one waits for others to be done."""
_COMPUTING: Final = threading.BoundedSemaphore(2)

PERCENTILES: Final = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0}

FORMS: Final[Mapping[str, str]] = {
    "rate": 'give requests per second as a number, or a text such as "1e9/day"',
    **dict.fromkeys(PERCENTILES, 'give seconds as a number, or a text such as "20ms"'),
    "headroom": 'give a share as a number below 1, or a text such as "30%"',
    "price": 'give what one machine costs an hour, such as "0.808USD"',
    "budget": 'give what may be spent in a month, such as "500USD"',
    "": "/openapi.json says what each of them may be",
}
"""What to do about a wrong value, by its place."""

Value = TypeVar("Value")


def plan_costs(context: Context, ref: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Say what a plan costs, as `autotune cost --json` does.

    Raises:
        NotStoredError: there is no such plan.
        RequestError: something asked for is wrong.
        PlanError: nobody states a price.
        StudyFileError: the table of prices is wrong, or has no such type.
    """
    rate = asked.get("rate")
    per_s = None if rate is None else _read("rate", rate, read_rate)
    return cost_document(costs_of(context.store.plan(ref), read_type_price(asked)), per_s)


def fleet_of(context: Context, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Count the machines that serve a rate, as `autotune fleet --json` does.

    Raises:
        FleetError: no number of machines does, or what the plan bears is not known.
        AutotuneError: as for `plan_costs`.
    """
    workload, price = read_workload(asked), read_price(asked)
    plan = context.store.plan(asked.get("plan") or "latest")
    with _computing():
        return fleet_document(answer_fleet(plan, workload, price, replay=asked.get("replay", True)))


def choice_among(context: Context, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Choose the cheapest plan, as `autotune choose --json` does.

    Raises:
        FleetError: none of them serves what is asked.
        AutotuneError: as for `plan_costs`.
    """
    workload, price = read_workload(asked), read_price(asked)
    budget = asked.get("budget")
    monthly = None if budget is None else _read("budget", budget, lambda text: parse_budget(str(text)))
    plans = newest_plans(context.store, asked.get("studies") or ())
    with _computing():
        return choice_document(answer_choice(plans, workload, monthly, price))


@contextmanager
def _computing() -> Iterator[None]:
    """Compute beside few others: it takes a second or two, and one of the few threads.

    Raises:
        BusyError: there are too many.
    """
    if not _COMPUTING.acquire(timeout=WAIT_S):
        raise BusyError("others have fleets computed", remedy="ask again in a moment", after_s=5)
    try:
        yield
    finally:
        _COMPUTING.release()


def read_workload(asked: Mapping[str, Any]) -> Workload:
    """Read a rate, one limit of latency, and what is left free or spare.

    Raises:
        RequestError: one of them is wrong or missing.
    """
    given = [(name, asked[name]) for name in PERCENTILES if asked.get(name) is not None]
    if len(given) != 1:
        what = "no limit of latency is given" if not given else f"{len(given)} limits of latency are given"
        raise RequestError(
            f"{what}: give one of {', '.join(PERCENTILES)}", path="p99", remedy="such as p99: 20ms"
        )
    (name, text) = given[0]
    target = _read(name, text, lambda value: LatencyTarget(PERCENTILES[name], read_latency_s(value)))
    rate = _read("rate", asked["rate"], read_rate)
    headroom = _read("headroom", asked.get("headroom", 0.3), read_share)
    spare, zones = asked.get("spare", 1), asked.get("zones", 1)
    return _read("", asked, lambda _: Workload(rate, target, headroom, spare, zones))


def read_rate(value: float | str) -> float:
    """Read requests per second: a number, or a text such as `1e9/day`; raises ValueError."""
    return parse_rate_per_s(value) if isinstance(value, str) else float(value)


def read_latency_s(value: float | str) -> float:
    """Read a latency: seconds, or a text such as `20ms`; raises ValueError."""
    return parse_duration_s(value) if isinstance(value, str) else float(value)


def read_share(value: float | str) -> float:
    """Read a share: a number up to 1, or a text such as `30%`; raises ValueError."""
    return parse_share(value) if isinstance(value, str) else float(value)


def read_price(asked: Mapping[str, Any]) -> AskedPrice:
    """Read what machines cost: a price of each, or a type of a table; neither = what studies state.

    Raises:
        RequestError: the price is none, or both are given.
        StudyFileError: the table is wrong, or has no such type.
    """
    of_type, text = read_type_price(asked), asked.get("price")
    if text is None:
        return AskedPrice(of_type=of_type)
    if of_type is not None:
        raise RequestError(f"{text!r} beside a `type`", path="price", remedy="give one of them")
    return AskedPrice(_read("price", text, lambda value: parse_price(str(value))))


def read_type_price(asked: Mapping[str, Any]) -> MachinePrice | None:
    """Look up what a machine type costs, in the table that was sent or in the operator's.

    Raises:
        RequestError: a region or a table is given, and no type.
        StudyFileError: the table is wrong, or has no such type.
    """
    machine_type, region, prices = asked.get("type"), asked.get("region"), asked.get("prices")
    if machine_type is not None:
        table = table_for(None) if prices is None else read_table(prices)
        return table.price_of(machine_type, region=region or "")
    if region is not None or prices is not None:
        named = "prices" if region is None else "region"
        raise RequestError("belongs to a machine type", path=named, remedy="give a `type`, too")
    return None


def read_table(prices: Sequence[Any]) -> PriceTable:
    """Read a table of prices that came with a request; raises StudyFileError."""
    document = document_of_json({"prices": list(prices)}, file=TABLE, hint=HINT)
    return price_table_of(document, TABLE)


def _read(path: str, value: Any, read: Callable[[Any], Value]) -> Value:
    """Read a value; what is wrong with it is told with its place."""
    try:
        return read(value)
    except (ValueError, OverflowError) as error:
        raise RequestError(str(error), path=path, remedy=FORMS.get(path, FORMS[""])) from None
