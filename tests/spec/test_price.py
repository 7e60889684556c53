"""What cores cost, as it may be written."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from autotune.spec.price import Price


def test_a_price_is_of_a_core_or_of_a_machine_with_its_cores() -> None:
    assert Price(per_core_hour=0.1).of_core_hour == 0.1
    assert Price(per_hour=4.848, cores=48).of_core_hour == pytest.approx(0.101)


def test_a_price_is_kept_as_it_was_written() -> None:
    price = Price(per_hour=4.848, cores=48, currency="EUR")
    written = {"per_hour": 4.848, "cores": 48, "currency": "EUR"}
    assert price.model_dump(mode="json") == written
    assert Price.model_validate(written) == price
    assert Price(per_core_hour=0.1).model_dump(mode="json") == {"per_core_hour": 0.1, "currency": "USD"}


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ({}, "missing: what cores cost; write {per_core_hour: 0.1}"),
        ({"currency": "EUR"}, "missing: what cores cost"),
        ({"cores": 48}, "missing: what cores cost"),
        ({"per_hour": 4.848}, "missing: how many cores cost 4.848 an hour"),
        ({"per_core_hour": 0.1, "per_hour": 4.8, "cores": 48}, "a price is stated once"),
        ({"per_core_hour": 0.1, "cores": 48}, "a price is stated once"),
        ({"per_core_hour": 0.0}, "greater than 0"),
        ({"per_core_hour": -1.0}, "greater than 0"),
        ({"per_core_hour": 0.1, "currency": "dollars"}, "pattern"),
        ({"per_hour": 4.8, "cores": 0}, "greater than or equal to 1"),
    ],
)
def test_what_is_no_price_is_refused(written: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Price.model_validate(written)
    assert fault in str(refused.value)
