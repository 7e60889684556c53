"""What running a stored plan again shows, with trials that are only told of; `tests/cli` runs real ones."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from autotune.bench.lock import Waits
from autotune.errors import PlanError
from autotune.jobs.dueling import Bounds
from autotune.jobs.reviving import Origin
from autotune.jobs.verification import (
    BASELINE,
    PLAN,
    Verification,
    figures_of,
    verify,
    verify_with,
)
from autotune.measurement.measurement import Failure, FailureKind, Measurement, TrialResult
from autotune.measurement.statistics import throughput_sps
from autotune.placement.placement import Command
from autotune.plan.document import Plan, PlanStudy, parse_plan, plan_values
from autotune.rounds.running import Entrant
from autotune.spec.configuration import Configuration
from autotune.statistics.paired import Interval
from autotune.testing.fake_plans import FakeStudy
from autotune.testing.listener import Listener
from autotune.testing.plans import build_commands, build_plan
from autotune.testing.told import Told

STATED = Interval(4.0, 3.8, 4.2, 0.95, 8)
DISTURBED = Failure(FailureKind.DISTURBED, "6 of 6 blocks were disturbed: the hypervisor took 30 %")
CRASH = Failure(FailureKind.CRASH, "ended with exit status 70")
UNPINNED = Configuration(1, 0, "unpinned", "0", smt=False, backend="fake", precision="fp32")
CLOSE = Configuration(1, 1, "close", "0", smt=False, backend="fake", precision="int8-dynamic")


def entrants(plan: Plan, *names: str) -> tuple[Entrant, ...]:
    commands: tuple[Command, ...] = build_commands(1)
    both = {
        PLAN: Entrant(PLAN, "finalist", plan.configuration, plan.trial, commands),
        BASELINE: Entrant(BASELINE, "baseline", UNPINNED, 0, commands),
    }
    return tuple(both[name] for name in names)


def told(
    stored: Plan,
    /,
    *,
    tolerance: float = 0.05,
    noise: float = 0.005,
    bounds: Bounds | None = None,
    stop_after: int | None = None,
    others_s: float = 0.0,
    **values: float | Failure,
) -> Verification:
    """Verify a plan on a machine that is told what it measures of `plan` and `baseline`.

    Args:
        others_s: how long others measure before each run.
    """
    machine, waits, listener = Told(values, noise=noise), Waits(), Listener(stop_after=stop_after)

    def measure(entrant: Entrant) -> TrialResult:
        time.sleep(others_s)
        waits.total_s += others_s
        return machine.measure(entrant)

    return verify_with(
        stored,
        tolerance,
        entrants(stored, *values),
        measure,
        bounds or Bounds(),
        waits,
        emit=listener,
        stop=listener.stop,
    )


@pytest.mark.parametrize(
    ("plan_now", "verdict"), [(40.0, "holds"), (38.0, "holds"), (50.0, "better"), (30.0, "worse")]
)
def test_the_gain_is_held_against_what_the_plan_states(
    shared_study: FakeStudy, plan_now: float, verdict: str
) -> None:
    found = told(shared_study.plan(STATED), plan=plan_now, baseline=10.0)
    assert (found.verdict, found.figure) == (verdict, "gain")
    assert found.deciding.now is not None
    assert found.deciding.now.estimate == pytest.approx(plan_now / 10.0, rel=0.05)
    assert found.plan_now is not None
    assert found.plan_now.estimate == pytest.approx(plan_now, rel=0.05)
    assert found.reasons == ()


def test_the_gain_counts_where_both_figures_changed_alike(shared_study: FakeStudy) -> None:
    found = told(shared_study.plan(STATED), plan=4.0, baseline=1.0)
    assert found.verdict == "holds"


def test_plan_and_baseline_take_turns_in_random_order(shared_study: FakeStudy) -> None:
    found = told(shared_study.plan(STATED), noise=0.3, plan=40.0, baseline=10.0)
    rounds = [tuple(run.entrant.name for run in found.runs if run.round == number) for number in range(1, 13)]
    assert set(rounds) == {(PLAN, BASELINE), (BASELINE, PLAN)}


def test_what_is_clear_takes_three_rounds_and_what_is_not_takes_all(shared_study: FakeStudy) -> None:
    plan = shared_study.plan(STATED)
    assert len(told(plan, plan=5.0, baseline=10.0).runs) == 2 * 3
    assert len(told(plan, noise=1.0, plan=36.0, baseline=10.0).runs) == 2 * 12


def test_noise_leaves_it_undecided_and_says_what_would_help(shared_study: FakeStudy) -> None:
    at_the_floor = STATED.low / 1.05 * 10.0
    found = told(shared_study.plan(STATED), noise=0.1, plan=at_the_floor, baseline=10.0)
    assert found.verdict == "undecided"
    assert " rounds would " in found.reasons[0]


def test_of_a_plan_that_states_little_it_is_said_that_it_does(shared_study: FakeStudy) -> None:
    """A quarter less is no more what it states, and nothing that its own interval leaves out."""
    found = told(shared_study.plan(Interval(4.0, 2.0, 8.0, 0.95, 3)), plan=30.0, baseline=10.0)
    assert found.verdict == "undecided"
    assert "unsure" in found.reasons[0]


def test_a_plan_whose_baseline_met_a_bad_minute_then_holds_by_its_own_value(shared_study: FakeStudy) -> None:
    """It gives what it states; that its gain looks smaller now is the baseline's doing."""
    found = told(shared_study.plan(STATED), plan=40.0, baseline=12.0)
    assert (found.verdict, found.figure, len(found.runs)) == ("holds", "value", 2 * 3)
    assert agreements(found) == {"gain": "worse", "value": "holds"}
    assert found.reasons == (
        "Its own value decides: its gain is less than it states, as the baseline does better beside it "
        "than it did then.",
    )


