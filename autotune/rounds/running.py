"""Runs a contest or a duel: round after round, every contender in fresh processes, in random order."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from autotune.events import Emit, RoundBegan, unheard
from autotune.measurement.measurement import Failure, FailureKind, Measurement, TrialResult
from autotune.placement.placement import Command
from autotune.rounds.contest import Contest
from autotune.rounds.looks import MIN_ROUNDS
from autotune.rounds.verdict import Role
from autotune.spec.configuration import Configuration

ATTEMPTS = 2
"""Launches of one contender in one round, when what the first measured was disturbed."""


@dataclass(frozen=True)
class Entrant:
    """A contender and how it is started.

    Attributes:
        name: in the contest, such as `baseline`, `trial 7`, `twin`.
        trial: number of the configuration's trial in the search.
        commands: one for each instance.
    """

    name: str
    role: Role
    configuration: Configuration
    trial: int
    commands: tuple[Command, ...]


class Match(Protocol):
    """Who runs in the next round, and whether there is one: a `Contest`, or a `Duel`."""

    @property
    def rounds(self) -> int:
        """How many rounds have begun."""
        ...

    def next_round(self) -> tuple[str, ...] | None:
        """Begin a round: the names in the order to run them; None when it is decided."""
        ...

    def record(self, name: str, goodness: float | None, covariates: tuple[float, ...] = ()) -> None:
        """Add what one reached in the round under way, and what the host did meanwhile."""
        ...

    def fail(self, name: str, reason: str) -> None:
        """Take one out that does not run reliably."""
        ...


@dataclass(frozen=True)
class Run:
    """One launch of an entrant in a round.

    Attributes:
        round: from 1.
        position: in the order of the round, from 0.
        started_s, ended_s: Unix time.
        attempts: launches that it took; all but the last were disturbed.
    """

    round: int
    position: int
    entrant: Entrant
    started_s: float
    ended_s: float
    result: TrialResult
    attempts: int = 1


def _unexplained(run: Run) -> tuple[float, ...]:  # noqa: ARG001 - whatever it was
    """Say nothing of what the host did."""
    return ()


def _forget(run: Run) -> None:
    """Keep a run nowhere."""


@dataclass(frozen=True)
class Scoring:
    """How a run is told to the match.

    Attributes:
        goodness: of a measurement; larger is better.
        covariates: what the host did to a run, as the match wants it.
    """

    goodness: Callable[[Measurement], float]
    covariates: Callable[[Run], tuple[float, ...]] = _unexplained


@dataclass(frozen=True)
class Journal:
    """Where runs are kept.

    Attributes:
        keep: stores a run, at once.
        earlier: runs of the same match that an interrupted call has kept; they are not repeated.
    """

    keep: Callable[[Run], None] = _forget
    earlier: Sequence[Run] = ()


UNKEPT = Journal()


def _ignore_doubts() -> None:
    """Hear that more rounds are run and do nothing."""


def run_contest(
    contest: Contest,
    run: Callable[[Callable[[], bool]], tuple[Run, ...]],
    *,
    may_go_on: Callable[[], bool] = lambda: True,
    doubted: Callable[[], None] = _ignore_doubts,
) -> tuple[Run, ...]:
    """Run a contest, and three rounds more where its rounds contradict the search.

    These are run whatever `may_go_on` says: without them nothing is left but to give the study up.

    Args:
        run: `run_rounds` of this contest, for as long as what it is given says.
        doubted: told when rounds are about to be run that nobody had allowed.
    """
    runs = run(may_go_on)
    if not contest.extend():
        return runs
    doubted()
    return (*runs, *run(lambda: True))


def run_rounds(
    contest: Match,
    entrants: Sequence[Entrant],
    *,
    measure: Callable[[Entrant], TrialResult],
    scoring: Scoring,
    journal: Journal = UNKEPT,
    may_go_on: Callable[[], bool] = lambda: True,
    emit: Emit = unheard,
    unix_s: Callable[[], float] = time.time,
) -> tuple[Run, ...]:
    """Run the contest until it is decided, or may not go on; three rounds are always run.

    A disturbed run is repeated once; disturbed again, the contender has no value in that round. Any other
    failure takes its configuration out of the contest.

    Args:
        measure: launches, measures and ends an entrant's processes.
        may_go_on: asked before every round after the third.
        emit: is told of every round that begins.
        unix_s: tells the time.
    """
    by_name = {entrant.name: entrant for entrant in entrants}
    kept = {(run.round, run.entrant.name): run for run in journal.earlier}
    runs: list[Run] = []
    while contest.rounds < MIN_ROUNDS or may_go_on():
        names = contest.next_round()
        if names is None:
            break
        emit(RoundBegan(contest.rounds, names))
        for position, name in enumerate(names):
            run = kept.get((contest.rounds, name))
            if run is None:
                run = _run(by_name[name], (contest.rounds, position), measure, unix_s)
                journal.keep(run)
            runs.append(run)
            _tell(contest, run, scoring)
    return tuple(runs)


def _run(
    entrant: Entrant,
    place: tuple[int, int],
    measure: Callable[[Entrant], TrialResult],
    unix_s: Callable[[], float],
) -> Run:
    started_s = unix_s()
    result, attempts = measure(entrant), 1
    while is_disturbed(result) and attempts < ATTEMPTS:
        result, attempts = measure(entrant), attempts + 1
    return Run(*place, entrant, started_s, unix_s(), result, attempts)


def measurements_of(entrant: Entrant, runs: Sequence[Run]) -> tuple[Measurement, ...]:
    """All of an entrant's configuration, in order: the twin's count for its leader."""
    return tuple(
        run.result
        for run in runs
        if run.entrant.configuration == entrant.configuration and isinstance(run.result, Measurement)
    )


def is_disturbed(result: TrialResult) -> bool:
    """Whether the host, and not the configuration, kept a run from being a measurement."""
    return isinstance(result, Failure) and result.kind == FailureKind.DISTURBED


def _tell(contest: Match, run: Run, scoring: Scoring) -> None:
    if isinstance(run.result, Measurement):
        contest.record(run.entrant.name, scoring.goodness(run.result), scoring.covariates(run))
    elif not is_disturbed(run.result):
        contest.fail(run.entrant.name, f"{run.result.kind}: {run.result.reason}")
