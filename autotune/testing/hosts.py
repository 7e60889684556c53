"""Weather of noisy hosts by name: what simulated machines are to bear."""

from __future__ import annotations

from collections.abc import Mapping

from autotune.testing.noise import Spikes
from autotune.testing.weather import (
    WeatherMaker,
    arriving,
    drifting,
    neighboured,
    noisy,
    regimes,
    spiky,
)

HOSTS: Mapping[str, WeatherMaker] = {
    "quiet": noisy(0.01),
    "noise 3 %": noisy(0.03),
    "noise 10 %": noisy(0.10),
    "noise 30 %": noisy(0.30),
    "regimes 0.1 s": regimes(0.1),
    "regimes 1 s": regimes(1.0),
    "regimes 10 s": regimes(10.0),
    "regimes 60 s": regimes(60.0),
    "spikes": spiky(Spikes(share=0.05, factor=2.0, mean_s=0.5)),
    "drift": drifting(0.10, 600.0),
    "neighbour": neighboured(60.0, 240.0, in_guest=True),
    "stolen": neighboured(60.0, 240.0, in_guest=False),
    "late neighbour": arriving(in_guest=True, left=0.5),
    "late stolen": arriving(in_guest=False, left=0.5),
    "late on unpinned": arriving(in_guest=True, left=0.1, slows_pinned=False),
}
"""Noise a block of one second; two regimes at speed 1.0 and 0.5 by their mean dwell time; 5 % of the time at
half speed; a drift of 10 % in 10 minutes; a process, or a guest, that comes in the middle of a study of five
minutes and takes half of one of two cpus; the same when its search is over; a process that comes then and
slows unpinned workers alone, to a tenth."""