def test_a_plan_holds_by_its_own_value_where_the_baseline_is_too_noisy_to_tell_a_gain(
    shared_study: FakeStudy,
) -> None:
    found = told_beside_a_noisy_baseline(shared_study.plan(STATED), 40.0)
    assert (found.verdict, found.figure, len(found.runs)) == ("holds", "value", 2 * 3)
    assert found.reasons == ("Its own value decides: its gain over the baseline is not known so surely yet.",)


def test_a_plan_that_lost_value_is_not_called_worse_as_long_as_its_gain_is_unknown(
    shared_study: FakeStudy,
) -> None:
    found = told_beside_a_noisy_baseline(shared_study.plan(STATED), 20.0)
    assert found.verdict == "undecided"
    assert agreements(found) == {"gain": "undecided", "value": "worse"}
    assert " rounds would " in found.reasons[0]


def test_where_the_gain_fell_and_the_value_may_hold_rounds_go_on_and_it_is_said(
    shared_study: FakeStudy,
) -> None:
    """Plan and baseline vary together, so that their ratio is sure where neither of them is."""
    plan, minutes = shared_study.plan(STATED), Told({"minute": 1.0}, noise=0.3)
    minute = Entrant("minute", "baseline", UNPINNED, 0, ())
    speeds: list[float] = []

    def measure(entrant: Entrant) -> TrialResult:
        if len(speeds) % 2 == 0:
            speeds.append(throughput_sps(measured(minutes.measure(minute))))
        else:
            speeds.append(speeds[-1])
        return Told({PLAN: 40.0 * speeds[-1], BASELINE: 14.0 * speeds[-1]}).measure(entrant)

    found = verify_with(plan, 0.05, entrants(plan, PLAN, BASELINE), measure, Bounds())
    assert agreements(found) == {"gain": "worse", "value": "undecided"}
    assert (found.verdict, len(found.runs)) == ("undecided", 2 * 12)
    assert found.reasons[0] == "Its gain is less than it states, but its own value may hold."
    assert " rounds would " in found.reasons[1]


def measured(result: TrialResult) -> Measurement:
    assert isinstance(result, Measurement)
    return result


