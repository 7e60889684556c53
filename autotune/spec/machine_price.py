"""What a machine costs, and where that figure comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

STUDY: Final = "the study file"
"""Where a price stands that was not taken from a table."""


@dataclass(frozen=True)
class MachinePrice:
    """What a machine, or a number of its cores, costs an hour.

    Attributes:
        currency: its code of three letters.
        cores: physical ones that `per_hour` is the price of.
        name: of the machine, as its provider calls it, with its region; empty where nobody has named it.
        table: the file that states it, or `STUDY`.
        date: on which it was stated, as `2021-04-20`; empty where nobody says.
    """

    currency: str
    per_hour: float
    cores: int
    name: str = ""
    table: str = STUDY
    date: str = ""

    @property
    def of_core_hour(self) -> float:
        """What one core costs an hour."""
        return self.per_hour / self.cores

    @property
    def source_in_words(self) -> str:
        """Say where the price comes from: `aws c5.12xlarge in prices.yaml, 2026-06-17`."""
        named = f"{self.name} in {self.table}" if self.name else self.table
        return f"{named}, {self.date}" if self.date else named
