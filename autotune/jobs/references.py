"""What a plan is held against, the baseline and the best default, and why a ratio to one cannot be stated."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from autotune.objectives.catalogue import objective_of
from autotune.plan.evidence import Default
from autotune.plan.make import range_of
from autotune.preflight.setup import Setup
from autotune.rounds.running import Entrant, Run, measurements_of
from autotune.rounds.verdict import Advantage, Role, Verdict
from autotune.search.score import is_almost_none, limits_missed, score
from autotune.spec.study import StudySpec
from autotune.store.ranking import almost_none, missed_words, nearest
from autotune.store.records import TrialRecord

REFERENCES: tuple[Role, ...] = ("default", "baseline")


def out_of_rounds(
    verdict: Verdict, entrants: Iterable[Entrant], runs: Sequence[Run], spec: StudySpec
) -> dict[Role, str]:
    """Why baseline or default have no ratio to the winner, each as what is said of it.

    A limit that is missed counts, and almost no rate: not that a ratio is unsure.
    """
    plan = objective_of(spec).goodness(verdict.estimate.estimate)
    found = {
        entrant.role: _why_out(entrant, plan, runs, spec)
        for entrant in entrants
        if entrant.role in REFERENCES and entrant.name != verdict.winner
    }
    return {role: why for role, why in found.items() if why}


def _why_out(entrant: Entrant, plan: float, runs: Sequence[Run], spec: StudySpec) -> str:
    measured = measurements_of(entrant, runs)
    if missed := limits_missed(spec, measured):
        return f"misses a limit: {' and '.join(missed)}"
    if not measured:
        return ""
    reached = _reached(entrant, runs, spec)
    is_almost = is_almost_none(objective_of(spec), spec.scenario, reached, plan)
    return almost_none(spec, reached, plan) if is_almost else ""


def _reached(entrant: Entrant, runs: Sequence[Run], spec: StudySpec) -> float:
    """What an entrant reached over its runs, in the objective's unit."""
    return statistics.geometric_mean(score(spec, run) for run in measurements_of(entrant, runs))


def no_gain_in_rounds(verdict: Verdict, out: Mapping[Role, str], entrants: Iterable[Entrant]) -> str:
    """Why the winner of rounds has no gain, as a clause; empty where it has one, or there is no baseline."""
    baseline = next((entrant.name for entrant in entrants if entrant.role == "baseline"), None)
    if baseline is None or baseline == verdict.winner:
        return ""
    if "baseline" in out:
        return f"the baseline {out['baseline']}"
    reason = verdict.failed.get(baseline)
    return f"the baseline failed in the rounds: {reason}" if reason else ""


def confirmed_default(
    verdict: Verdict,
    out: Mapping[Role, str],
    entrants: Sequence[Entrant],
    runs: Sequence[Run],
    setup: Setup,
    records: Sequence[TrialRecord],
) -> Default | None:
    """The better of the baseline, which is a default too, and the best of the others, beside the winner."""
    spec = setup.spec
    winner = next(entrant for entrant in entrants if entrant.name == verdict.winner)
    beside = [one for one in (verdict.default, verdict.baseline) if one is not None]
    if winner.role in REFERENCES and not any(one.ratio.estimate < 1 for one in beside):
        return Default(
            configuration=winner.configuration,
            trial=winner.trial,
            is_baseline=winner.role == "baseline",
            ratio=1.0,
            said="plan",
        )
    if beside:
        return _compared(min(beside, key=lambda one: one.ratio.estimate), entrants, runs, spec)
    return (
        _missing_in_rounds("default", out, entrants, runs, spec)
        or _missing_in_search(setup, records)
        or _missing_in_rounds("baseline", out, entrants, runs, spec)
    )


def _compared(
    comparison: Advantage, entrants: Sequence[Entrant], runs: Sequence[Run], spec: StudySpec
) -> Default:
    entrant = next(entrant for entrant in entrants if entrant.name == comparison.name)
    return Default(
        configuration=entrant.configuration,
        trial=entrant.trial,
        is_baseline=entrant.role == "baseline",
        ratio=comparison.ratio.estimate,
        ratio_range=range_of(comparison.ratio),
        probability=comparison.probability,
        said=comparison.said,
        more_rounds=comparison.more_rounds,
        objective_value=_reached(entrant, runs, spec),
    )


def _missing_in_rounds(
    role: Role, out: Mapping[Role, str], entrants: Iterable[Entrant], runs: Sequence[Run], spec: StudySpec
) -> Default | None:
    """A default that took part and is out; None where it is not."""
    entrant = next((entrant for entrant in entrants if entrant.role == role), None)
    if entrant is None or role not in out:
        return None
    return Default(
        configuration=entrant.configuration,
        trial=entrant.trial,
        is_baseline=role == "baseline",
        ratio=None,
        said="out",
        missed=out[role],
        objective_value=_reached(entrant, runs, spec),
    )


def searched_default(setup: Setup, winner: TrialRecord, records: Sequence[TrialRecord]) -> Default | None:
    """The best default beside the winner, by the search's own figures."""
    spec, objective = setup.spec, objective_of(setup.spec)
    meeting = [record for record in _of_defaults(setup, records) if not missed_words(record, spec)]
    best = max(meeting, key=lambda record: objective.goodness(record.score or math.nan), default=None)
    if best is None or best.score is None or winner.score is None:
        return _missing_in_search(setup, records)
    if is_almost_none(objective, spec.scenario, best.score, winner.score):
        return _out(best, almost_none(spec, best.score, winner.score))
    is_plan = best.configuration == winner.configuration
    return Default(
        configuration=best.configuration,
        trial=best.number,
        is_baseline=best.baseline,
        ratio=1.0 if is_plan else objective.ratio(winner.score, best.score),
        said="plan" if is_plan else "untold",
        objective_value=best.score,
    )


def _missing_in_search(setup: Setup, records: Sequence[TrialRecord]) -> Default | None:
    """The default that comes nearest to the limits which all of them miss in the search; None without any."""
    closest = nearest(_of_defaults(setup, records))
    missed = "" if closest is None else missed_words(closest, setup.spec)
    return _out(closest, missed) if closest is not None and missed else None


def _of_defaults(setup: Setup, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The measured trials of the baseline and of the other defaults."""
    defaults = {setup.space.baseline, *setup.space.defaults}
    return [record for record in records if record.configuration in defaults and record.score is not None]


def _out(record: TrialRecord, missed: str) -> Default:
    return Default(
        configuration=record.configuration,
        trial=record.number,
        is_baseline=record.baseline,
        ratio=None,
        said="out",
        missed=missed,
        objective_value=record.score,
    )
