"""What an examination finds, one value for each thing that was looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, get_args

Severity = Literal["ok", "note", "warning", "fault"]
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
"""From the mildest."""


@dataclass(frozen=True)
class Diagnosis:
    """One thing that was looked at.

    Attributes:
        area: what it belongs to, such as `store` or `clock`.
        severity: `ok`; `note` = good to know; `warning` = measurements are worse for it, or will soon not be
            possible; `fault` = something does not work.
        words: what was found, with the value.
        remedy: what to do about it; empty where there is nothing to do.
    """

    area: str
    severity: Severity
    words: str
    remedy: str = ""


def is_healthy(diagnoses: Iterable[Diagnosis]) -> bool:
    """Whether everything works, well or not so well."""
    return all(diagnosis.severity != "fault" for diagnosis in diagnoses)
