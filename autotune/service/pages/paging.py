"""Long lists, some of them at a time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Paging:
    """Which part of a list is shown.

    Attributes:
        total: of the list; size: of a part.
        asked: number of the part, from 1; one that there is none of is the nearest.
        name: of the parameter of the address.
    """

    total: int
    size: int
    asked: int
    name: str

    @property
    def last(self) -> int:
        """The number of the last part."""
        return max(1, -(-self.total // self.size))

    @property
    def number(self) -> int:
        """The number of the part that is shown."""
        return min(max(1, self.asked), self.last)

    @property
    def offset(self) -> int:
        """How many stand before it."""
        return (self.number - 1) * self.size

    @property
    def words(self) -> str:
        """Which of how many are shown: `26 to 50 of 112`."""
        return f"{self.offset + 1} to {min(self.total, self.offset + self.size)} of {self.total}"
