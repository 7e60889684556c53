"""Holds what is claimed of a series against what was measured: agrees, does not, or cannot be told here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from autotune.series.check import Check, PointFigure
from autotune.series.standing import Standings, why_no_ratio
from autotune.series.values import Claim, Winners
from autotune.statistics.paired import CONFIDENCE, Interval

ClaimVerdict = Literal["agrees", "differs", "unknown"]


@dataclass(frozen=True)
class Judgement:
    """A claim and what the measurement says of it.

    Attributes:
        verdict: `agrees` and `differs` are shown, with 95 % confidence each; else it is `unknown`.
        found: the figure of the claim's check, where all its points have one.
        reason: what the verdict rests on where that is no figure, as a sentence.
    """

    claim: Claim
    verdict: ClaimVerdict
    found: Interval | None = None
    reason: str = ""


def judge(claim: Claim, standings: Standings) -> Judgement:
    """Say whether a claim holds here."""
    if claim.winners_differ is not None:
        return _judge_winners(claim, claim.winners_differ, standings)
    check = claim.parsed()
    assert check is not None
    points = [standings.point(name) for name in claim.names()]
    if reason := why_no_ratio(points) if check.is_ratio else points[0].unmeasured_in_words:
        return Judgement(claim, "unknown", reason=f"{reason}.")
    found = _found(check, standings)
    return Judgement(claim, _held(check, found), found)


def _found(check: Check, standings: Standings) -> Interval:
    if check.is_ratio:
        return standings.product(check.factors, check.figure)
    ((name, _),) = check.factors
    found = standings.value(name, check.figure)
    assert found is not None
    return found


def _held(check: Check, found: Interval) -> ClaimVerdict:
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
    """Lists are compared at the places that were measured, and miss no limit, in all of them.

    That the best stand at different places is shown by two lists; that they all stand at one, by all points.
    """
    lists = _comparable_in_all(asked.lists, standings)
    missing = [reason for name in claim.names() if (reason := standings.point(name).incomparable)]
    left_out = f"{missing[0]}." if missing else ""
    if not lists:
        return Judgement(claim, "unknown", reason=left_out)
    confidence = _of_each(len(lists) * math.comb(len(lists[0]), 2))
    found = [_winner(names, asked.by, standings, confidence) for names in lists]
    reason = f"the best of each list: {'; '.join(map(_in_words, found))}. {left_out}".strip()
    clear = {winner.place for winner in found if winner.is_clear}
    if len(clear) > 1:
        return Judgement(claim, "agrees", reason=reason)
    is_same = len(clear) == 1 and not missing and all(one.is_clear for one in found)
    return Judgement(claim, "differs" if is_same else "unknown", reason=reason)


def _comparable_in_all(lists: Sequence[Sequence[str]], standings: Standings) -> list[tuple[str, ...]]:
    """The lists without the places at which one cannot be compared; none where fewer than two are left."""
    places = [
        names
        for names in zip(*lists, strict=True)
        if not any(standings.point(one).incomparable for one in names)
    ]
    return list(zip(*places, strict=True)) if len(places) > 1 else []


def _of_each(comparisons: int) -> float:
    """Confidence of each of so many comparisons of which the best are picked, for that of all together.

    Source: C. E. Bonferroni's inequality.
    """
    return 1 - (1 - CONFIDENCE) / comparisons


def _winner(names: Sequence[str], by: PointFigure, standings: Standings, confidence: float) -> _Winner:
    best = names[0]
    for name in names[1:]:
        if _advantage(name, best, by, standings, confidence).estimate > 1:
            best = name
    others = (name for name in names if name != best)
    is_clear = all(_advantage(best, other, by, standings, confidence).low > 1 for other in others)
    return _Winner(best, names.index(best), is_clear)


def _advantage(one: str, other: str, by: PointFigure, standings: Standings, confidence: float) -> Interval:
    """How many times as good one is as the other: as much, or as short, or as cheap."""
    ratio = standings.product(((one, 1), (other, -1)), by, confidence)
    return standings.objective(by).interval(ratio)


def _in_words(winner: _Winner) -> str:
    return winner.name if winner.is_clear else f"{winner.name} (not shown to be)"
