"""What a plan must keep to, whatever is optimised."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autotune.objectives.limits import bound_or_value, limit_words, limits_exceeded, missed, violations
from autotune.objectives.outcome import Figures
from autotune.spec.study import LatencyLimit, Limits

LIMITS = Limits(latency=LatencyLimit(percentile=50, max_s=0.1), memory_bytes=2**30)
MET = Figures(20.0, (0.05,) * 20, memory_bytes=2**29)


def test_a_violation_is_the_share_by_which_a_limit_is_exceeded() -> None:
    assert violations(LIMITS, MET) == {"latency": pytest.approx(-0.5), "memory": pytest.approx(-0.5)}
    slow = replace(MET, latencies_s=(0.2,) * 20)
    assert violations(LIMITS, slow)["latency"] == pytest.approx(1.0)
    assert violations(Limits(), slow) == {}


def test_what_was_promised_at_a_rate_counts_in_the_place_of_latencies() -> None:
    assert violations(LIMITS, replace(MET, promised_s=0.15))["latency"] == pytest.approx(0.5)


def test_a_limit_is_met_by_what_all_runs_show_together() -> None:
    assert missed(LIMITS, [MET, MET]) == []
    assert missed(LIMITS, []) == []
    slow = replace(MET, latencies_s=(0.2,) * 20)
    (reason,) = missed(LIMITS, [MET, slow])
    assert "p50 latency is not shown to be within 100 ms" in reason, "its bound is, though its value is not"
    (reason,) = missed(LIMITS, [MET, replace(MET, memory_bytes=2**31)])
    assert reason == "it takes 2.0 GiB of memory, 100.0% more than the limit of 1.0 GiB"


def test_of_rates_that_were_sought_the_median_run_tells() -> None:
    runs = [replace(MET, promised_s=seconds) for seconds in (0.09, 0.2, 0.08)]
    assert missed(LIMITS, runs) == []
    assert len(missed(LIMITS, [*runs, replace(MET, promised_s=0.3), replace(MET, promised_s=0.3)])) == 1


def test_without_a_bound_the_percentile_itself_counts() -> None:
    assert bound_or_value([0.1, 0.2], 99) == 0.2
    assert list(limits_exceeded(LIMITS, None, 0)) == []


def test_a_limit_is_named_with_its_bound() -> None:
    assert limit_words(LIMITS, "latency") == "the limit of 100 ms on p50 latency"
    assert limit_words(LIMITS, "memory") == "the limit of 1.0 GiB on memory"
