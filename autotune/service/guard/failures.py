"""How often somebody has shown a wrong token lately."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

FAILURES: Final = 10
"""Wrong tokens from one address within `WINDOW_S`, before it is told to wait."""
WINDOW_S: Final = 60.0
_ADDRESSES: Final = 4_096
"""Of so many addresses failures are remembered; those of the longest ago are forgotten first."""


class FailureLimit:
    """Counts wrong tokens by address.

    A right token is taken however many wrong ones came from the same address: nobody who shares it, such as
    everybody on this machine or behind one proxy, can lock the others out.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()

    def count(self, address: str) -> int:
        """Count a failure, and give the seconds to wait; 0 as long as there were few."""
        network, now = _network(address), self._clock()
        times = self._failed.setdefault(network, deque(maxlen=FAILURES + 1))
        self._failed.move_to_end(network)
        while len(self._failed) > _ADDRESSES:
            self._failed.popitem(last=False)
        while times and now - times[0] >= WINDOW_S:
            times.popleft()
        times.append(now)
        return math.ceil(WINDOW_S - (now - times[0])) if len(times) > FAILURES else 0


def _network(address: str) -> str:
    """An address; of IPv6 its /64, all of which one host may have."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False))
