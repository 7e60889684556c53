"""Says whose a running trial is, so that nobody ends a trial that somebody else is still running."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from optuna.trial import FrozenTrial

LEASE = "lease"
"""User attribute of every trial that is asked for: who runs it, and until when that is believed."""

LEASE_S = 4 * 3600.0
"""How long a trial is believed to be running. Source: stated; four preparations of half an hour each,
comparing answers and the trial itself take less."""


@dataclass(frozen=True)
class Lease:
    """The right of one coordinator to run a trial and to tell its result.

    Attributes:
        holder: name of the coordinator; one process at a time has it for a study.
        until_s: Unix time after which the trial is anybody's, as its holder must have been lost.
    """

    holder: str
    until_s: float

    def to_json(self) -> dict[str, Any]:
        """Write it as the value of a trial's user attribute."""
        return asdict(self)

    def is_anothers(self, holder: str, now_s: float) -> bool:
        """Tell whether somebody else still holds it."""
        return self.holder != holder and now_s < self.until_s


def lease_of(trial: FrozenTrial) -> Lease | None:
    """Read a trial's lease; None where it has none, as trials of older versions and of a broken store."""
    document = trial.user_attrs.get(LEASE)
    if not isinstance(document, Mapping):
        return None
    holder, until_s = document.get("holder"), document.get("until_s")
    if not isinstance(holder, str) or not isinstance(until_s, int | float):
        return None
    return Lease(holder, float(until_s))


def this_coordinator() -> str:
    """Name the coordinator of this host: of a study and store there is one, as `one_run` sees to."""
    return socket.gethostname()
