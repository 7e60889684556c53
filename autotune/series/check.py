"""What must hold of measured points, as a text: `throughput(A) / throughput(B) >= 1.5`.

A check compares one figure, of one point or of as many points over each other as below each other, with a
number:

```
check  = factor {("/" | "*") factor} (">=" | "<=") number
factor = ("throughput" | "median" | "cost") "(" name ")"
```

The number of a single median is a duration (`20ms`); of all others it is plain.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from autotune.units import parse_duration_s

PointFigure = Literal["throughput", "median", "cost"]
"""Samples per second, the median latency in seconds, and what a million samples cost."""
PRICED: frozenset[PointFigure] = frozenset(("cost",))
"""Figures that take a price."""

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9 .,:+_-]{0,62}[A-Za-z0-9]$|^[A-Za-z0-9]$"
"""Of points: without parentheses and strokes, which checks and tables are made of."""

_CHECK = re.compile(r"(.+?)\s*(>=|<=)\s*([^<>=]+)")
_FACTOR = re.compile(r"\s*([/*]?)\s*(throughput|median|cost)\(([^()]+)\)\s*")
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")


@dataclass(frozen=True)
class Check:
    """What must hold.

    Attributes:
        figure: of the points, that is compared.
        factors: names of points and their powers: 1, or -1 below the stroke.
        at_least: whether `bound` is the least that it may be, else the most.
        bound: in seconds where it is a single median.
    """

    figure: PointFigure
    factors: tuple[tuple[str, int], ...]
    at_least: bool
    bound: float

    @property
    def is_ratio(self) -> bool:
        """Whether points are compared with each other."""
        return len(self.factors) > 1


def parse_check(text: str) -> Check:
    """Read a check.

    Raises:
        ValueError: it is none; says what would be one.
    """
    parts = _CHECK.fullmatch(text.strip())
    if parts is None:
        raise ValueError(
            f"{text!r} is no check: write what must hold, such as throughput(A) / throughput(B) >= 1.5"
        )
    figure, factors = _product(parts[1])
    if len(factors) > 1 and sum(power for _, power in factors) != 0:
        raise ValueError(f"{parts[1]!r} compares nothing: put as many points over as below the stroke")
    bound = _bound(parts[3].strip(), is_duration=figure == "median" and len(factors) == 1)
    return Check(figure, factors, parts[2] == ">=", bound)


def _product(text: str) -> tuple[PointFigure, tuple[tuple[str, int], ...]]:
    figures, factors, at = set(), [], 0
    while at < len(text):
        found = _FACTOR.match(text, at)
        if found is None or bool(found[1]) == (at == 0):
            raise ValueError(
                f"{text[at:]!r} is no part of a check: write throughput(NAME), median(NAME) or cost(NAME), "
                "with / or * between them"
            )
        figures.add(found[2])
        factors.append((found[3].strip(), -1 if found[1] == "/" else 1))
        at = found.end()
    if len(figures) > 1:
        raise ValueError(f"{text!r} mixes {' and '.join(sorted(figures))}: a check compares one of them")
    return cast(PointFigure, figures.pop()), tuple(factors)


def _bound(text: str, *, is_duration: bool) -> float:
    if is_duration:
        return parse_duration_s(text)
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is not a number: write one such as 1.5")
    return float(text)
