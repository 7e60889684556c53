"""How the finalists stand to the plan and to the baseline, as ratios of which more than 1 is better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from autotune.plan.evidence import Range
from autotune.report.dossier import BASELINE, DEFAULT, PLAN, TWIN, Dossier
from autotune.statistics.paired import paired_ratio
from autotune.store.records import ConfirmationRecord

StandingKind = Literal["plan", "tied", "likely", "worse", "twin", "default"]


@dataclass(frozen=True)
class Standing:
    """One configuration against another.

    Attributes:
        ratio: of its goodness to the other's.
        range: its 95 % interval; None where it is not known.
    """

    name: str
    kind: StandingKind
    ratio: float
    range: Range | None


def against_plan(dossier: Dossier) -> tuple[Standing, ...]:
    """The finalists and the best default against the plan, as documented, best first; may be empty."""
    rivals = [
        Standing(f"trial {rival.trial}", rival.standing, rival.ratio, rival.ratio_range)
        for rival in dossier.plan.confirmation.rivals
        if rival.ratio is not None and rival.standing != "failed"
    ]
    others = [*rivals, *_default_against_plan(dossier)]
    own = [Standing(dossier.name, PLAN, 1.0, None)] if others else []
    return _best_first([*own, *others])


def _default_against_plan(dossier: Dossier) -> Iterator[Standing]:
    """The best default, where it is neither the plan nor the baseline, which the other ratios are of."""
    default = dossier.plan.confirmation.default
    if default is None or default.said == "plan" or default.is_baseline:
        return
    if default.ratio is None or default.ratio_range is None:
        return
    span = Range(low=1 / default.ratio_range.high, high=1 / default.ratio_range.low)
    yield Standing(DEFAULT, DEFAULT, 1 / default.ratio, span)


def over_baseline(dossier: Dossier) -> tuple[Standing, ...]:
    """Every contender over the baseline, best first; empty where there is none, or it is the plan.

    The plan's ratio is its document's; the others are paired round by round, where the runs are at hand. What
    failed or misses a limit has none.
    """
    plan = dossier.plan
    if plan.gain is None or dossier.is_baseline:
        return ()
    own = Standing(PLAN, PLAN, plan.gain, plan.gain_range)
    return _best_first([own, *_others_over_baseline(dossier)])


def _others_over_baseline(dossier: Dossier) -> Iterator[Standing]:
    baseline = {run.round: run.score for run in dossier.runs if run.contender == BASELINE and run.score}
    kinds = {one.name: one.kind for one in against_plan(dossier)}
    names = dict.fromkeys(dossier.contender(run) for run in dossier.runs)
    failed = {f"trial {one.trial}" for one in dossier.plan.confirmation.rivals if one.standing == "failed"}
    for name in names.keys() - {PLAN, BASELINE} - failed:
        runs = [run for run in dossier.runs if dossier.contender(run) == name]
        if _is_over_a_limit(runs):
            continue
        ratio = _paired(dossier, runs, baseline)
        if ratio is not None:
            yield Standing(name, _OWN_KINDS.get(name) or kinds.get(name, "worse"), *ratio)


def _is_over_a_limit(runs: Sequence[ConfirmationRecord]) -> bool:
    """Whether most runs miss a limit."""
    over = sum(any(by > 0 for by in run.violations.values()) for run in runs)
    return 2 * over > len(runs)


_OWN_KINDS: Mapping[str, StandingKind] = {TWIN: "twin", DEFAULT: "default"}


def _paired(
    dossier: Dossier, runs: Sequence[ConfirmationRecord], baseline: Mapping[int, float]
) -> tuple[float, Range | None] | None:
    """The ratio over the baseline in the rounds that have both, and its interval."""
    pairs = [
        (dossier.goodness(run.score), dossier.goodness(baseline[run.round]))
        for run in runs
        if run.score and run.round in baseline
    ]
    if not pairs:
        return None
    interval = paired_ratio([own for own, _ in pairs], [other for _, other in pairs])
    span = Range(low=interval.low, high=interval.high) if interval.low > 0 else None
    return interval.estimate, span


def _best_first(standings: Sequence[Standing]) -> tuple[Standing, ...]:
    return tuple(sorted(standings, key=lambda one: (-one.ratio, one.name)))
