"""How the finalists stand to the plan and to the baseline, as ratios of which more than 1 is better."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from autotune.plan.evidence import Range
from autotune.report.dossier import BASELINE, PLAN, TWIN, Dossier
from autotune.statistics.paired import paired_ratio
from autotune.store.records import ConfirmationRecord

Kind = Literal["plan", "tied", "worse", "twin", "baseline"]


@dataclass(frozen=True)
class Standing:
    """One configuration against another.

    Attributes:
        ratio: of its goodness to the other's.
        range: its 95 % interval; None where it is not known.
    """

    name: str
    kind: Kind
    ratio: float
    range: Range | None


def against_plan(dossier: Dossier) -> tuple[Standing, ...]:
    """As the plan's document states it: the plan itself, the finalists, the baseline, best first."""
    return tuple(sorted(_against_plan(dossier), key=lambda one: -one.ratio))


def against_baseline(dossier: Dossier) -> tuple[Standing, ...]:
    """Every contender over the baseline, round by round, best first; empty without runs of the baseline."""
    baseline = {run.round: run.score for run in dossier.runs if run.contender == BASELINE and run.score}
    kinds: dict[str, Kind] = {one.name: one.kind for one in _against_plan(dossier)}
    names = dict.fromkeys(run.contender for run in dossier.runs if run.contender != BASELINE)
    found = [
        standing
        for name in names
        if (
            standing := _over(
                dossier, [one for one in dossier.runs if one.contender == name], baseline, kinds
            )
        )
    ]
    return tuple(sorted(found, key=lambda one: -one.ratio))


def _against_plan(dossier: Dossier) -> Iterator[Standing]:
    plan = dossier.plan
    yield Standing(dossier.name, PLAN, 1.0, None)
    for rival in plan.confirmation.rivals:
        if rival.ratio is not None and rival.standing != "failed":
            yield Standing(f"trial {rival.trial}", rival.standing, rival.ratio, rival.ratio_range)
    if plan.gain and not dossier.is_baseline:
        span = plan.gain_range
        inverse = Range(low=1 / span.high, high=1 / span.low) if span and span.low > 0 else None
        yield Standing(BASELINE, BASELINE, 1 / plan.gain, inverse)


def _over(
    dossier: Dossier,
    runs: list[ConfirmationRecord],
    baseline: dict[int, float],
    kinds: dict[str, Kind],
) -> Standing | None:
    pairs = [
        (dossier.goodness(run.score), dossier.goodness(baseline[run.round]))
        for run in runs
        if run.score and run.round in baseline
    ]
    if not pairs:
        return None
    interval = paired_ratio([own for own, _ in pairs], [other for _, other in pairs])
    name = dossier.contender(runs[0])
    span = Range(low=interval.low, high=interval.high) if interval.low > 0 else None
    kind = TWIN if name == TWIN else kinds.get(name, "worse")
    return Standing(name, kind, interval.estimate, span)
