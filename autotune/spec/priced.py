"""Looks up what a study's machine costs, where its price names a type in a table."""

from __future__ import annotations

from pathlib import Path

from autotune.errors import StudyFileError
from autotune.spec.price import Price
from autotune.spec.price_table import PriceTable, read_prices, table_for
from autotune.spec.study import StudySpec


def priced(spec: StudySpec, *, base: Path = Path(), prices: Path | None = None) -> StudySpec:
    """Give the study with what its machine costs; one that says so itself, or has no price, as it is.

    Args:
        base: folder that a table's relative path starts from (the study file's).
        prices: the table that is used where the study names none.

    Raises:
        StudyFileError: the table is wrong, has no such type, or states it in another currency.
    """
    if spec.price is None or spec.price.is_known:
        return spec
    return spec.model_copy(update={"price": look_up(spec.price, base=base, prices=prices)})


def look_up(price: Price, *, base: Path = Path(), prices: Path | None = None) -> Price:
    """Give a price that names a type with what the table says of it; raises as `priced` does."""
    if price.is_known:
        return price
    table = table_for(prices) if price.table is None else _table(price.table, base)
    return price_of_type(table, price)


def price_of_type(table: PriceTable, price: Price) -> Price:
    """Give what a table says of the type that a price names; raises as `priced` does."""
    assert price.type is not None
    machine = table.find(price.type, provider=price.provider or "", region=price.region or "")
    if "currency" in price.model_fields_set and price.currency != machine.currency:
        raise StudyFileError(
            f"{table.name} states {machine.name} in {machine.currency}, not in {price.currency}",
            path="price.currency",
            remedy=f"write {machine.currency}, or a price of your own in {price.currency}: "
            "autotune knows no rates of exchange",
        )
    return Price(
        per_hour=machine.per_hour,
        cores=machine.cores,
        currency=machine.currency,
        type=machine.type,
        provider=machine.provider,
        region=machine.region,
        table=table.name,
        date=machine.date,
    )


def _table(named: str, base: Path) -> PriceTable:
    """Read a table under the name that the study gives it, wherever it lies."""
    table = read_prices(base / named)
    return PriceTable(named, table.machines)
