"""What the machine's cores cost."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from autotune.spec.part import Part


class Price(Part):
    """What a core costs while it is used."""

    per_core_hour: Annotated[float, Field(gt=0)]
    """In units of `currency`."""
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    """Its code of three letters."""
