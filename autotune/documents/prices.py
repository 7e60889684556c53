"""A table of prices as a document."""

from __future__ import annotations

from typing import Any, Final

from autotune.spec.price_table import PriceTable

SCHEMA: Final = "autotune.prices/1"


def prices_document(table: PriceTable) -> dict[str, Any]:
    """Write a table of prices as one JSON document: its name, and every machine with source and date."""
    return {
        "schema": SCHEMA,
        "table": table.name,
        "machines": [
            {**machine.model_dump(mode="json"), "per_core_hour": machine.per_hour / machine.cores}
            for machine in table.machines
        ],
    }
