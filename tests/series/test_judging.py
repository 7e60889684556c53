from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from autotune.measurement.measurement import FailureKind
from autotune.series.judging import Judgement, judge
from autotune.series.record import SeriesRecord
from autotune.series.standing import Standings
from autotune.series.values import Claim
from autotune.spec.price import Price

BuildRecord = Callable[..., SeriesRecord]

TOLD = {
    "a": [10.0, 10.2, 9.9],
    "b": [20.1, 20.0, 20.2],
    "c": [20.0, 20.3, 19.9],
    "failed": [20.0, FailureKind.CRASH],
    "skipped": "it needs 48 cores; this machine has 2",
    "disturbed": [FailureKind.DISTURBED, FailureKind.DISTURBED, FailureKind.DISTURBED],
}


@pytest.fixture
def standings(build_record: BuildRecord) -> Standings:
    return Standings(build_record(TOLD), Price(per_core_hour=0.1))


def claim(**values: Any) -> Claim:
    return Claim.model_validate({"claim": "so it is", **values})


def judged(standings: Standings, check: str) -> Judgement:
    return judge(claim(check=check), standings)


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        ("throughput(b) / throughput(a) >= 1.9", "agrees"),
        ("throughput(b) / throughput(a) <= 1.9", "differs"),
        ("throughput(b) / throughput(a) >= 2", "unknown"),
        ("throughput(b) / throughput(a) >= 2.2", "differs"),
        ("median(a) / median(b) >= 1.9", "agrees"),
        ("cost(a) / cost(b) >= 1.9", "agrees"),
        ("throughput(b) / throughput(c) >= 1", "unknown"),
        ("throughput(b) / throughput(a) * throughput(a) / throughput(c) <= 1.1", "agrees"),
        ("median(b) <= 60ms", "agrees"),
        ("median(b) <= 40ms", "differs"),
        ("throughput(a) >= 5", "agrees"),
    ],
)
def test_a_claim_agrees_or_differs_where_its_whole_interval_does(
    standings: Standings, check: str, verdict: str
) -> None:
    found = judged(standings, check)
    assert found.verdict == verdict
    assert found.found is not None
    assert found.found.low < found.found.high


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("failed", "failed was not measured: crash: so it was told"),
        ("skipped", "skipped was not measured: it needs 48 cores"),
        ("disturbed", "disturbed was not measured: disturbed: so it was told"),
    ],
)
def test_what_was_not_measured_tells_nothing_and_says_why(
    standings: Standings, name: str, reason: str
) -> None:
    found = judged(standings, f"throughput({name}) / throughput(a) >= 1")
    assert found.verdict == "unknown"
    assert reason in found.reason
    assert found.found is None


def test_a_single_round_tells_nothing(build_record: BuildRecord) -> None:
    once = Standings(build_record({"a": [10.0], "b": [20.0]}))
    assert judged(once, "throughput(b) / throughput(a) >= 1.1").verdict == "unknown"
    assert judged(once, "throughput(b) >= 1").verdict == "unknown"


def winners(*lists: list[str], by: str = "throughput") -> Claim:
    return claim(winners_differ={"by": by, "lists": list(lists)})


def of_winners(build_record: BuildRecord, told: dict[str, Any], asked: Claim) -> Judgement:
    return judge(asked, Standings(build_record(told), Price(per_core_hour=0.1)))


FIRST_BEST = {"a1": [20.0, 20.1, 19.9], "a2": [10.0, 10.1, 9.9]}
SECOND_BEST = {"b1": [10.0, 10.1, 9.9], "b2": [20.0, 20.1, 19.9]}
EQUAL = {"c1": [10.0, 10.3, 9.7], "c2": [10.1, 9.8, 10.2]}


@pytest.mark.parametrize(
    ("told", "lists", "verdict"),
    [
        ({**FIRST_BEST, **SECOND_BEST}, (["a1", "a2"], ["b1", "b2"]), "agrees"),
        (FIRST_BEST, (["a1", "a2"], ["a1", "a2"]), "differs"),
        ({**FIRST_BEST, **EQUAL}, (["a1", "a2"], ["c1", "c2"]), "unknown"),
        ({**FIRST_BEST, **SECOND_BEST, **EQUAL}, (["a1", "a2"], ["b1", "b2"], ["c1", "c2"]), "agrees"),
    ],
)
@pytest.mark.parametrize("by", ["throughput", "median", "cost"])
def test_winners_differ_where_two_clear_ones_stand_at_different_places(
    build_record: BuildRecord, told: dict[str, Any], lists: tuple[list[str], ...], verdict: str, by: str
) -> None:
    found = of_winners(build_record, told, winners(*lists, by=by))
    assert found.verdict == verdict
    assert "a1" in found.reason


