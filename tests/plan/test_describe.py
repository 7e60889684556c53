from __future__ import annotations

import pytest

from autotune.plan.describe import describe
from autotune.testing.plans import build_commands, build_plan

LONG = "The kernel did this and that, and a great many other things, which all made the figures less sure."


def test_a_description_shows_configuration_placement_evidence_and_provenance() -> None:
    text = describe(build_plan(build_commands(2, threads=4)))
    for expected in (
        "quickstart-7f3a9c",
        "fake, fp32",
        "30.0 samples/s, 3.00x better than the baseline's 10.0",
        "1         4-7   0",
        "latency p99  too few requests",
        "300.0 MiB",
        "trial 7",
        "autotune 0.1.0, python 3.11.9",
    ):
        assert expected in text


def test_a_description_fits_a_terminal() -> None:
    versions = {f"library-{index}": "1.2.3" for index in range(20)}
    text = describe(build_plan(warnings=(LONG,), versions=versions))
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("warnings", [(), (LONG,)])
def test_warnings_are_shown_if_there_are_any(warnings: tuple[str, ...]) -> None:
    text = " ".join(describe(build_plan(warnings=warnings)).split())
    assert ("warnings" in text) == bool(warnings)
    assert (LONG in text) == bool(warnings)


def test_a_plan_without_baseline_says_so() -> None:
    text = describe(build_plan(baseline=None, gain=None))
    assert "no baseline to compare with" in text


def test_a_latency_is_shown_in_milliseconds() -> None:
    assert "latency_p90 30000 ms" in describe(build_plan(objective="latency_p90"))


def test_unpinned_instances_may_run_anywhere() -> None:
    assert "0         any   any" in describe(build_plan(build_commands(1, pinned=False)))