def test_on_a_machine_that_is_slower_as_a_whole_the_gain_decides_and_it_is_said(
    shared_study: FakeStudy,
) -> None:
    found = told(shared_study.plan(STATED), plan=20.0, baseline=5.0)
    assert (found.verdict, found.figure) == ("holds", "gain")
    assert "plan and baseline are both slower than then" in found.reasons[0]


def agreements(found: Verification) -> dict[str, str]:
    return {check.figure: check.agreement for check in found.checks}


def told_beside_a_noisy_baseline(plan: Plan, plan_now: float) -> Verification:
    """Verify a plan that repeats well beside a baseline that does not at all."""
    steady, noisy = Told({PLAN: plan_now}), Told({BASELINE: 10.0}, noise=1.0)
    return verify_with(
        plan,
        0.05,
        entrants(plan, PLAN, BASELINE),
        lambda entrant: (steady if entrant.name == PLAN else noisy).measure(entrant),
        Bounds(),
    )


def test_a_plan_without_an_interval_is_held_to_its_figure(shared_study: FakeStudy) -> None:
    plan = shared_study.plan(4.0)
    assert plan.gain_range is None
    assert told(plan, plan=39.0, baseline=10.0).verdict == "holds"
    assert told(plan, plan=35.0, baseline=10.0).verdict == "worse"


def as_version_1(plan: Plan) -> str:
    """The plan as the first version of the document had it: no bounds, no confirmation, a shorter study."""
    values = plan_values(plan)
    del values["confirmation"], values["gain_range"], values["study"]["spec"]["confirm"]
    for name in ("max_blocks", "disturbed"):
        del values["study"]["spec"]["measure"][name]
    for figures in (values["estimate"], values["baseline"]):
        for name in ("objective_range", "latencies", "runs", "histogram"):
            del figures[name]
        figures |= {"latency_p50_s": 0.1, "latency_p90_s": None, "latency_p95_s": None, "latency_p99_s": None}
    return json.dumps({**values, "schema": "autotune.plan/1"})


def test_a_plan_of_the_first_version_is_verified_with_what_it_has(shared_study: FakeStudy) -> None:
    plan = parse_plan(as_version_1(shared_study.plan(STATED)))
    found = told(plan, plan=39.0, baseline=10.0)
    assert (found.verdict, found.deciding.promised.low) == ("holds", 4.0)
    assert verified(shared_study, plan).stopped


def test_a_plan_that_is_the_baseline_is_judged_by_its_value(shared_study: FakeStudy) -> None:
    plan = shared_study.plan(1.0, UNPINNED)
    assert told(plan, plan=10.0).verdict == "holds"
    found = told(plan, plan=5.0)
    assert (found.verdict, found.figure) == ("worse", "value")


def test_a_plan_without_a_baseline_is_judged_by_its_value(shared_study: FakeStudy) -> None:
    found = told(shared_study.plan(None), plan=20.0)
    assert (found.verdict, found.figure) == ("better", "value")


@pytest.mark.parametrize(("per_s", "verdict"), [(10.0, "holds"), (5.0, "worse"), (20.0, "better")])
def test_a_latency_is_worse_when_it_grew(shared_study: FakeStudy, per_s: float, verdict: str) -> None:
    latency = FakeStudy(shared_study.folder, objective={"kind": "latency"})
    assert told(latency.plan(None), plan=per_s).verdict == verdict


def test_a_percentile_that_the_requests_do_not_support_is_named_beside_the_verdict(
    shared_study: FakeStudy,
) -> None:
    latency = FakeStudy(shared_study.folder, objective={"kind": "latency", "percentile": 99.9})
    found = told(latency.plan(None), plan=10.0)
    assert any("do not support a p99.9" in reason for reason in found.reasons)


def test_a_plan_that_does_not_run_any_more_is_worse_at_once(shared_study: FakeStudy) -> None:
    found = told(shared_study.plan(STATED), plan=CRASH, baseline=10.0)
    assert found.verdict == "worse"
    assert found.reasons == ("It does not run any more: crash: ended with exit status 70.",)
    assert max(run.round for run in found.runs) == 1


