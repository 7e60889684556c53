"""Judges what the host did to a block: whether it can count, what is worth a word, and what would help.

Only hard facts keep a block from counting: the CPU quota stopped it, heat slowed the cpus, a cpu was taken
away. Everything else is noted, and corrected for as far as it was seen to matter.

Bounds are for a window of about a second and above the resolution of what is counted: the kernel's counters
of CPU time have steps of 10 ms, and the trial's own parent is at work for a few of them between windows.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from autotune.measurement.measurement import Conditions

MAX_OTHERS_CPUS = 0.07
"""Of an instance's cpus: its threads wait for each other, so that it loses about this share of one of them.
What an idle host does on the side (timers, logs, the kernel's own threads) is a tenth of it."""

MAX_STEAL = 0.02
"""Share of the cpus' time: as much as a tie between configurations is wide."""

NOISE_S = 0.03
"""On top of both, in each window: three steps of the kernel's counters."""

MIN_SPEED = 0.75
"""Against what is usual; a slower spell is worth a word, and so is one that is faster by as much: then there
are two speeds, and the slower may be the usual one. It is no reason to throw a block away: on a recorded
guest two thirds of all blocks were slower than this against the fastest probe ever seen, and by 5 to 11 %
slower than the others. How far speed explains values is learned (`autotune.measurement.correction`)."""

MIN_HOT_SPEED = 0.95
"""Where cores say that heat slowed them, it did if they are slower than this; else it was only counted."""

MAX_WAITED = 0.1
"""Share of the time in which threads waited for a cpu, where nobody says what others took."""

MAX_MAJOR_FAULTS_PER_S = 20.0
"""A page from a disk takes about a millisecond: 2 % of the time, which is as wide as a tie."""

MAX_MEMORY_PRESSURE = 0.05
"""Share of the time in which some task waited for memory; it may have been somebody else's."""

DisturbanceKind = Literal["quota", "lost", "heat", "steal", "others", "waiting", "speed", "memory"]

HARD: frozenset[DisturbanceKind] = frozenset({"quota", "lost", "heat"})
"""What keeps a block from counting."""


@dataclass(frozen=True)
class _Finding:
    """One disturbance.

    Attributes:
        size: to tell the worst of several blocks.
    """

    kind: DisturbanceKind
    size: float
    phrase: str


def hard_fact(conditions: Conditions) -> str:
    """Why the block cannot count, as a part of a sentence; empty when it can."""
    return " and ".join(finding.phrase for finding in _findings(conditions) if finding.kind in HARD)


def disturbance(conditions: Conditions) -> str:
    """What disturbed the block, hard fact or not, as a part of a sentence; empty when nothing did."""
    return " and ".join(finding.phrase for finding in _findings(conditions))


COUNTED = "counted all the same"
CORRECTED = "counted, corrected as far as this was seen to matter"
"""What becomes of disturbed blocks, by what the study asks."""


def have_others_disturbed(conditions: Conditions) -> bool:
    """Whether other processes took more of the cpus than a quiet host does."""
    return _others(conditions) is not None


def what_disturbed(conditions: Sequence[Conditions]) -> str:
    """What disturbed these blocks: the worst of each kind, and how many blocks had it."""
    found: dict[DisturbanceKind, list[_Finding]] = {}
    for finding in (finding for one in conditions for finding in _findings(one)):
        found.setdefault(finding.kind, []).append(finding)
    often = sorted(found.values(), key=len, reverse=True)
    return "; ".join(f"{max(same, key=lambda one: one.size).phrase} ({_of(len(same))})" for same in often)


def _of(count: int) -> str:
    """Say of how many a phrase tells the worst."""
    return "once" if count == 1 else f"the worst of {_times(count)}"


def quietness(kept: Sequence[Conditions], dropped: Sequence[Conditions], treatment: str = COUNTED) -> str:
    """How quiet the machine was while these blocks were measured, and what would help, in plain sentences.

    Args:
        treatment: what became of blocks that were disturbed and count.
    """
    total = len(kept) + len(dropped)
    if not total:
        return "Nobody looked at how quiet the machine was."
    usual_s = usual_probe_s(kept)
    kept = [in_hindsight(one, usual_s) for one in kept]
    counted = [one for one in kept if _findings(one)]
    if not dropped and not counted:
        return f"The machine was quiet: none of {_blocks(total)} was disturbed.{_blind_spots(kept)}"
    sentences = [
        *([_disturbed(dropped, total, "not counted")] if dropped else []),
        *([_disturbed(counted, total, treatment)] if counted else []),
    ]
    kinds = {finding.kind for one in (*dropped, *counted) for finding in _findings(one)}
    helpful = dict.fromkeys(remedy for kind in _REMEDIES if kind in kinds for remedy in _REMEDIES[kind])
    remedies = "; ".join(helpful)
    return f"{' '.join(sentences)} What would help: {remedies}."


def usual_probe_s(blocks: Iterable[Conditions]) -> float | None:
    """The median of what the probe took beside all these blocks, in seconds; None where it never ran."""
    probes = [one.probe_s for one in blocks if one.probe_s is not None]
    return statistics.median(probes) if probes else None


def in_hindsight(block: Conditions, usual_s: float | None) -> Conditions:
    """The block with its speed against what was usual in the whole study.

    While it is measured, a block can be held against those before it alone: a slow spell that is there from
    the beginning is usual then.
    """
    if block.probe_s is None or usual_s is None:
        return block
    return replace(block, speed=usual_s / block.probe_s)


def _disturbed(blocks: Sequence[Conditions], total: int, treatment: str) -> str:
    was = "was" if len(blocks) == 1 else "were"
    return f"{len(blocks)} of {_blocks(total)} {was} disturbed and {treatment}: {what_disturbed(blocks)}."


_OTHER_WORK = ("stop other work, or give autotune cpus of its own with a cgroup cpuset",)
_NEIGHBOURS = "move to dedicated cpus, off shared or burstable instances"

_REMEDIES: dict[DisturbanceKind, tuple[str, ...]] = {
    "others": _OTHER_WORK,
    "waiting": _OTHER_WORK,
    "steal": (_NEIGHBOURS,),
    "speed": (_NEIGHBOURS, "fix the frequency (governor `performance`)"),
    "lost": ("leave the cpuset and the online cpus as they are while a study runs",),
    "quota": ("raise the CPU quota or let autotune use fewer cpus",),
    "heat": ("cool the machine, or lower its highest frequency",),
    "memory": ("free memory, or turn swap off",),
}
"""By kind, in the order in which they are told."""


def _findings(conditions: Conditions) -> list[_Finding]:
    found = (look(conditions) for look in _LOOKS)
    return [finding for finding in found if finding is not None]


def _quota(one: Conditions) -> _Finding | None:
    if not one.throttled_periods:
        return None
    phrase = f"the CPU quota throttled the trial {_times(one.throttled_periods)}"
    return _Finding("quota", one.throttled_periods, phrase)


def _lost(one: Conditions) -> _Finding | None:
    if not one.lost_cpus:
        return None
    phrase = f"{one.lost_cpus} {'cpu was' if one.lost_cpus == 1 else 'cpus were'} taken away"
    return _Finding("lost", one.lost_cpus, phrase)


def _steal(one: Conditions) -> _Finding | None:
    if one.steal is None or one.steal <= MAX_STEAL + NOISE_S / one.window_s:
        return None
    return _Finding("steal", one.steal, f"the hypervisor took {_percent(one.steal)} of the cpus")


def _others(one: Conditions) -> _Finding | None:
    taken = one.others_cpus
    if taken is None or taken <= MAX_OTHERS_CPUS + NOISE_S / one.window_s:
        return None
    who = f" ({', '.join(one.culprits)})" if one.culprits else ""
    return _Finding("others", taken, f"other processes took {taken:.2f} cpus{who}")


def _waiting(one: Conditions) -> _Finding | None:
    if one.others_cpus is not None or one.waited is None or one.waited <= MAX_WAITED:
        return None
    return _Finding("waiting", one.waited, f"the workers waited for a cpu {_percent(one.waited)} of the time")


def _heat(one: Conditions) -> _Finding | None:
    if not one.thermal_throttles or (one.speed or 0.0) >= MIN_HOT_SPEED:
        return None
    degrees = "" if one.temperature_c is None else f" at {one.temperature_c:.0f} °C"
    return _Finding(
        "heat", one.thermal_throttles, f"heat slowed the cpus {_times(one.thermal_throttles)}{degrees}"
    )


def _speed(one: Conditions) -> _Finding | None:
    if one.speed is None or MIN_SPEED <= one.speed <= 1 / MIN_SPEED:
        return None
    # Before `probe_s` was kept, speed was against the fastest that was ever seen.
    against = "speed" if one.probe_s is None else "usual speed"
    size = max(one.speed, 1 / max(one.speed, 1e-9))
    return _Finding("speed", size, f"the cpus ran at {one.speed:.2f} of their {against}")


def _memory(one: Conditions) -> _Finding | None:
    faults, pressure = (one.major_faults or 0) / one.window_s, one.memory_pressure or 0.0
    if faults > MAX_MAJOR_FAULTS_PER_S:
        return _Finding("memory", faults, f"the workers read {one.major_faults} pages back from the disk")
    if pressure > MAX_MEMORY_PRESSURE:
        return _Finding("memory", pressure, f"memory was short {_percent(pressure)} of the time")
    return None


_LOOKS: tuple[Callable[[Conditions], _Finding | None], ...] = (
    _quota,
    _lost,
    _heat,
    _steal,
    _others,
    _waiting,
    _speed,
    _memory,
)


def _blind_spots(kept: Sequence[Conditions]) -> str:
    """What could not be seen on this machine, where that matters."""
    unseen = {
        "the cpus' time": all(one.others_cpus is None for one in kept),
        "the cpus' speed": all(one.speed is None for one in kept),
    }
    names = [name for name, is_unseen in unseen.items() if is_unseen]
    return f" What could not be read here: {', '.join(names)}." if names else ""


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _blocks(count: int) -> str:
    return "1 block" if count == 1 else f"{count} blocks"
