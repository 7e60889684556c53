"""What looking at running processes has shown, as JSON: finite numbers, and every kind of part."""

from __future__ import annotations

import json

from autotune.documents.launched import launched_document
from autotune.jobs.launched import LaunchedVerification, verdict_of
from autotune.launched.find import FoundProcesses, OtherPlan
from autotune.launched.findings import alike, differing, untold
from autotune.launched.hidden import HiddenProcess
from autotune.launched.sending import Sending, SentOverHttp
from autotune.launched.served import judge_load
from autotune.launched.stated import StatedLoad
from autotune.spec.study import LatencyLimit
from autotune.testing.plans import build_plan


def test_all_of_it_is_written() -> None:
    waiting = tuple(SentOverHttp(0, number / 10) for number in range(100))
    stated = StatedLoad(10.0, None, {}, "it has no curve", LatencyLimit(percentile=99.0, max_s=0.02))
    served = judge_load(("http://a/",), stated, Sending(0.0, 20.0, waiting), 9.0, shares_cpus=True)
    found = FoundProcesses(
        {0: (7, 8)},
        {0: (7,)},
        others=(OtherPlan("/gone.json", (9,), "", "No such file"),),
        hidden=(HiddenProcess(5, "python", 1000), HiddenProcess(6, "x", -1)),
    )
    findings = (
        alike("cpus", "it is"),
        differing("memory", "it is not", (7,)),
        untold("threads", "who knows", (8,)),
    )
    document = launched_document(
        LaunchedVerification(build_plan(), "differs", findings, found, served=served)
    )
    text = json.dumps(document, allow_nan=False)
    assert json.loads(text) == document
    assert document["schema"] == "autotune.launched/1"
    assert document["instances"] == [{"instance": 0, "processes": [7, 8]}, {"instance": 1, "processes": []}]
    assert document["others"] == [
        {"plan": None, "path": "/gone.json", "processes": [9], "reason": "No such file"}
    ]
    assert document["hidden"] == [
        {"process": 5, "name": "python", "user": 1000},
        {"process": 6, "name": "x", "user": None},
    ]
    assert document["served"]["given_up"] == document["served"]["sent"] > 80
    assert {latency["value_s"] for latency in document["served"]["latencies"]} == {None}
    assert document["served"]["stated"]["limit"] == {"percentile": 99.0, "max_s": 0.02}
    assert document["served"]["verdict"] == "falls short"


def test_a_stale_plan_has_an_empty_document() -> None:
    document = launched_document(
        LaunchedVerification(build_plan(), "stale", stale=("the cpu model differs",))
    )
    assert (document["findings"], document["served"], document["hidden"]) == ([], None, [])
    assert document["stale"] == ["the cpu model differs"]


def test_only_what_decides_leaves_a_verdict_open() -> None:
    assert verdict_of([alike("cpus", "")]) == "as planned"
    assert verdict_of([untold("threads", "", ()), untold("libraries", "", ())]) == "as planned"
    assert verdict_of([untold("environment", "", ())]) == "undecided"
    assert verdict_of([untold("memory", "", ()), differing("cpus", "", ())]) == "differs"