def test_a_baseline_that_does_not_run_any_more_leaves_it_undecided(shared_study: FakeStudy) -> None:
    found = told(shared_study.plan(STATED), plan=40.0, baseline=CRASH)
    assert found.verdict == "undecided"
    assert found.reasons == ("The baseline does not run any more: crash: ended with exit status 70.",)


def test_a_machine_that_is_never_quiet_leaves_it_undecided_after_three_rounds(
    shared_study: FakeStudy,
) -> None:
    found = told(shared_study.plan(STATED), plan=DISTURBED, baseline=10.0)
    assert found.verdict == "undecided"
    assert "3 of 6 runs could not be measured undisturbed" in found.reasons[0]
    assert "the hypervisor took 30 %" in found.reasons[0]
    assert max(run.round for run in found.runs) == 3


@pytest.mark.parametrize(("plan_now", "verdict"), [(41.0, "holds"), (38.9, "undecided"), (20.0, "worse")])
def test_a_limit_that_is_missed_weighs_more_than_the_gain(
    shared_study: FakeStudy, plan_now: float, verdict: str
) -> None:
    limits = {"latency": {"percentile": 90.0, "max_s": 1.005 / 39.0}}
    study = FakeStudy(shared_study.folder, limits=limits)
    found = told(study.plan(Interval(0.45, 0.4, 4.2, 0.95, 8)), noise=0.01, plan=plan_now, baseline=40.0)
    assert found.verdict == verdict
    assert ("p90 latency" in " ".join(found.reasons)) == (verdict != "holds")


@pytest.mark.parametrize(("plan_now", "verdict"), [(15.0, "holds"), (12.0, "worse")])
def test_beside_a_baseline_that_misses_a_limit_now_the_plans_value_decides_and_no_ratio_is_told(
    shared_study: FakeStudy, plan_now: float, verdict: str
) -> None:
    study = FakeStudy(shared_study.folder, limits={"latency": {"percentile": 90.0, "max_s": 0.09}})
    found = told(study.plan(Interval(1.5, 1.4, 1.6, 0.95, 8)), plan=plan_now, baseline=10.0)
    assert (found.verdict, found.figure) == (verdict, "value")
    assert found.deciding.promised.value == pytest.approx(15.0)
    assert found.deciding.now is not None
    assert found.deciding.now.estimate == pytest.approx(plan_now, rel=0.02)
    assert "The baseline misses a limit now (its p90 latency" in found.reasons[0]
    assert "more)" in found.reasons[0]


def test_an_interruption_gives_what_is_known_so_far(shared_study: FakeStudy) -> None:
    found = told(shared_study.plan(STATED), plan=40.0, baseline=10.0, stop_after=3)
    assert found.stopped
    assert (len(found.runs), found.verdict) == (3, "undecided")
    assert found.deciding.now is not None
    assert found.deciding.now.count == 1
    assert found.reasons == ("Too few rounds were measured to tell anything.",)


def test_waiting_for_others_eats_no_minutes(shared_study: FakeStudy) -> None:
    """Three rounds alone would have waited for longer than all rounds may take."""
    plan, short = shared_study.plan(STATED), Bounds(minutes=0.01)
    found = told(plan, noise=1.0, bounds=short, others_s=0.12, plan=36.0, baseline=10.0)
    assert len(found.runs) == 2 * 12


def test_minutes_bound_the_rounds_after_the_third(shared_study: FakeStudy) -> None:
    bounds = Bounds(rounds=100, minutes=0.0)
    found = told(shared_study.plan(STATED), noise=1.0, bounds=bounds, plan=40.0, baseline=10.0)
    assert max(run.round for run in found.runs) == 3


def another_machine(plan: Plan) -> Plan:
    return plan.model_copy(update={"machine": {**plan.machine, "allowed": "0-191", "fingerprint": "f"}})


def another_kernel(plan: Plan) -> Plan:
    return plan.model_copy(update={"versions": {**plan.versions, "kernel": "2.6.32"}})


def another_model(plan: Plan) -> Plan:
    return plan.model_copy(update={"model": {**plan.model, "digest": "ab" * 32}})


