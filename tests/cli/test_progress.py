"""What a terminal shows of events: the same lines for everybody who runs a job."""

from __future__ import annotations

import pytest

from autotune import events
from autotune.cli.progress import show, show_of_duel, show_of_series
from autotune.event_lines import lines_of
from autotune.events import EVENTS, Event, Excess, Progress, Summary

STANDING = Progress(3, 40, 2, 38.9, "38.9 samples/s", 1.5, 61.5)
FIRST = Progress(1, 40)
MEASURED = Summary("23.6 samples/s", 23.6)
FAILED = Summary("timeout: it took longer than 20 s", failure="timeout", reason="it took longer than 20 s")
CLOSE = "2 x 4 threads, close"


def test_every_event_is_shown() -> None:
    assert [kind.__name__ for kind in EVENTS if lines_of.dispatch(kind) is lines_of.dispatch(object)] == []


@pytest.mark.parametrize(
    ("event", "lines"),
    [
        (events.AttemptBegan(1), []),
        (events.AttemptBegan(2, "its process ended"), ["attempt 2: its process ended"]),
        (events.SpaceSurveyed(("a", "b")), ["not searched: a", "not searched: b"]),
        (events.RoomWeighed(("a",), ("b",)), ["not searched: a", "warning: b"]),
        (events.FilesRead(("texts.txt is plain lines",)), ["texts.txt is plain lines"]),
        (events.ModelsServed(("embeddings",)), ["embeddings"]),
        (events.ModelsNoted(("no flash",)), ["warning: no flash"]),
        (events.WaitingBegan("process 1 measures"), ["process 1 measures"]),
        (events.WaitingEnded(37.0), ["waited 37 s for it; no budget of minutes counts that"]),
        (events.LookingEnded(0.0, ()), []),
        (events.LookingEnded(9.0, ("a fp32",)), ["looked at a fp32 in 9 s"]),
        (
            events.LookingEnded(9.0, tuple("abcde")),
            ["looked at 5 engines and precisions in 9 s, fastest first: a, b, c, d"],
        ),
        (events.LookingEnded(9.0, (), "one layer"), ["no look at the engines: one layer"]),
        (
            events.SecondStageBegan(STANDING),
            ["second stage, after 3 trials: knobs of the leading placements"],
        ),
        (
            events.TrialEnded(2, "", CLOSE, MEASURED, STANDING, (Excess("latency", 0.5),), 0.061),
            [
                f"[ 3/40] {CLOSE}: 23.6 samples/s (+- 6%), latency limit missed by 50%; "
                "best 38.9 samples/s (1.50x), at most 1 min 2 s left"
            ],
        ),
        (
            events.TrialEnded(0, "baseline", CLOSE, MEASURED, FIRST, (), 0.05),
            [f"[ 1/40] baseline: {CLOSE}: 23.6 samples/s; no best yet"],
        ),
        (
            events.TrialEnded(0, "", CLOSE, FAILED, FIRST),
            [f"[ 1/40] {CLOSE}: timeout: it took longer than 20 s; no best yet"],
        ),
        (events.SearchEnded("the budget is used up", STANDING), ["the budget is used up: 3 trials"]),
        (events.RunEnded(2, "twin", CLOSE, MEASURED), [f"[round 2] twin: {CLOSE}: 23.6 samples/s"]),
        (events.DoubtRaised("they fell"), ["they fell: running three more rounds"]),
        (events.RateBegan(120.0, 1, 7), []),
        (events.WebhookCalled("a.example", "204"), ["webhook to a.example: 204"]),
        (events.RateEnded(120.0, 1, 7, "p50 8.10 ms"), ["[1/7] 120 requests/s: p50 8.10 ms"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_ended_is_a_line_on_stderr(
    event: Event, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for shown in (show, show_of_duel, show_of_series):
        shown(event)
        assert capsys.readouterr() == ("", "".join(f"{line}\n" for line in lines))


BEGINNINGS: list[tuple[Event, str]] = [
    (
        events.ReferenceBegan("random:bert"),
        "trying random:bert at fp32, as its answers are what all others are compared with",
    ),
    (events.LookingBegan(6), "looking at 6 engines and precisions, with a few of the model's layers"),
    (events.LookTaken("pytorch", "fp32", request_s=0.0123), "looked at pytorch fp32: 12.3 ms"),
    (events.LookTaken("jax", "bf16", refusal="no such operator"), "looked at jax bf16: no such operator"),
    (events.PreparationBegan("jax fp32"), "preparing the model: jax fp32"),
    (events.PreparationBegan("jax fp32", 15.0), "preparing the model: jax fp32 (about 15 s)"),
    (events.AssessmentBegan("jax fp32"), "comparing the answers of jax fp32 with the fp32 reference's"),
    (events.TrialBegan(3, CLOSE, FIRST), f"[ 2/40] {CLOSE} ... no best yet"),
    (events.RoundBegan(2, ("a", "b")), "confirming, round 2: a, b"),
]


@pytest.mark.parametrize(("event", "line"), BEGINNINGS, ids=lambda value: type(value).__name__)
def test_what_begins_is_a_status_line_of_a_terminal_alone(
    event: Event, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    show(event)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    show(event)
    assert capsys.readouterr().err == f"\r\x1b[K{line}"


@pytest.mark.parametrize(
    ("shown", "line"), [(show_of_duel, "round 2: a and b"), (show_of_series, "round 2: a, b")]
)
def test_a_round_of_a_duel_and_of_a_series_confirms_nothing(
    shown: object, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(shown)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    shown(events.RoundBegan(2, ("a", "b")))
    assert capsys.readouterr().err == f"\r\x1b[K{line}"
