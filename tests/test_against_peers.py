"""`studies/benchmarks/against_peers.py`: whom it drops and calls best, what it reads and resumes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autotune.spec.load import load_study
from autotune.statistics.paired import mean_interval
from studies.benchmarks.against_peers import (
    PROBLEMS,
    Comparison,
    Entrant,
    Problem,
    Run,
    best_peer,
    interval_text,
    judged,
    laggards,
    median_ratio,
    read_benchmark_app,
    read_launch,
    result_text,
    results_in,
    stated_of_defaults,
)
from studies.benchmarks.peer import cosine, measure

BENCHMARK_APP = """[Step 11/11] Dumping statistics report
[ INFO ] Execution Devices:['CPU']
[ INFO ] Count:            52 iterations
[ INFO ] Duration:         10400.00 ms
[ INFO ] Latency:
[ INFO ]    Median:        801.50 ms
[ INFO ]    Average:       799.00 ms
[ INFO ] Throughput:       5.00 FPS
"""


def scripted(name: str, figures: Sequence[float | None]) -> Entrant:
    """Reaches these samples per second, one a run; None is a run that fails."""
    left = iter(figures)

    def command(seconds: float, result: Path) -> tuple[str, ...]:
        speed = next(left)
        if speed is None:
            return ("sh", "-c", "echo 'no such engine' >&2; exit 3")
        return ("echo", json.dumps({"throughput_sps": speed, "latency_p50_s": 1 / speed}))

    return Entrant(name, command, lambda printed, _: read_launch(printed))


def played(
    plan: Sequence[float | None], peers: Mapping[str, Sequence[float | None]], rounds: int
) -> tuple[Comparison, list[Mapping[str, Any]]]:
    """The comparison after all rounds, and what it told."""
    told: list[Mapping[str, Any]] = []
    entrants = [scripted(name, figures) for name, figures in peers.items()]
    comparison = Comparison(PROBLEMS["minilm"], [scripted("plan", plan)], entrants, told.append)
    comparison.play(rounds, 1.0)
    return comparison, told


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=list(PROBLEMS))
def test_every_problem_is_a_study(problem: Problem, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(problem.study(3.0, "measure: {disturbed: keep}"), encoding="utf-8")
    spec = load_study(file)
    assert spec.budget.minutes == 3.0
    assert spec.objective is not None
    assert spec.objective.kind == problem.objective
    assert spec.measure is not None
    assert spec.measure.disturbed == "keep"


def test_a_peer_far_behind_in_its_best_run_is_dropped() -> None:
    scores = {"fast": [100.0, 120.0], "half": [44.0, 70.0], "slow": [30.0, 40.0]}
    assert laggards(scores, 0.5) == {"slow": pytest.approx(40 / 110)}
    assert laggards({}, 0.5) == {}


def test_the_best_peer_has_the_highest_mean_of_those_in_every_round() -> None:
    scores = {"early": [500.0], "steady": [100.0, 100.0], "better": [80.0, 140.0]}
    assert best_peer(scores, 2) == "better"
    assert best_peer({"early": [500.0]}, 2) is None


def test_a_comparison_drops_the_slow_and_leaves_out_what_fails() -> None:
    peers: dict[str, list[float | None]] = {
        "good": [100.0, 100.0],
        "broken": [None],
        "slow": [10.0],
        "late": [90.0, None],
    }
    comparison, told = played([130.0, 120.0], peers, rounds=2)
    assert "after round 1" in comparison.left_out["slow"]
    assert comparison.left_out["broken"] == "failed in round 1: exit status 3: no such engine"
    assert comparison.left_out["late"].startswith("failed in round 2")
    verdict = judged(comparison, "plan", rounds=2)
    assert verdict["best_peer"] == "good"
    assert verdict["ratio"]["estimate"] == pytest.approx(math.sqrt(1.3 * 1.2))
    assert result_text(verdict).endswith("holds (>= 1.0)")
    assert len([line for line in told if line["entrant"] == "slow"]) == 1


def test_a_plan_that_fails_is_never_dropped_for_being_slow_but_misses() -> None:
    slow, _ = played([1.0, 1.0], {"good": [100.0, 100.0]}, rounds=2)
    assert judged(slow, "plan", rounds=2)["ratio"]["estimate"] == pytest.approx(0.01)
    failed, _ = played([None], {"good": [100.0, 100.0]}, rounds=2)
    verdict = judged(failed, "plan", rounds=2)
    assert verdict["ratio"] is None
    assert "MISSED" in result_text(verdict)


def test_benchmark_app_is_read_by_its_own_clock() -> None:
    run = read_benchmark_app(BENCHMARK_APP, batch=8)
    assert run.samples_per_s == pytest.approx(40.0)
    assert run.latency_p50_s == pytest.approx(0.8015)
    with pytest.raises(RuntimeError, match="no Count: the end"):
        read_benchmark_app("something else\nthe end\n", batch=8)


def test_a_latency_problem_compares_the_inverse_of_the_median() -> None:
    run = Run(samples_per_s=50.0, latency_p50_s=0.025)
    assert run.score("latency") == pytest.approx(40.0)
    assert run.score("throughput") == 50.0
    spoken = interval_text(mean_interval([40.0, 50.0]), "latency")
    low, high = spoken.split("95 %: ")[1].split(",")[0].split(" to ")
    assert float(low) < 22.36 < float(high)
    assert spoken.startswith("p50 22.36 ms")


def test_results_are_resumed_and_a_line_cut_off_is_none() -> None:
    first = {"kind": "result", "problem": "bert", "minutes": 3, "ratio": None}
    second = {**first, "ratio": {"estimate": 1.5, "low": 1.4, "high": 1.6}}
    other = {**second, "minutes": 5.0, "ratio": {"estimate": 1.1, "low": 1.0, "high": 1.2}}
    lines = [json.dumps(line) for line in ({"kind": "run"}, first, second, other)]
    found = results_in([*lines, lines[2][:-20]])
    assert found == {("bert", 3.0): second, ("bert", 5.0): other}
    assert median_ratio(found.values()) == pytest.approx(1.3)
    assert median_ratio([first]) == 0.0


def test_what_a_plan_says_of_the_best_default_is_told_in_short() -> None:
    engine = {"backend": "onnxruntime", "precision": "int8-dynamic"}
    plan = {"confirmation": {"default": {"ratio": 1.2389, "configuration": engine}}}
    assert stated_of_defaults(plan) == {
        "times the best default": 1.239,
        "which is": "onnxruntime int8-dynamic",
    }
    assert stated_of_defaults({"confirmation": {"default": None}}) == {}
    assert stated_of_defaults({"confirmation": None}) == {}


def test_a_peer_counts_the_requests_between_its_first_and_its_last() -> None:
    answers = np.ones((4, 2, 3), dtype=np.float32)
    document = measure(lambda: answers, batch=4, seconds=0.01)
    assert document["requests"] >= 1
    assert document["samples_per_s"] * document["latency_p50_s"] > 0
    assert cosine(answers, 2 * answers) == pytest.approx(1.0)
