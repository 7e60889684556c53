"""What the machine's cores cost."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from autotune.spec.part import Count, Part, refuse

FORMS = "{per_core_hour: 0.1}, or {per_hour: 4.8, cores: 48}"

Amount = Annotated[float, Field(gt=0, le=1e9)]


class Price(Part):
    """What cores cost while they are taken: of one, or of a whole machine with its number of cores."""

    per_core_hour: Amount | None = None
    """What one core costs an hour, in units of `currency`."""
    per_hour: Amount | None = None
    """What all `cores` together cost an hour, as providers state it of a machine."""
    cores: Count | None = None
    """How many cores `per_hour` is the price of: physical ones, of which one may be two cpus."""
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    """The currency's code of three letters; USD where nothing is said."""

    @model_validator(mode="after")
    def _is_stated_once(self) -> Self:
        if self.per_core_hour is not None:
            for name in ("per_hour", "cores"):
                if getattr(self, name) is not None:
                    refuse(f"a price is stated once, and `per_core_hour` says it: write {FORMS}", name)
        elif self.per_hour is None:
            refuse(f"missing: what cores cost; write {FORMS}")
        elif self.cores is None:
            refuse(f"missing: how many cores cost {self.per_hour:g} an hour; write {FORMS}", "cores")
        return self

    @model_serializer(mode="wrap")
    def _as_it_was_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not stated: records of before there were two forms hold no more either."""
        return {name: value for name, value in handler(self).items() if value is not None}

    @property
    def of_core_hour(self) -> float:
        """What one core costs an hour, however that is stated."""
        if self.per_core_hour is not None:
            return self.per_core_hour
        assert self.per_hour is not None
        assert self.cores is not None
        return self.per_hour / self.cores