def test_winners_are_compared_at_the_places_that_were_measured_in_all_lists(
    build_record: BuildRecord,
) -> None:
    none_here = "it needs 4 cores; this machine has 2"
    longer = {**FIRST_BEST, "a3": [40.0, 40.2, 39.8], **SECOND_BEST, "b3": none_here}
    found = of_winners(build_record, longer, winners(["a1", "a2", "a3"], ["b1", "b2", "b3"]))
    assert found.verdict == "agrees"
    assert found.reason == f"the best of each list: a1; b2. b3 was not measured: {none_here}."


def test_winners_are_not_the_same_where_a_point_was_not_measured(build_record: BuildRecord) -> None:
    told = {**FIRST_BEST, "a3": "no cores"}
    asked = winners(["a1", "a2", "a3"], ["a1", "a2", "a3"])
    assert of_winners(build_record, told, asked).verdict == "unknown"
    assert of_winners(build_record, {**told, "a3": [5.0, 5.1, 4.9]}, asked).verdict == "differs"


def test_of_a_single_place_there_is_no_best(build_record: BuildRecord) -> None:
    told = {**FIRST_BEST, "b1": [1.0, 1.1, 1.0], "b2": "no cores"}
    found = of_winners(build_record, told, winners(["a1", "a2"], ["b1", "b2"]))
    assert (found.verdict, found.reason) == ("unknown", "b2 was not measured: no cores.")


def test_a_winner_has_to_be_clearer_the_more_lists_there_are(build_record: BuildRecord) -> None:
    told = {
        f"{name}{place}": [10 * gain * wobble for wobble in wobbles]
        for name, gains in {"a": (1.04, 1.0), "b": (1.0, 1.04), "c": (1.0, 1.0), "d": (1.0, 1.0)}.items()
        for place, gain, wobbles in zip((1, 2), gains, ((1.0, 1.02, 0.98), (1.02, 0.98, 1.0)), strict=True)
    }
    few, many = (winners(*([f"{name}1", f"{name}2"] for name in names)) for names in ("ab", "abcd"))
    assert of_winners(build_record, told, few).verdict == "agrees"
    assert of_winners(build_record, told, many).verdict == "unknown"


def test_a_winner_that_is_not_clear_is_called_so(build_record: BuildRecord) -> None:
    found = of_winners(build_record, {**FIRST_BEST, **EQUAL}, winners(["a1", "a2"], ["c1", "c2"]))
    assert "a1; c" in found.reason
    assert "(not shown to be)" in found.reason


def test_ratios_are_of_the_rounds_and_not_of_what_rounds_have_in_common(build_record: BuildRecord) -> None:
    steady = Standings(build_record({"a": [10.0, 10.1, 9.9], "b": [20.0, 20.1, 19.9]}))
    drifting = Standings(build_record({"a": [10.0, 5.05, 19.8], "b": [20.0, 10.05, 39.8]}))
    one, other = (each.point("b").ratio for each in (steady, drifting))
    assert one is not None
    assert other is not None
    assert one.estimate == pytest.approx(other.estimate)
    assert one.half_width == pytest.approx(other.half_width)
    assert drifting.point("a").ratio is None


def test_a_million_samples_cost_what_the_cores_cost_meanwhile(build_record: BuildRecord) -> None:
    standings = Standings(build_record({"a": [1000.0, 1000.0]}, cores=4), Price(per_core_hour=0.36))
    cost = standings.point("a").cost
    assert cost is not None
    assert cost.estimate == pytest.approx(0.36 * 4 / 3600 * 1000)


def test_percentiles_are_of_all_rounds_together(standings: Standings) -> None:
    one = standings.point("a")
    p99 = one.latency(99)
    assert (one.runs, one.requests) == (3, 2100)
    assert p99 is not None
    assert p99.value_s == pytest.approx(1 / 9.9, rel=2e-3)
    assert one.throughput is not None
    assert one.throughput.estimate == pytest.approx(math.prod((10.0, 10.2, 9.9)) ** (1 / 3))


def test_the_machines_quiet_is_told_and_how_often_it_was_not(build_record: BuildRecord) -> None:
    quiet = Standings(build_record({"a": [10.0, 10.1, 9.9]})).quietness
    assert quiet == "The machine was quiet: none of 3 blocks was disturbed."
    record = build_record({"a": [10.0, FailureKind.DISTURBED, 9.9]})
    lost = "1 of 3 runs was disturbed and started again; 1 of them gave nothing, disturbed again."
    assert Standings(record).quietness == (
        f"{lost} In the launches that count, the machine was quiet: none of 2 blocks was disturbed."
    )
    repeated = tuple(run.model_copy(update={"attempts": 2}) for run in build_record({"a": [1.0, 2.0]}).runs)
    assert Standings(record.model_copy(update={"runs": repeated})).quietness.startswith(
        "2 of 2 runs were disturbed and started again. In the launches that count, the machine was quiet"
    )
    nothing = Standings(build_record({"a": [FailureKind.DISTURBED]})).quietness
    assert nothing == "1 of 1 runs was disturbed and started again; 1 of them gave nothing, disturbed again."


