"""Holds what is claimed of a series against what was measured: agrees, does not, or cannot be told here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from autotune.series.check import Check, Figure
from autotune.series.standing import Standings, inverse
from autotune.series.values import Claim, Winners
from autotune.statistics.paired import Interval

Verdict = Literal["agrees", "differs", "unknown"]


@dataclass(frozen=True)
class Judgement:
    """A claim and what the measurement says of it.

    Attributes:
        verdict: `agrees` and `differs` are shown, with 95 % confidence each; else it is `unknown`.
        found: the figure of the claim's check, where all its points have one.
        reason: what the verdict rests on where that is no figure, as a sentence.
    """

    claim: Claim
    verdict: Verdict
    found: Interval | None = None
    reason: str = ""


def judge(claim: Claim, standings: Standings) -> Judgement:
    """Say whether a claim holds here."""
    if claim.winners_differ is not None:
        return _judge_winners(claim, claim.winners_differ, standings)
    check = claim.parsed()
    assert check is not None
    missing = [one for name in claim.names() if not (one := standings.point(name)).is_measured]
    if missing:
        reason = f"{missing[0].point.name} was not measured: {missing[0].unmeasured}."
        return Judgement(claim, "unknown", reason=reason)
    found = _found(check, standings)
    return Judgement(claim, _held(check, found), found)


def _found(check: Check, standings: Standings) -> Interval:
    if check.is_ratio:
        return standings.product(check.factors, check.figure)
    ((name, _),) = check.factors
    found = standings.value(name, check.figure)
    assert found is not None
    return found


def _held(check: Check, found: Interval) -> Verdict:
    """Whether the whole interval lies on one side of the bound."""
    below, above = found.high <= check.bound, found.low >= check.bound
    if above == below:
        return "unknown"
    return "agrees" if above == check.at_least else "differs"


@dataclass(frozen=True)
class _Winner:
    """The best of a list.

    Attributes:
        place: in the list.
        is_clear: whether it is shown to be better than each of the others.
    """

    name: str
    place: int
    is_clear: bool


def _judge_winners(claim: Claim, asked: Winners, standings: Standings) -> Judgement:
    found = [winner for names in asked.lists if (winner := _winner(names, asked.by, standings))]
    clear = {winner.place for winner in found if winner.is_clear}
    reason = f"the best of each list: {'; '.join(map(_in_words, found)) or 'none was measured'}."
    if len(clear) > 1:
        return Judgement(claim, "agrees", reason=reason)
    is_same = len(clear) == 1 and len(found) == len(asked.lists) and all(one.is_clear for one in found)
    return Judgement(claim, "differs" if is_same else "unknown", reason=reason)


def _winner(names: Sequence[str], by: Figure, standings: Standings) -> _Winner | None:
    """The best of those that were measured; None of fewer than two."""
    there = [name for name in names if standings.point(name).is_measured]
    if len(there) < 2:
        return None
    best = there[0]
    for name in there[1:]:
        if _advantage(name, best, by, standings).estimate > 1:
            best = name
    others = (name for name in there if name != best)
    is_clear = all(_advantage(best, other, by, standings).low > 1 for other in others)
    return _Winner(best, names.index(best), is_clear)


def _advantage(one: str, other: str, by: Figure, standings: Standings) -> Interval:
    """How many times as good one is as the other: as much, or as short, or as cheap."""
    ratio = standings.product(((one, 1), (other, -1)), by)
    return ratio if by == "throughput" else inverse(ratio)


def _in_words(winner: _Winner) -> str:
    return winner.name if winner.is_clear else f"{winner.name} (not shown to be)"
