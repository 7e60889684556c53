"""What people read of events, line by line: a terminal and a page show the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import singledispatch

from autotune import events
from autotune.events import Event, Progress
from autotune.units import format_count, format_duration, format_latency, format_rate

NAMED_LOOKS = 4
"""So many of the engines that look fastest are named."""

WIDE = 0.05
"""An interval that is wider to either side is worth showing."""


@dataclass(frozen=True)
class EventLine:
    """One line.

    Attributes:
        is_passing: it says what is about to begin, and is of no worth once that has ended.
    """

    text: str
    is_passing: bool = False


@singledispatch
def lines_of(event: Event) -> Iterator[EventLine]:
    """Give the lines of an event: of what has ended to keep, of what is about to begin to show for now."""
    raise TypeError(f"{event!r} is no event")


@lines_of.register
def _(event: events.AttemptBegan) -> Iterator[EventLine]:
    if event.reason:
        yield EventLine(f"attempt {event.attempt}: {event.reason}")
    else:
        yield EventLine("begun", is_passing=True)


@lines_of.register
def _(event: events.SpaceSurveyed) -> Iterator[EventLine]:
    yield from _left_out(event.left_out)


@lines_of.register
def _(event: events.RoomWeighed) -> Iterator[EventLine]:
    yield from _left_out(event.left_out)
    for warning in event.warnings:
        yield EventLine(f"warning: {warning}")


@lines_of.register
def _(event: events.FilesRead) -> Iterator[EventLine]:
    for read in event.files:
        yield EventLine(read)


@lines_of.register
def _(event: events.ModelsServed) -> Iterator[EventLine]:
    for sentence in event.sentences:
        yield EventLine(sentence)


@lines_of.register
def _(event: events.ModelsNoted) -> Iterator[EventLine]:
    for note in event.notes:
        yield EventLine(f"warning: {note}")


@lines_of.register
def _(event: events.ReferenceBegan) -> Iterator[EventLine]:
    yield EventLine(
        f"trying {event.source} at fp32, as its answers are what all others are compared with",
        is_passing=True,
    )


@lines_of.register
def _(event: events.WaitingBegan) -> Iterator[EventLine]:
    yield EventLine(event.text)


@lines_of.register
def _(event: events.WaitingEnded) -> Iterator[EventLine]:
    yield EventLine(f"waited {format_duration(event.seconds)} for it; no budget of minutes counts that")


@lines_of.register
def _(event: events.LookingBegan) -> Iterator[EventLine]:
    yield EventLine(
        f"looking at {event.count} engines and precisions, with a few of the model's layers", is_passing=True
    )


@lines_of.register
def _(event: events.LookTaken) -> Iterator[EventLine]:
    answer = event.refusal if event.request_s is None else format_latency(event.request_s)
    yield EventLine(f"looked at {event.backend} {event.precision}: {answer}", is_passing=True)


@lines_of.register
def _(event: events.LookingEnded) -> Iterator[EventLine]:
    if event.reason:
        yield EventLine(f"no look at the engines: {event.reason}")
    elif event.fastest:
        took, names = format_duration(event.seconds), ", ".join(event.fastest[:NAMED_LOOKS])
        several = f"{len(event.fastest)} engines and precisions in {took}, fastest first: {names}"
        yield EventLine(f"looked at {several if len(event.fastest) > 1 else f'{names} in {took}'}")


@lines_of.register
def _(event: events.PreparationBegan) -> Iterator[EventLine]:
    price = "" if not event.about_s else f" (about {format_duration(event.about_s)})"
    yield EventLine(f"preparing the model: {event.engine}{price}", is_passing=True)


@lines_of.register
def _(event: events.AssessmentBegan) -> Iterator[EventLine]:
    yield EventLine(f"comparing the answers of {event.engine} with the fp32 reference's", is_passing=True)


@lines_of.register
def _(event: events.SecondStageBegan) -> Iterator[EventLine]:
    yield EventLine(f"second stage, after {event.progress.finished} trials: knobs of the leading placements")


@lines_of.register
def _(event: events.TrialBegan) -> Iterator[EventLine]:
    position = _position(event.progress.finished + 1, event.progress)
    yield EventLine(f"{position} {event.configuration} ... {_standing(event.progress)}", is_passing=True)


@lines_of.register
def _(event: events.TrialEnded) -> Iterator[EventLine]:
    position, name = _position(event.progress.finished, event.progress), event.name and f"{event.name}: "
    line = f"{position} {name}{event.configuration}: {_trial_in_words(event)}"
    yield EventLine(f"{line}; {_standing(event.progress)}")


@lines_of.register
def _(event: events.SearchEnded) -> Iterator[EventLine]:
    yield EventLine(f"{event.reason}: {format_count(event.progress.finished, 'trial')}")


@lines_of.register
def _(event: events.RoundBegan) -> Iterator[EventLine]:
    yield EventLine(f"confirming, round {event.number}: {', '.join(event.names)}", is_passing=True)


@lines_of.register
def _(event: events.RunEnded) -> Iterator[EventLine]:
    where = f"[round {event.round}] {event.name}: {event.configuration}"
    yield EventLine(f"{where}: {event.outcome.in_words}")


@lines_of.register
def _(event: events.DoubtRaised) -> Iterator[EventLine]:
    yield EventLine(f"{event.doubt}: running three more rounds")


@lines_of.register
def _(event: events.RateBegan) -> Iterator[EventLine]:
    yield EventLine(f"[{event.number}/{event.total}] {format_rate(event.rate_per_s)} ...", is_passing=True)


@lines_of.register
def _(event: events.RateEnded) -> Iterator[EventLine]:
    yield EventLine(f"[{event.number}/{event.total}] {format_rate(event.rate_per_s)}: {event.in_words}")


@lines_of.register
def _(event: events.WebhookCalled) -> Iterator[EventLine]:
    yield EventLine(f"webhook{f' to {event.host}' if event.host else ''}: {event.in_words}")


def _left_out(left_out: tuple[str, ...]) -> Iterator[EventLine]:
    for reason in left_out:
        yield EventLine(f"not searched: {reason}")


def _trial_in_words(event: events.TrialEnded) -> str:
    """What a trial gave, how unsure that is, and which limits it misses."""
    width = event.half_width
    unsure = "" if width is None or width <= WIDE or event.outcome.failure else f" (+- {width:.0%})"
    missed = [f"{excess.limit} limit missed by {excess.by:.0%}" for excess in event.excesses]
    return ", ".join([event.outcome.in_words + unsure, *missed])


def _standing(progress: Progress) -> str:
    """The best so far, and the time that is left."""
    gained = "" if progress.gain is None else f" ({progress.gain:.2f}x)"
    best = "no best yet" if progress.best is None else f"best {progress.best_in_words}{gained}"
    left = [] if progress.left_s is None else [f"at most {format_duration(progress.left_s)} left"]
    return ", ".join([best, *left])


def _position(number: int, progress: Progress) -> str:
    return f"[{number:>{len(str(progress.total))}}/{progress.total}]"
