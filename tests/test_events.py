"""Events as they travel: one line of JSON each, which gives the same event again."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError

import pytest

from autotune import events
from autotune.events import (
    EVENTS,
    SCHEMA,
    Event,
    Excess,
    Progress,
    RunEnded,
    Summary,
    TrialEnded,
    WaitingEnded,
    from_json,
    to_json,
)

NOT_YET = Progress(finished=0, total=40)
STANDING = Progress(3, 40, best=2, best_score=38.9, best_in_words="38.9 samples/s", gain=1.5, left_s=61.5)
MEASURED = Summary("38.9 samples/s", 38.9)
FAILED = Summary("timeout: it took longer than 20 s", failure="timeout", reason="it took longer than 20 s")
CLOSE = "2 x 4 threads, close, sockets 0, onnxruntime fp32"

EXAMPLES: tuple[Event, ...] = (
    events.AttemptBegan(1),
    events.AttemptBegan(2, "its process (4711) was killed"),
    events.SpaceSurveyed(("openvino is not installed",)),
    events.RoomWeighed(("64 x 1 threads: no room",), ("it may run out of memory",)),
    events.FilesRead(("problem.texts: texts.txt is plain lines: 3 texts, the first 'é \u2028'",)),
    events.ModelsServed(("sentence embeddings are served",)),
    events.ModelsNoted(("flash attention is not there",)),
    events.ReferenceBegan("random:minilm-l6"),
    events.WaitingBegan("another trial runs on this host (process 1); waiting for it to end"),
    WaitingEnded(37.25),
    events.LookingBegan(6),
    events.LookTaken("pytorch", "fp32", request_s=0.0123),
    events.LookTaken("openvino", "bf16", refusal="no such operator"),
    events.LookingEnded(12.5, ("onnxruntime int8-dynamic", "pytorch fp32")),
    events.LookingEnded(0.0, (), reason="it has one layer"),
    events.PreparationBegan("onnxruntime fp32", 15.0),
    events.PreparationBegan("pytorch fp32"),
    events.AssessmentBegan("onnxruntime int8-dynamic"),
    events.SecondStageBegan(STANDING),
    events.TrialBegan(0, CLOSE, NOT_YET, "node-7"),
    TrialEnded(0, "baseline", CLOSE, MEASURED, STANDING, (Excess("latency", 0.12),), 0.07, "node-7"),
    TrialEnded(1, "", CLOSE, FAILED, NOT_YET),
    events.SearchEnded("the budget of 40 trials is used up", STANDING),
    events.RoundBegan(1, ("trial 2", "baseline")),
    RunEnded(1, "baseline", CLOSE, MEASURED),
    RunEnded(1, "trial 2", CLOSE, FAILED),
    events.DoubtRaised("the rounds contradict the search: baseline fell"),
    events.RateBegan(120.0, 1, 7),
    events.RateEnded(120.0, 1, 7, "p50 8.10 ms, p99 21.0 ms, 62% busy"),
    events.WebhookCalled("hooks.example.com", "it answered 204"),
)


def test_there_is_an_example_of_every_kind() -> None:
    assert {type(example) for example in EXAMPLES} == set(EVENTS)


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_an_event_is_one_line_of_json_and_the_same_again(event: Event) -> None:
    line = to_json(event)
    assert "\n" not in line
    assert from_json(line) == from_json(line.encode()) == event
    assert json.loads(line)["schema"] == SCHEMA


def test_the_names_of_events_stay_as_they_are_in_this_version() -> None:
    assert list(dict.fromkeys(json.loads(to_json(event))["event"] for event in EXAMPLES)) == [
        "attempt_began",
        "space_surveyed",
        "room_weighed",
        "files_read",
        "models_served",
        "models_noted",
        "reference_began",
        "waiting_began",
        "waiting_ended",
        "looking_began",
        "look_taken",
        "looking_ended",
        "preparation_began",
        "assessment_began",
        "second_stage_began",
        "trial_began",
        "trial_ended",
        "search_ended",
        "round_began",
        "run_ended",
        "doubt_raised",
        "rate_began",
        "rate_ended",
        "webhook_called",
    ]


def test_an_event_of_this_version_that_is_kept_is_read() -> None:
    kept = (
        '{"schema":"autotune.event/1","event":"trial_ended","number":7,"name":"",'
        '"configuration":"1 x 1 threads",'
        '"outcome":{"in_words":"23.6 samples/s","score":23.6,"failure":"","reason":""},'
        '"progress":{"finished":8,"total":60,"best":7,"best_score":23.6,"best_in_words":"23.6 samples/s",'
        '"gain":2.0,"left_s":90.0},"excesses":[{"limit":"memory","by":0.5}],"half_width":null}'
    )
    progress = Progress(8, 60, 7, 23.6, "23.6 samples/s", 2.0, 90.0)
    outcome = Summary("23.6 samples/s", 23.6)
    assert from_json(kept) == TrialEnded(7, "", "1 x 1 threads", outcome, progress, (Excess("memory", 0.5),))


def test_what_a_later_minor_change_adds_is_passed_over() -> None:
    fields = json.loads(to_json(WaitingEnded(1.0)))
    assert from_json(json.dumps({**fields, "host": "a"})) == WaitingEnded(1.0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema":"autotune.event/2","event":"waiting_ended","seconds":1.0}',
        '{"schema":"autotune.event/1","event":"no such thing"}',
        '{"schema":"autotune.event/1","event":"waiting_ended"}',
        '{"schema":"autotune.event/1","event":"waiting_ended","seconds":"long"}',
        '{"schema":"autotune.event/1","event":"waiting_ended","seconds":1',
    ],
)
def test_what_is_no_event_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_json(text)


def test_a_number_that_json_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_json(WaitingEnded(float("inf")))


def test_an_event_cannot_be_changed() -> None:
    event = WaitingEnded(1.0)
    with pytest.raises(FrozenInstanceError):
        event.seconds = 2.0  # type: ignore[misc]
