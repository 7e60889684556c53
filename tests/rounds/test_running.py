from __future__ import annotations

from collections.abc import Sequence

import pytest

from autotune.measurement.measurement import Failure, FailureKind, Measurement, TrialResult
from autotune.measurement.statistics import throughput_sps
from autotune.rounds.contest import Contest
from autotune.rounds.running import ATTEMPTS, Entrant, Journal, Run, Scoring, is_disturbed, run_rounds
from autotune.rounds.verdict import Contender
from autotune.spec.configuration import Configuration
from autotune.testing.plans import build_commands, build_measurement

DISTURBED = Failure(FailureKind.DISTURBED, "6 of 6 blocks were disturbed: the hypervisor took 30 %")
CRASH = Failure(FailureKind.CRASH, "ended with exit status 70")


def entrant(name: str, instances: int = 1) -> Entrant:
    one = Configuration(instances, 1, "close", "0", False, "fake", "fp32")
    role = "baseline" if name == "baseline" else "finalist"
    return Entrant(name, role, one, 0, build_commands(instances))  # type: ignore[arg-type]


ENTRANTS = (entrant("baseline"), entrant("a", 2))


class Bench:
    """Answers with what is given, and remembers who was run."""

    def __init__(self, **answers: Sequence[TrialResult]) -> None:
        self.answers = {name: list(given) for name, given in answers.items()}
        self.ran: list[str] = []

    def measure(self, one: Entrant) -> TrialResult:
        self.ran.append(one.name)
        given = self.answers[one.name]
        return given.pop(0) if len(given) > 1 else given[0]


def contest(rounds: int = 3) -> Contest:
    return Contest([Contender(one.name, one.role) for one in ENTRANTS], tie=0.02, max_rounds=rounds, seed=0)


def run(bench: Bench, fight: Contest, kept: list[Run], earlier: Sequence[Run] = ()) -> tuple[Run, ...]:
    def goodness(measurement: Measurement) -> float:
        return throughput_sps(measurement)

    return run_rounds(
        fight,
        ENTRANTS,
        measure=bench.measure,
        scoring=Scoring(goodness),
        journal=Journal(kept.append, earlier=earlier),
    )


FAST, SLOW = build_measurement(request_s=0.1), build_measurement(request_s=0.3)


def test_every_run_is_kept_in_the_order_in_which_it_ended() -> None:
    kept: list[Run] = []
    fight = contest()
    runs = run(Bench(baseline=[SLOW], a=[FAST]), fight, kept)
    assert list(runs) == kept
    assert [one.round for one in runs] == [1, 1, 2, 2, 3, 3]
    assert [one.position for one in runs] == [0, 1] * 3
    verdict = fight.verdict()
    assert verdict is not None
    assert verdict.winner == "a"
    assert verdict.gain is not None
    assert verdict.gain.estimate == pytest.approx(3.0)


def test_a_disturbed_run_is_repeated_and_only_then_given_up() -> None:
    bench = Bench(baseline=[SLOW], a=[DISTURBED, FAST])
    kept: list[Run] = []
    run(bench, contest(), kept)
    assert bench.ran.count("a") == 4
    assert not any(is_disturbed(one.result) for one in kept)
    assert [one.attempts for one in kept if one.entrant.name == "a"] == [2, 1, 1]

    bench = Bench(baseline=[SLOW], a=[DISTURBED])
    fight = contest()
    run(bench, fight, kept)
    assert bench.ran.count("a") == 3 * ATTEMPTS
    verdict = fight.verdict()
    assert verdict is not None
    assert verdict.winner == "baseline"


def test_any_other_failure_takes_a_contender_out() -> None:
    bench = Bench(baseline=[SLOW], a=[FAST, CRASH])
    fight = contest()
    run(bench, fight, [])
    assert bench.ran.count("a") == 2
    verdict = fight.verdict()
    assert verdict is not None
    assert verdict.winner == "baseline"
    assert [one.reason for one in verdict.rivals] == ["crash: ended with exit status 70"]


def test_runs_that_were_kept_before_are_not_repeated() -> None:
    kept: list[Run] = []
    run(Bench(baseline=[SLOW], a=[FAST]), contest(), kept)
    bench, later = Bench(baseline=[SLOW], a=[FAST]), []  # type: tuple[Bench, list[Run]]
    fight = contest()
    runs = run(bench, fight, later, earlier=kept[:3])
    assert len(bench.ran) == len(later) == 3
    assert runs[:3] == tuple(kept[:3])
    verdict = fight.verdict()
    assert verdict is not None
    assert verdict.winner == "a"


def test_three_rounds_are_run_even_where_there_is_no_time() -> None:
    bench = Bench(baseline=[SLOW], a=[FAST])
    fight = contest(rounds=20)
    run_rounds(
        fight,
        ENTRANTS,
        measure=bench.measure,
        scoring=Scoring(throughput_sps),
        journal=Journal(list[Run]().append),
        may_go_on=lambda: False,
    )
    assert fight.rounds == 3