def limited(**limits: Any) -> dict[str, Any]:
    return {"limits": limits}


P90_WITHIN_80_MS = limited(latency={"percentile": 90, "max_s": 0.08})
MISSES = "a misses a limit: its p90 latency is not shown to be within 80.0 ms"


@pytest.mark.parametrize("order", [("a", "b", "c"), ("b", "a", "c")])
def test_a_point_that_misses_a_limit_has_no_ratio_and_is_in_none(
    build_record: BuildRecord, order: tuple[str, ...]
) -> None:
    record = build_record({name: TOLD[name] for name in order}, study=P90_WITHIN_80_MS)
    standings = Standings(record, Price(per_core_hour=0.1))
    point = standings.point("a")
    assert point.is_measured
    assert point.ratio is None
    assert (standings.point("c").ratio is None) == (order[0] == "a")
    (told,) = standings.left_out
    assert told.startswith(MISSES)
    assert "% more. Nothing is compared with it." in told
    for check in ("throughput(b) / throughput(a) >= 1.9", "cost(a) / cost(b) >= 1.9"):
        found = judged(standings, check)
        assert (found.verdict, found.found) == ("unknown", None)
        assert found.reason.startswith(MISSES)
    assert judged(standings, "throughput(b) / throughput(c) >= 0.9").verdict == "agrees"
    assert judged(standings, "median(a) <= 80ms").verdict == "differs"


def test_by_how_much_memory_is_missed_is_said(build_record: BuildRecord) -> None:
    told = {name: TOLD[name] for name in ("a", "b")}
    within, over = (
        Standings(build_record(told, study=limited(memory_bytes=size * 2**20))) for size in (300, 200)
    )
    assert within.left_out == ()
    assert within.point("b").ratio is not None
    assert over.point("b").ratio is None
    words = "it takes 300.0 MiB of memory, 50.0% more than the limit of 200.0 MiB"
    assert [one.missed for one in over.points] == [(words,), (words,)]


def test_a_server_is_held_to_what_it_was_shown_to_serve_within(build_record: BuildRecord) -> None:
    """Of its latencies alone, which are of the rate that was kept, too few would be known."""
    record = build_record({"a": TOLD["b"]}, study={**P90_WITHIN_80_MS, "scenario": "server"})
    assert Standings(record).point("a").missed == ()
    runs = tuple(
        run.model_copy(update={"figures": run.figures.model_copy(update={"served_within_s": shown_s})})
        for run, shown_s in zip(record.runs, (0.07, 0.16, 0.2), strict=True)
        if run.figures is not None
    )
    (missed,) = Standings(record.model_copy(update={"runs": runs})).point("a").missed
    assert missed.endswith("it is at most 160 ms, 100.0% more")


def test_beside_almost_no_rate_there_is_no_ratio(build_record: BuildRecord) -> None:
    told = {"faint": [0.1, 0.1, 0.1], "b": TOLD["b"], "c": TOLD["c"]}
    standings = Standings(build_record(told, study={"scenario": "server"}))
    assert [one.ratio for one in standings.points] == [None] * 3
    assert standings.left_out[0].startswith("faint bears almost no rate: 0.1")
    assert "almost no rate" in judged(standings, "throughput(b) / throughput(faint) >= 2").reason
    assert judged(standings, "throughput(b) / throughput(c) >= 0.9").verdict == "agrees"
    offline = Standings(build_record(told))
    assert offline.point("b").ratio is not None
    assert offline.left_out == ()


def test_what_misses_a_limit_is_the_best_of_no_list(build_record: BuildRecord) -> None:
    fast = {"a1": [20.0, 20.1, 19.9], "a2": [18.0, 18.1, 17.9], "a3": [10.0, 10.1, 9.9]}
    told = {**fast, "b1": [20.0, 20.1, 19.9], "b2": [25.0, 25.1, 24.9], "b3": [16.0, 16.1, 15.9]}
    record = build_record(told, study=limited(latency={"percentile": 90, "max_s": 0.06}))
    found = judge(winners(list(fast), ["b1", "b2", "b3"]), Standings(record))
    assert found.verdict == "agrees"
    assert "a1; b2. a3 misses a limit: its p90 latency" in found.reason
