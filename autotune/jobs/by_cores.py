"""The best on each smaller machine that a study searched, by the rounds where it ran in them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from autotune.measurement.measurement import Measurement
from autotune.objectives.catalogue import objective_of
from autotune.plan.evidence import Estimate, OfCores
from autotune.plan.make import Measured, estimate_from
from autotune.preflight.setup import Setup
from autotune.rounds.running import Entrant, Run, measurements_of
from autotune.search.bounds import core_counts
from autotune.search.score import limits_missed
from autotune.spec.study import StudySpec
from autotune.statistics.paired import CONFIDENCE, Interval
from autotune.store.ranking import missed_words, nearest, ranked
from autotune.store.records import TrialRecord

UNMEASURED = "nothing was measured on it; it takes more trials or minutes"


def by_cores(
    setup: Setup, records: Sequence[TrialRecord], entrants: Sequence[Entrant] = (), runs: Sequence[Run] = ()
) -> tuple[OfCores, ...]:
    """Tell what the best on each smaller machine does; nothing where the study names none.

    Args:
        records: of the search.
        entrants, runs: of the confirmation; none where there was none.
    """
    spec, machine = setup.spec, setup.machine
    counts = [cores for cores in core_counts(spec.search, machine) if cores]
    return tuple(_of(cores, spec, records, entrants, runs) for cores in counts)


def _of(
    cores: int,
    spec: StudySpec,
    records: Sequence[TrialRecord],
    entrants: Sequence[Entrant],
    runs: Sequence[Run],
) -> OfCores:
    objective = objective_of(spec)
    confirmed = [
        (measured, estimate_from(measured, spec)) for measured in _confirmed(cores, spec, entrants, runs)
    ]
    if confirmed:
        best, estimate = max(confirmed, key=lambda pair: objective.goodness(pair[1].objective_value))
        return _stated(cores, best, estimate, confirmed=True)
    own = [record for record in records if record.configuration.cores == cores]
    if met := ranked(own, spec):
        searched = _of_search(met[0])
        return _stated(cores, searched, estimate_from(searched, spec), confirmed=False)
    closest = nearest(own)
    if closest is None:
        return OfCores(cores=cores, missing=UNMEASURED)
    return OfCores(
        cores=cores,
        configuration=closest.configuration,
        trial=closest.number,
        missing=f"the best on it {missed_words(closest, spec)}",
    )


def _confirmed(
    cores: int, spec: StudySpec, entrants: Sequence[Entrant], runs: Sequence[Run]
) -> Iterator[Measured]:
    """What ran in the rounds on that machine, and keeps the limits there."""
    for entrant in entrants:
        own = measurements_of(entrant, runs)
        if entrant.configuration.cores == cores and own and not limits_missed(spec, own):
            yield Measured(entrant.configuration, entrant.trial, own)


def _of_search(record: TrialRecord) -> Measured:
    """A trial with its score as its figure, which is of usual conditions; without an interval."""
    runs = (record.result,) if isinstance(record.result, Measurement) else ()
    value = None if record.score is None else Interval(record.score, 0.0, math.inf, CONFIDENCE, 1)
    return Measured(record.configuration, record.number, runs, value)


def _stated(cores: int, measured: Measured, estimate: Estimate, *, confirmed: bool) -> OfCores:
    return OfCores(
        cores=cores,
        configuration=measured.configuration,
        trial=measured.trial,
        estimate=estimate.model_copy(update={"histogram": None}),
        confirmed=confirmed,
    )
