"""The documents of `verify` and `compare`: every value of a job's result in plain types."""

from __future__ import annotations

import json
from typing import Any

import pytest

from autotune.documents.comparison import comparison_document
from autotune.documents.figures import interval_document, runs_document, value_document
from autotune.documents.verification import verification_document
from autotune.jobs.comparison import A, B, Comparison
from autotune.jobs.verification import BASELINE, PLAN, FigureCheck, Verification
from autotune.measurement.measurement import Failure, FailureKind
from autotune.rounds.running import Entrant, Run
from autotune.statistics.paired import Interval
from autotune.statistics.promise import Promise
from autotune.testing.fake_plans import ONE, FakeStudy
from autotune.testing.plans import build_commands, build_measurement

RATIO = Interval(1.25, 1.2, 1.3, 0.98, 6)
FAST = Interval(20.0, 19.0, 21.0, 0.98, 6)
ONCE = Interval(10.0, 0.0, float("inf"), 0.98, 1)
CRASH = Failure(FailureKind.CRASH, "ended with exit status 70")
STATED = {"estimate": 1.25, "low": 1.2, "high": 1.3, "confidence": 0.98, "rounds": 6}


def run(name: str, position: int, *, fails: bool = False) -> Run:
    entrant = Entrant(name, "finalist", ONE, 0, build_commands(1))
    result = CRASH if fails else build_measurement(request_s=0.05, samples_per_request=1)
    return Run(1, position, entrant, 1_790_000_000.0, 1_790_000_002.0, result)


def is_plain(document: dict[str, Any]) -> bool:
    """Whether JSON gives the same again: no tuple, no enumeration, no number that JSON does not know."""
    return bool(json.loads(json.dumps(document, allow_nan=False)) == document)


def test_an_interval_is_written_with_its_confidence_and_nothing_where_nothing_is_known() -> None:
    assert interval_document(RATIO) == STATED
    assert interval_document(None) is None
    told = interval_document(ONCE)
    assert told is not None
    assert (told["estimate"], told["low"], told["high"]) == (10.0, None, None)


def test_a_value_is_in_the_unit_of_the_objective(shared_study: FakeStudy) -> None:
    latency = FakeStudy(shared_study.folder, objective={"kind": "latency"})
    told = value_document(latency.spec, FAST)
    assert told is not None
    assert told["estimate"] == pytest.approx(1 / 20)
    assert told["low"] == pytest.approx(1 / 21)
    assert value_document(latency.spec, None) is None


def test_runs_are_written_in_order_with_their_values_or_failures(shared_study: FakeStudy) -> None:
    first, second = runs_document(shared_study.spec, [run(A, 0), run(B, 1, fails=True)])
    assert first == {
        "round": 1,
        "position": 0,
        "name": "A",
        "started_s": 1_790_000_000.0,
        "ended_s": 1_790_000_002.0,
        "value": pytest.approx(20.0),
        "failure": None,
    }
    assert (second["name"], second["value"]) == ("B", None)
    assert second["failure"] == {"kind": "crash", "reason": "ended with exit status 70"}


def test_a_comparison_is_written_whole(shared_study: FakeStudy) -> None:
    document = comparison_document(
        Comparison(
            labels=("one", "other"),
            verdict="a",
            ratio=RATIO,
            zone=0.02,
            spec=shared_study.spec,
            reasons=("because",),
            values=(FAST, None),
            notes=("note",),
            runs=(run(A, 0), run(B, 1, fails=True)),
            quietness="quiet",
        )
    )
    assert is_plain(document)
    runs, values = document.pop("runs"), document.pop("values")
    assert [own["name"] for own in runs] == ["A", "B"]
    assert (values["a"]["estimate"], values["b"]) == (20.0, None)
    assert document == {
        "schema": "autotune.comparison/1",
        "a": "one",
        "b": "other",
        "verdict": "a",
        "ratio": STATED,
        "zone": 0.02,
        "notes": ["note"],
        "reasons": ["because"],
        "quietness": "quiet",
        "objective": "throughput",
    }


def test_a_verification_is_written_whole(shared_study: FakeStudy) -> None:
    plan = shared_study.plan(Interval(2.0, 1.9, 2.1, 0.95, 8))
    document = verification_document(
        Verification(
            plan=plan,
            verdict="holds",
            tolerance=0.05,
            checks=(
                FigureCheck("gain", Promise(2.0, 1.9, 2.1), RATIO, "holds"),
                FigureCheck("value", Promise(20.0, 19.0, 21.0)),
            ),
            figure="gain",
            reasons=("because",),
            plan_now=FAST,
            baseline_now=ONCE,
            runs=(run(PLAN, 0), run(BASELINE, 1)),
            quietness="quiet",
        )
    )
    assert is_plain(document)
    assert [own["name"] for own in document.pop("runs")] == ["plan", "baseline"]
    now = document.pop("now")
    assert now["goodness"] == STATED
    assert (now["plan"]["estimate"], now["baseline"]["low"]) == (20.0, None)
    assert document == {
        "schema": "autotune.verification/1",
        "plan": plan.id,
        "verdict": "holds",
        "tolerance": 0.05,
        "compared": "gain",
        "reasons": ["because"],
        "quietness": "quiet",
        "figures": {
            "gain": {
                "agreement": "holds",
                "then": {"goodness": 2.0, "low": 1.9, "high": 2.1},
                "now": STATED,
            },
            "value": {
                "agreement": "undecided",
                "then": {"goodness": 20.0, "low": 19.0, "high": 21.0},
                "now": None,
            },
        },
        "then": {
            "goodness": 2.0,
            "low": 1.9,
            "high": 2.1,
            "plan": pytest.approx(20.0),
            "baseline": pytest.approx(10.0),
        },
        "objective": "throughput",
    }
