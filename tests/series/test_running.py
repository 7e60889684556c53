"""Series of a fake model, measured in real processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from autotune.errors import BackendError, ChangedMachineError, ResumeError, StudyError
from autotune.events import Event, RunEnded
from autotune.machine.read import read_machine
from autotune.measurement.measurement import FailureKind
from autotune.series.file import load_series
from autotune.series.fitting import cores_here
from autotune.series.record import RunFailure, SeriesRecord, read_record, write_record
from autotune.series.result import FILES, SeriesResult
from autotune.series.running import answer_alike, look_ahead, run_series
from autotune.spec.configuration import Configuration
from autotune.stop import Stop
from autotune.testing.fake_trial import processes_of
from autotune.testing.listener import Listener

WriteSeries = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("own_cache")


def measured(folder: Path, listener: Listener | None = None, **options: Any) -> SeriesResult:
    heard = listener or Listener()
    return run_series(load_series(folder), folder / "result", emit=heard, stop=heard.stop, **options)


def ran(listener: Listener) -> list[tuple[int, str]]:
    """Round and point of every run that was told of."""
    return [(run.round, run.name) for run in listener.heard(RunEnded)]


def verdicts(result: SeriesResult) -> list[str]:
    return [one.verdict for one in result.claims]


def unmeasured(result: SeriesResult) -> dict[str, str]:
    return {one.point.name: one.unmeasured for one in result.standings.points if one.unmeasured}


@pytest.mark.quiet  # claims that hang on how busy the host is
def test_points_run_beside_each_other_and_claims_are_judged_by_them(write_series: WriteSeries) -> None:
    folder, listener = write_series(rounds=3), Listener()
    result = measured(folder, listener)
    assert sorted(ran(listener)) == [(number, name) for number in (1, 2, 3) for name in ("fast", "slow")]
    assert verdicts(result) == ["agrees", "differs", "unknown"]
    ratio = result.standings.point("fast").ratio
    assert ratio is not None
    assert ratio.low > 1
    assert "it needs 9999 cores" in unmeasured(result)["huge"]
    assert {path.name for path in (folder / "result").iterdir()} == set(FILES)
    assert read_record(folder / "result" / "result.json") == result.standings.record
    assert processes_of(folder) == []


def test_nothing_is_compared_with_a_point_that_misses_a_limit_of_its_study(
    write_series: WriteSeries,
) -> None:
    points = [
        {"name": "slow", "set": {"limits.latency": {"p90": "30ms"}}},
        {"name": "fast", "configuration": {"precision": "int8-dynamic"}},
    ]
    check = "throughput(fast) / throughput(slow) >= 1.1"
    result = measured(write_series(points=points, claims=[{"claim": "int8 is faster", "check": check}]))
    slow, fast = result.standings.points
    (missed,) = slow.missed
    assert missed.startswith("its p90 latency is not shown to be within 30.0 ms")
    assert fast.is_measured
    assert fast.ratio is None
    assert verdicts(result) == ["unknown"]
    assert result.claims[0].reason.startswith("slow misses a limit")


def test_an_interrupted_series_keeps_its_runs_and_goes_on_with_whole_rounds(
    write_series: WriteSeries,
) -> None:
    folder, first, second = write_series(), Listener(stop_after=3), Listener()
    stopped = measured(folder, first)
    assert stopped.stopped
    so_far = stopped.standings.record
    assert [(run.round, run.point) for run in so_far.runs] == ran(first)
    assert not so_far.is_complete
    assert "Unfinished" in (folder / "result" / "README.md").read_text()
    result = measured(folder, second)
    assert {number for number, _ in ran(first)[:2]} == {1}
    assert sorted(ran(second)) == [(2, "fast"), (2, "slow")]
    assert sorted((run.round, run.point) for run in result.standings.record.runs) == [
        (1, "fast"),
        (1, "slow"),
        (2, "fast"),
        (2, "slow"),
    ]
    assert result.standings.record.is_complete
    third = Listener()
    again = measured(folder, third)
    assert ran(third) == []
    assert again.standings.record == result.standings.record


class Shrinking(Listener):
    """Takes cpus away from this process after the first run."""

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        if isinstance(event, RunEnded):
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one cpu cannot become fewer")
def test_a_machine_that_changes_ends_a_series_and_leaves_what_was_measured_before(
    write_series: WriteSeries,
) -> None:
    folder, first, second, allowed = write_series(), Shrinking(), Listener(), os.sched_getaffinity(0)
    try:
        with pytest.raises(ChangedMachineError, match="the set of allowed cpus differs") as refusal:
            measured(folder, first)
    finally:
        os.sched_setaffinity(0, allowed)
    assert "every run that ended before is kept" in refusal.value.remedy
    kept = read_record(folder / "result" / "result.json")
    assert kept is not None
    assert [(run.round, run.point) for run in kept.runs] == ran(first)
    assert len(ran(first)) == 1
    assert "Unfinished" in (folder / "result" / "README.md").read_text()
    assert measured(folder, second).standings.record.is_complete


def test_more_rounds_are_added_to_those_that_there_are(write_series: WriteSeries) -> None:
    folder, listener = write_series(), Listener()
    measured(folder, rounds=1)
    measured(folder, listener, rounds=2)
    assert {number for number, _ in ran(listener)} == {2}


def disturbed(record: SeriesRecord, number: int, name: str) -> SeriesRecord:
    """The record as it would be if that run had been disturbed."""
    failure = RunFailure(kind=FailureKind.DISTURBED, reason="somebody else computed")
    lost = {"figures": None, "failure": failure, "attempts": 2}
    runs = [
        run.model_copy(update=lost if (run.round, run.point) == (number, name) else {}) for run in record.runs
    ]
    return record.model_copy(update={"runs": tuple(runs)})


def test_a_disturbed_round_is_measured_again_whole(write_series: WriteSeries) -> None:
    folder, listener = write_series(), Listener()
    record = measured(folder).standings.record
    write_record(disturbed(record, 1, "slow"), folder / "result" / "result.json")
    again = measured(folder, listener).standings.record
    assert sorted(ran(listener)) == [(1, "fast"), (1, "slow")]
    assert len(again.runs) == len(record.runs)
    assert again.rounds_left == ()


def test_the_record_states_what_makes_requests_that_differ(write_series: WriteSeries) -> None:
    folder = write_series(
        points=[{"name": "slow"}],
        study={
            "model": "fake:model.json",
            "problem": {"batch_size": 1, "lengths": {"values": [1, 2]}},
            "measure": {"warmup": "200ms", "block": "100ms", "blocks": 1, "disturbed": "keep"},
        },
        claims=[],
    )
    versions = measured(folder, rounds=1).standings.record.versions
    assert versions["numpy"] == version("numpy")
    assert versions["tokenizers"] == version("tokenizers")


class Spoiler(Stop):
    """Has the preparation of the second point break: its child is a program that ends with status 1."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self._heeded = 0
        self._patch = monkeypatch
        self._python = sys.executable

    def heed(self) -> None:
        super().heed()
        self._heeded += 1
        self._patch.setattr(sys, "executable", "/bin/false" if self._heeded == 2 else self._python)


