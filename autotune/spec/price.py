"""What the machine's cores cost."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from autotune.spec.machine_price import STUDY, MachinePrice
from autotune.spec.part import Count, FileName, Part, refuse

FORMS = "{per_core_hour: 0.1}, {per_hour: 4.8, cores: 48}, or {type: NAME} of a table of prices"

Amount = Annotated[float, Field(gt=0, le=1e9)]

Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
"""Its code of three letters."""

Day = Annotated[str, Field(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")]
"""As `2021-04-20`."""

PriceName = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""A provider's name, a machine type or a region, as providers write them."""

_OF_TABLES = ("provider", "region", "table", "date")
"""What belongs to a type, and says nothing without one."""


class Price(Part):
    """What cores cost while they are taken: of one, of a machine with its number of cores, or of a type.

    A type's price stands in a table. Once it is looked up (`autotune.spec.priced`), this holds both: the type
    with the table and its date, and what that says.
    """

    per_core_hour: Amount | None = None
    """What one core costs an hour, in units of `currency`."""
    per_hour: Amount | None = None
    """What all `cores` together cost an hour, as providers state it of a machine."""
    cores: Count | None = None
    """How many cores `per_hour` is the price of: physical ones, of which one may be two cpus."""
    currency: Currency = "USD"
    """The currency's code of three letters; USD where nothing is said. Of a type, what the table says."""
    type: PriceName | None = None
    """The machine's type in a table of prices, such as c5.12xlarge."""
    provider: PriceName | None = None
    """Of the type, where several providers have one of that name."""
    region: PriceName | None = None
    """Of the type, where the table has several."""
    table: FileName | None = None
    """The table of prices; by default what `--prices` or AUTOTUNE_PRICES name, else the one that ships."""
    date: Day | None = None
    """When the price was stated: the table's date of a type."""

    @model_validator(mode="after")
    def _is_stated_once(self) -> Self:
        if self.per_core_hour is not None:
            for name in ("per_hour", "cores", "type"):
                if getattr(self, name) is not None:
                    refuse(f"a price is stated once, and `per_core_hour` says it: write {FORMS}", name)
        elif self.type is not None and self.per_hour is not None and self.table is None:
            refuse(f"a price is stated once, and `type` says it: write {FORMS}", "per_hour")
        elif self.per_hour is None:
            if self.type is None:
                refuse(f"missing: what cores cost; write {FORMS}")
            if self.cores is not None:
                refuse(f"the table says how many cores {self.type} has: leave it out", "cores")
        elif self.cores is None:
            refuse(f"missing: how many cores cost {self.per_hour:g} an hour; write {FORMS}", "cores")
        return self

    @model_validator(mode="after")
    def _belongs_to_a_type(self) -> Self:
        for name in _OF_TABLES if self.type is None else ():
            if getattr(self, name) is not None:
                refuse(f"`{name}` belongs to a type of machine: write `type`, or leave it out", name)
        return self

    @model_serializer(mode="wrap")
    def _as_it_was_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not stated: records of before there were more forms hold no more either."""
        return {name: value for name, value in handler(self).items() if value is not None}

    @property
    def is_known(self) -> bool:
        """Whether it says what cores cost; else its type is to be looked up first."""
        return self.per_core_hour is not None or self.per_hour is not None

    @property
    def of_core_hour(self) -> float:
        """What one core costs an hour, however that is stated."""
        if self.per_core_hour is not None:
            return self.per_core_hour
        assert self.per_hour is not None
        assert self.cores is not None
        return self.per_hour / self.cores

    @property
    def machine(self) -> MachinePrice:
        """What the machine costs, and where that is stated: of the price of a core, a machine of one core."""
        if self.per_core_hour is not None:
            return MachinePrice(self.currency, self.per_core_hour, 1)
        assert self.per_hour is not None
        assert self.cores is not None
        named = " ".join(filter(None, (self.provider, self.type, self.region)))
        return MachinePrice(
            self.currency, self.per_hour, self.cores, named, self.table or STUDY, self.date or ""
        )
