"""Runs a duel on this machine: watched, one at a time, every run kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from autotune.bench.lock import Waits
from autotune.events import Emit
from autotune.jobs.progress import run_ended
from autotune.measurement.conditions import quietness
from autotune.measurement.measurement import Failure, Measurement, TrialResult
from autotune.rounds.duel import Duel
from autotune.rounds.running import Entrant, Journal, Run, Scoring, is_disturbed, run_rounds
from autotune.search.score import goodness
from autotune.spec.study import StudySpec
from autotune.statistics.paired import Interval
from autotune.stop import Stop

MANY_ROUNDS = 200
"""Nobody is advised to run more."""


@dataclass(frozen=True)
class Bounds:
    """How long a duel may be.

    Attributes:
        rounds: at most; three are always run, and 12 are looked at after 3, 6 and 12.
        minutes: begin no further round later than this, waiting for others on this host not counted; None =
            no such bound.
    """

    rounds: int = 12
    minutes: float | None = None


@dataclass
class Dueling:
    """A duel under way.

    Attributes:
        spec: says what a measurement is worth.
        measure: launches, measures and ends an entrant's processes.
        bounds: the duel knows of the rounds; here the minutes count.
        waits: for others, while runs are measured.
        runs: so far, in order.
    """

    duel: Duel
    entrants: tuple[Entrant, ...]
    spec: StudySpec
    measure: Callable[[Entrant], TrialResult]
    emit: Emit
    stop: Stop
    bounds: Bounds
    waits: Waits = field(default_factory=Waits)
    runs: list[Run] = field(default_factory=list)

    def run(self) -> None:
        """Run round after round until it is decided, or time is up; every run is kept at once.

        Raises:
            Stopped: as `stop` says; what was measured stays.
        """
        begin_s, minutes = self._own_time_s(), self.bounds.minutes
        run_rounds(
            self.duel,
            self.entrants,
            measure=self._measure,
            scoring=Scoring(lambda measurement: goodness(self.spec, measurement)),
            journal=Journal(self._keep),
            may_go_on=lambda: minutes is None or self._own_time_s() - begin_s < minutes * 60,
            emit=self.emit,
        )

    def measurements(self, name: str) -> list[Measurement]:
        """What was measured of one."""
        own = (run.result for run in self.runs if run.entrant.name == name)
        return [result for result in own if isinstance(result, Measurement)]

    def quietness(self) -> str:
        """How quiet the machine was, in plain sentences; empty where nothing was measured."""
        measured = [run.result for run in self.runs if isinstance(run.result, Measurement)]
        kept = [block.conditions for one in measured for block in one.blocks if block.conditions]
        dropped = [block.conditions for one in measured for block in one.dropped]
        return quietness(kept, dropped) if measured else ""

    def disturbances(self) -> list[Failure]:
        """Runs that gave nothing because the machine was disturbed."""
        return [
            run.result for run in self.runs if isinstance(run.result, Failure) and is_disturbed(run.result)
        ]

    def _own_time_s(self) -> float:
        """The time by a clock that stands still while others measure."""
        return time.monotonic() - self.waits.total_s

    def _measure(self, entrant: Entrant) -> TrialResult:
        self.stop.heed()
        return self.measure(entrant)

    def _keep(self, run: Run) -> None:
        self.runs.append(run)
        self.emit(run_ended(self.spec, run))


def rounds_that_would_tell(rounds: int, half_width: float, gap: float) -> int | None:
    """About how many rounds make an interval as narrow as the gap; None = more than anybody would run.

    Its width falls with the square root of their number.
    """
    if not 0 < half_width < math.inf or gap <= 0:
        return None
    needed = rounds * (half_width / gap) ** 2
    return None if needed > MANY_ROUNDS else max(rounds + 1, round(needed + 0.5))


def advice(dueling: Dueling, interval: Interval | None, gap: float) -> Iterator[str]:
    """Sentences on why it cannot be told yet, and what would help.

    Args:
        interval: of what is judged; None where nothing was measured.
        gap: how narrow half of it must be, in logarithms.
    """
    disturbed = dueling.disturbances()
    if disturbed:
        yield (
            f"{len(disturbed)} of {len(dueling.runs)} runs could not be measured undisturbed, the last one "
            f"because {disturbed[-1].reason}."
        )
    if interval is None or not math.isfinite(interval.half_width):
        yield "Too few rounds were measured to tell anything."
        return
    needed = rounds_that_would_tell(dueling.duel.rounds, interval.half_width, gap)
    if needed is None:
        yield f"{MANY_ROUNDS} rounds would not tell: it takes a quieter machine, or a wider tolerance."
    else:
        yield f"About {needed} rounds would tell (--rounds {needed}), or a quieter machine."
