"""What is said of a load, and beside which figures of the plan."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autotune.launched.bodies import MOST_BODIES, MOST_BYTES, cached_words, read_bodies, usual_bodies
from autotune.launched.sending import Sending, SentOverHttp
from autotune.launched.served import STRETCHES, ServedLoad, judge_load
from autotune.launched.stated import StatedLoad, stated_load
from autotune.plan.document import Plan, PlanStudy
from autotune.plan.evidence import ServedRequests
from autotune.plan.histogram import latency_histogram
from autotune.spec.study import LatencyLimit
from autotune.statistics.arrivals import poisson_times
from autotune.testing.plans import build_commands, build_plan

URLS = ("http://127.0.0.1:8000/",)
SECONDS = 10.0
Change = Callable[[SentOverHttp], None]


def sending(
    latency_s: Callable[[random.Random], float],
    *,
    rate: float = 100.0,
    change: Change | None = None,
    seed: int = 7,
) -> Sending:
    """A load of ten seconds and a settling of one, with these latencies."""
    source = random.Random(seed)
    requests = []
    for time_s in poisson_times(3, rate, (0.1 * SECONDS, SECONDS)):
        request = SentOverHttp(
            0, 5.0 + time_s, sent_s=5.0 + time_s, end_s=5.0 + time_s + latency_s(source), status=200
        )
        if change is not None:
            change(request)
        requests.append(request)
    return Sending(5.0, 17.0, tuple(requests))


def always(latency_s: float) -> Callable[[random.Random], float]:
    """The same latency for each request."""
    return lambda _: latency_s


def judged(load: Sending, *, shares_cpus: bool = False, **stated: Any) -> ServedLoad:
    known = {"capacity_per_s": 200.0, "latencies_s": {50.0: 0.01, 99.0: 0.02}, "basis": "its curve", **stated}
    return judge_load(URLS, StatedLoad(100.0, **known), load, SECONDS, shares_cpus=shares_cpus)


def test_a_server_that_answers_all_keeps_up_and_stands_beside_the_plan() -> None:
    served = judged(sending(lambda source: source.uniform(0.011, 0.013)))
    assert (served.verdict, served.sent, served.answered, served.failures) == ("keeps up", 1000, 1000, ())
    median = served.latency(50.0)
    assert median is not None
    assert median.interval is not None
    assert 0.0115 < median.interval.low < median.interval.high < 0.0125
    assert median.interval.count == STRETCHES
    assert (median.stated_s, median.needed) == (0.01, 11)
    tail = served.latency(99.0)
    assert tail is not None
    assert tail.value_s == pytest.approx(0.013, abs=0.0005)
    assert tail.interval is None, "a stretch has too few requests for it"
    assert served.reasons[0].startswith("p50 is 1.19x what the plan states (95 %: 1.")
    assert "HTTP and the server's own work come on top" in served.reasons[0]
    assert served.reasons[1] == "What the plan states rests on its curve."


def test_the_settling_does_not_count() -> None:
    def change(request: SentOverHttp) -> None:
        if request.due_s < 6.0:
            request.end_s = request.due_s + 0.9

    served = judged(sending(always(0.01), change=change))
    tail = served.latency(99.0)
    assert tail is not None
    assert tail.value_s == pytest.approx(0.01)


def test_a_server_that_answers_less_than_is_sent_falls_short() -> None:
    load = sending(always(0.0))
    slow = tuple(
        SentOverHttp(0, one.due_s, sent_s=one.due_s, end_s=5.0 + number / 80, status=200)
        for number, one in enumerate(load.requests)
    )
    served = judged(Sending(5.0, 20.0, slow))
    assert served.verdict == "falls short"
    assert served.reasons[0].startswith("While they were sent, it answered 80.")
    assert served.in_words == "1000 requests in 10 s, all answered"
    assert "100 requests/s were sent" in served.reasons[0]


def test_failures_are_counted_and_named_and_are_no_answers() -> None:
    source = random.Random(1)

    def change(request: SentOverHttp) -> None:
        draw = source.random()
        if draw < 0.05:
            request.status = 503
        elif draw < 0.1:
            request.status, request.fault = 0, "connection refused"
        elif draw < 0.12:
            request.status, request.end_s = 0, math.inf

    served = judged(sending(always(0.01), change=change))
    counts = dict(served.failures)
    assert set(counts) == {"status 503", "connection refused"}
    assert served.answered + sum(counts.values()) + served.given_up == served.sent
    assert served.verdict == "falls short"
    said = " ".join(served.reasons)
    assert f"status 503 ({counts['status 503']})" in said
    assert f"{served.given_up} requests had no answer" in said
    tail = served.latency(99.0)
    assert tail is not None
    assert tail.value_s is None, "more than 1 % wait for ever"


def test_a_limit_of_the_study_is_to_be_met() -> None:
    load = sending(lambda source: source.uniform(0.02, 0.03))
    limit = LatencyLimit(percentile=95.0, max_s=0.025)
    served = judged(load, limit=limit)
    assert served.verdict == "falls short"
    assert served.reasons[0].startswith("p95 is 29.")
    assert "the study's limit is 25.0 ms" in served.reasons[0]
    assert judged(load, limit=LatencyLimit(percentile=99.5, max_s=0.04)).latency(99.5) is not None


def test_a_load_that_is_late_blames_no_server() -> None:
    def change(request: SentOverHttp) -> None:
        request.sent_s += 0.01

    load = sending(lambda source: source.uniform(0.02, 0.03), change=change)
    served = judged(load, limit=LatencyLimit(percentile=95.0, max_s=0.025))
    assert served.verdict == "undecided"
    assert served.late_s == pytest.approx(0.01)
    assert any(reason.startswith("Requests were sent late (p99 10.0") for reason in served.reasons)
    assert judged(load).verdict == "keeps up"
    failed = sending(always(0.01), change=lambda request: setattr(request, "status", 503))
    assert judged(failed).verdict == "falls short"


def test_what_weakens_it_is_said() -> None:
    def change(request: SentOverHttp) -> None:
        request.was_held = request.due_s > 10.0

    load = sending(always(0.01), change=change)
    served = judged(load, shares_cpus=True, capacity_per_s=None, latencies_s={}, basis="it has none")
    said = " ".join(served.reasons)
    assert f"{served.held} requests waited for one of 256 connections" in said
    assert "The plan states no latencies at this rate: it has none." in said
    assert "No cpu is free of instances" in said
    assert "its processes serve 80.0 requests/s at most" in " ".join(
        judged(load, latencies_s={}, capacity_per_s=80.0).reasons
    )


def test_the_intervals_hold_the_truth_as_often_as_they_say() -> None:
    held = 0
    for seed in range(200):
        served = judged(sending(lambda source: source.uniform(0.011, 0.013), seed=seed))
        median = served.latency(50.0)
        assert median is not None
        assert median.interval is not None
        held += median.interval.low < 0.012 < median.interval.high
    assert held >= 180


def test_too_few_requests_say_nothing_and_a_stop_keeps_what_there_is() -> None:
    few = judged(sending(always(0.01), rate=1.0))
    assert few.verdict == "undecided"
    whole = sending(always(0.01))
    half = Sending(5.0, 11.0, tuple(one for one in whole.requests if one.due_s < 11.0), stopped=True)
    served = judged(half)
    assert served.stopped
    assert served.seconds == pytest.approx(5.0, abs=0.1)
    assert served.verdict == "keeps up"
    nothing = judged(Sending(5.0, 5.0, (), stopped=True))
    assert (nothing.verdict, nothing.sent) == ("undecided", 0)
    assert nothing.in_words == "it was ended before a request counted"
    assert not any("say nothing" in reason for reason in nothing.reasons)


def test_where_every_request_fails_it_is_the_failure_that_is_named() -> None:
    def refuse(request: SentOverHttp) -> None:
        request.status = 422

    served = judged(sending(always(0.01), rate=1.0, change=refuse))
    assert served.verdict == "falls short"
    said = " ".join(served.reasons)
    assert f"{served.sent} of {served.sent} requests failed: status 422" in said
    assert "for longer" not in said


def test_of_a_short_load_it_is_said_how_many_of_the_requests_were_answered() -> None:
    load = sending(always(0.5), rate=2.0)
    served = judged(load)
    assert served.in_words == "20 requests in 10 s, all answered"
    assert served.verdict == "keeps up"
    lost = judged(sending(always(0.01), change=lambda request: setattr(request, "status", 503)))
    assert lost.in_words == "1000 requests in 10 s, 0 answered"


STUDY = {**build_plan().study.spec, "name": "quickstart", "model": "fake:model.json"}


def stated_plan(instances: int = 2, **changes: Any) -> Plan:
    """A plan whose study is whole."""
    study = PlanStudy(name="quickstart", spec=STUDY)
    return build_plan(build_commands(instances), **{"study": study, **changes})


def plan_of(services_s: list[float], **changes: Any) -> Plan:
    plan = stated_plan(1, **changes)
    estimate = plan.estimate.model_copy(update={"histogram": latency_histogram(services_s)})
    return plan.model_copy(update={"estimate": estimate})


def test_the_plan_states_what_a_queue_with_its_service_times_gives() -> None:
    stated = stated_load(plan_of([0.1] * 100))
    assert stated.capacity_per_s == pytest.approx(10.0, rel=0.01)
    assert stated.rate_per_s == pytest.approx(6.0, rel=0.01)
    assert "back to back" in stated.basis
    queued = np.percentile(_queue(0.1, 6.0), 50)
    assert stated.latencies_s[50.0] == pytest.approx(float(queued), rel=0.05)
    low, high = stated_load(plan_of([0.1] * 100), 0.5), stated_load(plan_of([0.1] * 100), 20.0)
    assert low.latencies_s[50.0] == pytest.approx(0.1, rel=0.02)
    assert high.latencies_s == {}, "more than it bears"


def _queue(service_s: float, rate_per_s: float) -> list[float]:
    """Latencies of a plain queue of one server, written anew here."""
    source, free_s, now_s, latencies = random.Random(5), 0.0, 0.0, []
    for _ in range(200_000):
        now_s += source.expovariate(rate_per_s)
        free_s = max(free_s, now_s) + service_s
        latencies.append(free_s - now_s)
    return latencies


def test_a_plan_that_splits_requests_or_kept_no_latencies_states_none() -> None:
    split = stated_plan(scenario="single_stream")
    stated = stated_load(split)
    assert (stated.latencies_s, stated.capacity_per_s) == ({}, None)
    assert "splits every request over its 2 instances" in stated.basis
    assert stated.rate_per_s == pytest.approx(0.6 * 30 / 8)
    assert "autotune curve" in stated_load(stated_plan()).basis


def test_the_studys_limit_is_known() -> None:
    plan = stated_plan()
    spec = {**STUDY, "limits": {"latency": {"percentile": 99.0, "max_s": 0.02}}}
    limited = plan.model_copy(update={"study": PlanStudy(name="quickstart", spec=spec)})
    assert stated_load(limited).limit == LatencyLimit(percentile=99.0, max_s=0.02)


def test_the_usual_requests_are_texts_of_the_studys_size() -> None:
    bodies = usual_bodies(stated_plan(), 300)
    requests = [json.loads(body)["texts"] for body in bodies]
    assert [len(texts) for texts in requests] == [8] * 300
    texts = [text for request in requests for text in request]
    assert len(set(texts)) == len(texts), "a cache of answers would make the server fast"
    assert {len(text.split()) for text in texts} == {126}
    assert bodies == usual_bodies(stated_plan(), 300)


def test_requests_are_no_more_than_memory_should_hold() -> None:
    assert len(usual_bodies(stated_plan(), 1)) == 1
    many = usual_bodies(stated_plan(), 10**9)
    assert 1_000 < len(many) <= MOST_BODIES
    assert sum(map(len, many)) < 1.5 * MOST_BYTES


def test_of_a_plan_with_a_cache_it_is_said_that_no_text_came_twice() -> None:
    assert cached_words(stated_plan()) == ""
    requests = ServedRequests(
        requests=10,
        sequences=80,
        median_tokens=20,
        p90_tokens=30,
        most_tokens=40,
        mean_tokens=22,
        padding=0.1,
        tokens_per_s=None,
        hit_rate=0.25,
    )
    plan = stated_plan().model_copy(update={"requests": requests})
    assert cached_words(plan).startswith("The plan took 25% of its answers from a cache.")


def test_a_file_of_requests_is_sent_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    path.write_text('{"texts": ["ä"]}\n\n  [1, 2]  \n')
    assert read_bodies(path) == ('{"texts": ["ä"]}'.encode(), b"[1, 2]")


@pytest.mark.parametrize(
    ("text", "said"), [("", "has 0 requests"), ("{}\nnonsense\n", "line 2 of"), ("\n \n", "has 0 requests")]
)
def test_a_file_that_holds_something_else_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "requests.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        read_bodies(path)
    with pytest.raises(ValueError, match="cannot be read: Is a directory"):
        read_bodies(tmp_path)
