"""Says whose a running trial is, so that nobody ends a trial that somebody else is still running."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from optuna.trial import FrozenTrial, TrialState

LEASE = "lease"
"""User attribute of every trial that is asked for: who runs it, and until when that is believed."""

LEASE_S = 4 * 3600.0
"""How long a trial is believed to be running. Source: stated; four preparations of half an hour each,
comparing answers and the trial itself take less."""

BEGINNING_S: Final = 5.0
"""How long a trial without a lease is believed to be just being asked for. Source: stated; Optuna writes a
new trial's parameters one by one, in some hundredths of a second each on a slow disk."""

BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
"""What the kernel calls the time since it was started, in containers too. Source: Linux, random(4)."""


@dataclass(frozen=True)
class Lease:
    """The right of one coordinator to run a trial and to tell its result.

    Attributes:
        holder: names of the coordinator, apart by spaces; one process at a time has them for a study.
        until_s: Unix time after which the trial is anybody's, as its holder must have been lost.
    """

    holder: str
    until_s: float

    def to_json(self) -> dict[str, Any]:
        """Write it as the value of a trial's user attribute."""
        return asdict(self)

    def is_anothers(self, holder: str, now_s: float) -> bool:
        """Tell whether somebody else still holds it, who has no name in common with `holder`."""
        return set(self.holder.split()).isdisjoint(holder.split()) and now_s < self.until_s


def lease_of(trial: FrozenTrial) -> Lease | None:
    """Read a trial's lease; None where it has none, as trials of older versions and of a broken store."""
    document = trial.user_attrs.get(LEASE)
    if not isinstance(document, Mapping):
        return None
    holder, until_s = document.get("holder"), document.get("until_s")
    if not isinstance(holder, str) or not isinstance(until_s, int | float):
        return None
    return Lease(holder, float(until_s))


def is_beginning(trial: FrozenTrial) -> bool:
    """Say whether somebody is asking for a trial at this moment, and has not written yet what it runs."""
    if trial.state != TrialState.RUNNING or LEASE in trial.user_attrs or trial.datetime_start is None:
        return False
    return abs((datetime.now() - trial.datetime_start).total_seconds()) < BEGINNING_S


def this_coordinator(boot: Path = BOOT) -> str:
    """Name the coordinator of this host: of a study and store there is one, as `one_run` sees to.

    The host's name stays when the machine is started anew, and the boot's when a container is, which has
    another name each time. Whichever of them was killed goes on with its trials at once.
    """
    names = [socket.gethostname()]
    with suppress(OSError):
        names.append(boot.read_text())
    return " ".join(" ".join(names).split())
