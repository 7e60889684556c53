"""What the rounds of a confirmation are held against, and what is said where they contradict it."""

from __future__ import annotations

from collections.abc import Sequence

from autotune.errors import NoisyMachineError
from autotune.jobs.concluding import conditions_of
from autotune.measurement.measurement import Measurement
from autotune.objectives.catalogue import objective_of
from autotune.objectives.scores import format_score
from autotune.rounds.contradiction import Compared, Contradiction, Earlier
from autotune.rounds.running import Entrant, Run
from autotune.search.experience import Experience
from autotune.spec.study import StudySpec
from autotune.store.records import TrialRecord

CONTRADICTION = "the rounds contradict the search"
"""Begins whatever is said of it."""


def earlier_of(entrant: Entrant, records: Sequence[TrialRecord], known: Experience) -> Earlier | None:
    """What the search had measured of an entrant; None where that misses a limit, and is nothing to keep to.

    Args:
        records: all trials of the search, the entrant's among them.
        known: what the search has learned of the host.
    """
    record = next(record for record in records if record.number == entrant.trial)
    if not isinstance(record.result, Measurement) or any(by > 0 for by in record.violations.values()):
        return None
    tried = sum(record.score is not None for record in records)
    among = 1 if entrant.role == "baseline" else tried
    return known.earlier(entrant.configuration, record.result, among=among)


def contradicted(spec: StudySpec, compared: Sequence[Compared], runs: Sequence[Run]) -> NoisyMachineError:
    """Why rounds that contradict the search confirm nothing: who fell, every figure, and how quiet it was."""
    rounds = max((run.round for run in runs), default=0)
    figures = "; ".join(_figures(spec, entrant) for entrant in compared)
    quiet = conditions_of([run.result for run in runs], spec)["quietness"]
    return NoisyMachineError(
        f"study {spec.name!r}: after {rounds} rounds, {doubt(spec, compared)}. "
        f"In search and rounds: {figures}. {quiet}",
        remedy="something came to this machine after the search and slows some configurations more than "
        "others: end it, or give the study cpus of its own (a cpuset, a dedicated host); the same command "
        "then runs the rounds again. If it is there to stay, search anew under another name (--name)",
    )


def doubt(spec: StudySpec, compared: Sequence[Compared]) -> str:
    """Which entrants fell behind which, as a clause; `spec` says what they are measured in."""
    told = " and ".join(
        _fall(spec, entrant, entrant.contradiction) for entrant in compared if entrant.contradiction
    )
    return f"{CONTRADICTION}: {told}"


def _fall(spec: StudySpec, entrant: Compared, contradiction: Contradiction) -> str:
    before, now = _scores(spec, entrant)
    return (
        f"{entrant.name} fell from {before} to {now}, and behind {contradiction.behind} by a factor of "
        f"{contradiction.times:.3g}, where noise explains {contradiction.allowed:.2f}"
    )


def _figures(spec: StudySpec, entrant: Compared) -> str:
    before, now = _scores(spec, entrant)
    return f"{entrant.name}: {before}, {now}"


def _scores(spec: StudySpec, entrant: Compared) -> tuple[str, str]:
    """What it reached in the search and in the rounds."""
    before, now = (
        format_score(spec, objective_of(spec).goodness(value)) for value in (entrant.before, entrant.now)
    )
    return before, now