def verified(study: FakeStudy, plan: Plan) -> Verification:
    """Verify what must not be run: it is to stop before its first run, and would say so."""
    return verify(plan, origin=Origin(study.folder), stop=Listener(stop_after=0).stop)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (another_machine, "the set of allowed cpus differs: 0-191 then"),
        (another_kernel, "kernel: 2.6.32 -> "),
        (another_model, "model fake:model.json: sha256 abababababab -> "),
    ],
)
def test_a_stale_plan_is_not_run_and_what_differs_is_named(
    shared_study: FakeStudy, change: Callable[[Plan], Plan], said: str
) -> None:
    found = verified(shared_study, change(shared_study.plan(STATED)))
    assert (found.verdict, found.runs, found.stopped) == ("stale", (), False)
    assert len(found.reasons) == 1
    assert said in found.reasons[0]


def test_a_model_file_that_was_changed_makes_a_plan_stale(own_study: FakeStudy) -> None:
    plan = own_study.plan(STATED)
    own_study.write_model(serial_s=0.01)
    found = verified(own_study, plan)
    assert found.verdict == "stale"
    assert found.reasons[0].startswith("model fake:model.json: sha256 ")


def test_everything_that_differs_is_named(shared_study: FakeStudy) -> None:
    found = verified(shared_study, another_kernel(another_machine(another_model(shared_study.plan(4.0)))))
    assert [reason.split(":")[0] for reason in found.reasons] == [
        "the set of allowed cpus differs",
        "kernel",
        "model fake",
    ]


def imported_from(plan: Plan, folder: Path) -> Plan:
    """The plan, as an autotune that was not installed and lay in this folder would have made it."""
    changed = [
        instance.model_copy(update={"env": {**instance.env, "PYTHONPATH": str(folder)}})
        for instance in plan.instances
    ]
    return plan.model_copy(update={"instances": tuple(changed)})


def test_workers_that_would_import_another_autotune_than_this_one_make_a_plan_stale(
    shared_study: FakeStudy, tmp_path: Path
) -> None:
    plan = imported_from(shared_study.plan(STATED), tmp_path)
    assert verified(shared_study, plan).stopped, (
        "there is no autotune in that folder: the installed one is used"
    )
    (tmp_path / "autotune").mkdir()
    (tmp_path / "autotune" / "__init__.py").touch()
    found = verified(shared_study, plan)
    assert found.verdict == "stale"
    assert found.reasons[0].startswith(f"autotune's own code: {tmp_path} -> ")


def test_versions_of_engines_that_the_plan_does_not_use_do_not_matter(shared_study: FakeStudy) -> None:
    plan = shared_study.plan(STATED)
    other = plan.model_copy(update={"versions": {**plan.versions, "onnxruntime": "0.0.1"}})
    assert verified(shared_study, other).stopped


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("study", PlanStudy(name="x", spec={"name": "x", "model": "fake:m"}), r"study\.spec\.problem"),
        ("study", PlanStudy(name="x"), r"study\.spec"),
        ("model", {"source": "fake:model.json"}, r"model\.digest"),
        ("model", {"digest": "ab" * 32}, r"model\.source"),
    ],
)
def test_a_plan_that_lacks_what_it_takes_to_run_it_is_refused(
    shared_study: FakeStudy, field: str, value: object, message: str
) -> None:
    plan = shared_study.plan(STATED).model_copy(update={field: value})
    with pytest.raises(PlanError, match=message):
        verified(shared_study, plan)


def test_a_plan_that_is_an_engines_default_is_judged_by_its_gain_and_the_baseline_by_its_value() -> None:
    default = replace(UNPINNED, backend="onnxruntime", precision="int8-dynamic")
    plan = build_plan(build_commands(1), configuration=default, gain=2.0)
    assert plan.confirmation.verdict == "better"
    assert figures_of(plan) == ("gain", "value")
    confirmation = plan.confirmation.model_copy(update={"verdict": "baseline"})
    baseline = plan.model_copy(update={"configuration": UNPINNED, "confirmation": confirmation, "gain": 1.0})
    assert baseline.is_baseline
    assert figures_of(baseline) == ("value",)