def test_a_point_that_broke_in_preparation_is_tried_again(
    write_series: WriteSeries, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, spoiled, listener = write_series(), Listener(), Listener()
    spoiled.stop = Spoiler(monkeypatch)
    broken = measured(folder, spoiled, rounds=1)
    assert "ended with exit status 1 and no answer" in unmeasured(broken)["fast"]
    healed = measured(folder, listener, rounds=1)
    assert "fast" not in unmeasured(healed)
    assert sorted(ran(listener)) == [(1, "fast"), (1, "slow")]


@pytest.mark.parametrize(
    ("knobs", "is_alike"), [("", True), ("thp=on", True), ("matmul_precision=medium", False)]
)
def test_answers_are_compared_where_a_knob_changes_them(knobs: str, is_alike: bool) -> None:
    reference = Configuration(1, 2, "close", "0", smt=False, backend="pytorch", precision="fp32")
    assert answer_alike(replace(reference, knobs=knobs), reference) is is_alike
    assert not answer_alike(replace(reference, precision="bf16"), reference)


def test_fresh_measures_everything_anew(write_series: WriteSeries) -> None:
    folder, listener = write_series(), Listener()
    measured(folder, rounds=1)
    (folder / "result" / "result.json").write_text("damaged")
    with pytest.raises(StudyError, match="--fresh"):
        measured(folder, rounds=1)
    measured(folder, listener, rounds=1, fresh=True)
    assert len(ran(listener)) == 2


@pytest.mark.quiet  # a claim that hangs on how busy the host is
def test_claims_may_change_without_measuring_again_and_points_may_not(write_series: WriteSeries) -> None:
    folder, listener = write_series(), Listener()
    measured(folder)
    write_series(claims=[{"claim": "half", "check": "median(fast) / median(slow) <= 0.7"}])
    assert verdicts(measured(folder, listener)) == ["agrees"]
    assert ran(listener) == []
    write_series(model={"parallel_s_per_token": 0.02})
    with pytest.raises(ResumeError, match="slow: model"):
        measured(folder)


def test_a_point_that_fails_is_left_out_and_the_others_go_on(write_series: WriteSeries) -> None:
    faults = [{"fault": "crash", "when": {"precision": "int8-dynamic"}}]
    listener = Listener()
    result = measured(write_series(model={"faults": faults}), listener)
    assert sorted(ran(listener)) == [(1, "fast"), (1, "slow"), (2, "slow")]
    assert unmeasured(result)["fast"].startswith("crash: ")
    assert verdicts(result) == ["unknown"] * 3


def points(*layouts: dict[str, Any]) -> list[dict[str, Any]]:
    others = [{"name": f"other {index}", "configuration": one} for index, one in enumerate(layouts)]
    return [{"name": "slow"}, *others]


@pytest.mark.parametrize(
    ("layout", "reason"),
    [
        ({"engine": "pytorch"}, "a fake one runs in the fake backend"),
        ({"cores": "5 sockets"}, "it needs 5 sockets"),
        ({"knobs": "pinning=on"}, "fake fp32 does not read pinning"),
    ],
)
def test_a_point_that_cannot_be_run_here_is_known_before_anything_is_measured(
    write_series: WriteSeries, layout: dict[str, Any], reason: str
) -> None:
    ahead = look_ahead(load_series(write_series(points=points(layout), claims=[])))
    assert [one.configuration is None for one in ahead.points] == [False, True]
    assert reason in ahead.points[1].skipped


def test_a_point_that_cannot_be_prepared_is_skipped_with_the_reason(write_series: WriteSeries) -> None:
    result = measured(write_series(points=points({"precision": "bf16"}), claims=[]), rounds=1)
    assert "has no precision 'bf16'" in unmeasured(result)["other 0"]
    assert result.standings.record.is_complete
    assert not result.standings.record.points[1].may_pass


@pytest.mark.skipif(cores_here(read_machine()) < 2, reason="needs two cores for two instances")
def test_an_instance_without_a_sequence_of_a_split_request_is_skipped(write_series: WriteSeries) -> None:
    folder = write_series(
        points=[{"name": "slow"}, {"name": "split", "configuration": {"cores": 2, "instances": 2}}],
        study={
            "model": "fake:model.json",
            "problem": {"batch_size": 1, "sequence_length": 1},
            "objective": "latency",
        },
        claims=[],
    )
    ahead = look_ahead(load_series(folder))
    assert ahead.points[1].configuration is None
    assert "cannot be split" in ahead.points[1].skipped


def test_a_series_of_which_nothing_can_be_measured_says_why(write_series: WriteSeries) -> None:
    folder = write_series(
        configuration={"engine": "fake", "cores": 9999}, claims=[], points=[{"name": "slow"}]
    )
    with pytest.raises(StudyError, match="it needs 9999 cores"):
        measured(folder)
    assert not (folder / "result" / "README.md").exists()


def test_an_engine_that_nobody_knows_ends_it_before_anything_is_measured(write_series: WriteSeries) -> None:
    listener = Listener()
    with pytest.raises(BackendError, match="is not a known backend"):
        measured(write_series(configuration={"engine": "fakee"}), listener)
    assert ran(listener) == []


def test_looking_ahead_writes_nothing_and_grows_with_the_rounds(write_series: WriteSeries) -> None:
    folder = write_series()
    file = load_series(folder)
    few, many = look_ahead(file, rounds=1), look_ahead(file, rounds=10)
    assert many.estimate_s > 2 * few.estimate_s > 0
    assert [bool(one.skipped) for one in few.points] == [False, False, True]
    assert not (folder / "result").exists()
