"""What commands show on stderr of a job that runs: lines between trials, nothing while workers measure."""

from __future__ import annotations

from functools import singledispatch

from autotune import events
from autotune.cli import output
from autotune.events import Event, Progress
from autotune.units import format_count, format_duration, format_latency, format_rate

NAMED_LOOKS = 4
"""So many of the engines that look fastest are named."""

WIDE = 0.05
"""An interval that is wider to either side is worth showing."""


@singledispatch
def show(event: Event) -> None:
    """Print a line for what has ended; on a terminal, show what is about to begin as a status line."""
    raise TypeError(f"{event!r} is no event")


def show_of_duel(event: Event) -> None:
    """Show an event of two that run beside each other."""
    if isinstance(event, events.RoundBegan):
        output.status(f"round {event.number}: {' and '.join(event.names)}")
    else:
        show(event)


def show_of_series(event: Event) -> None:
    """Show an event of a series."""
    if isinstance(event, events.RoundBegan):
        output.status(f"round {event.number}: {', '.join(event.names)}")
    else:
        show(event)


@show.register
def _(event: events.SpaceSurveyed) -> None:
    _show_left_out(event.left_out)


@show.register
def _(event: events.RoomWeighed) -> None:
    _show_left_out(event.left_out)
    for warning in event.warnings:
        output.message(f"warning: {warning}")


@show.register
def _(event: events.FilesRead) -> None:
    for read in event.files:
        output.message(read)


@show.register
def _(event: events.ModelsServed) -> None:
    for sentence in event.sentences:
        output.message(sentence)


@show.register
def _(event: events.ModelsNoted) -> None:
    for note in event.notes:
        output.message(f"warning: {note}")


@show.register
def _(event: events.ReferenceBegan) -> None:
    output.status(f"trying {event.source} at fp32, as its answers are what all others are compared with")


@show.register
def _(event: events.WaitingBegan) -> None:
    output.message(event.text)


@show.register
def _(event: events.WaitingEnded) -> None:
    output.message(f"waited {format_duration(event.seconds)} for it; no budget of minutes counts that")


@show.register
def _(event: events.LookingBegan) -> None:
    output.status(f"looking at {event.count} engines and precisions, with a few of the model's layers")


@show.register
def _(event: events.LookTaken) -> None:
    answer = event.refusal if event.request_s is None else format_latency(event.request_s)
    output.status(f"looked at {event.backend} {event.precision}: {answer}")


@show.register
def _(event: events.LookingEnded) -> None:
    if event.reason:
        output.message(f"no look at the engines: {event.reason}")
    elif event.fastest:
        took, names = format_duration(event.seconds), ", ".join(event.fastest[:NAMED_LOOKS])
        several = f"{len(event.fastest)} engines and precisions in {took}, fastest first: {names}"
        output.message(f"looked at {several if len(event.fastest) > 1 else f'{names} in {took}'}")


@show.register
def _(event: events.PreparationBegan) -> None:
    price = "" if not event.about_s else f" (about {format_duration(event.about_s)})"
    output.status(f"preparing the model: {event.engine}{price}")


@show.register
def _(event: events.AssessmentBegan) -> None:
    output.status(f"comparing the answers of {event.engine} with the fp32 reference's")


@show.register
def _(event: events.SecondStageBegan) -> None:
    output.message(f"second stage, after {event.progress.finished} trials: knobs of the leading placements")


@show.register
def _(event: events.TrialBegan) -> None:
    position = _position(event.progress.finished + 1, event.progress)
    output.status(f"{position} {event.configuration} ... {_standing(event.progress)}")


@show.register
def _(event: events.TrialEnded) -> None:
    position, name = _position(event.progress.finished, event.progress), event.name and f"{event.name}: "
    line = f"{position} {name}{event.configuration}: {_trial_in_words(event)}"
    output.message(f"{line}; {_standing(event.progress)}")


@show.register
def _(event: events.SearchEnded) -> None:
    output.message(f"{event.reason}: {format_count(event.progress.finished, 'trial')}")


@show.register
def _(event: events.RoundBegan) -> None:
    output.status(f"confirming, round {event.number}: {', '.join(event.names)}")


@show.register
def _(event: events.RunEnded) -> None:
    where = f"[round {event.round}] {event.name}: {event.configuration}"
    output.message(f"{where}: {event.outcome.in_words}")


@show.register
def _(event: events.DoubtRaised) -> None:
    output.message(f"{event.doubt}: running three more rounds")


@show.register
def _(event: events.RateBegan) -> None:
    output.status(f"[{event.number}/{event.total}] {format_rate(event.rate_per_s)} ...")


@show.register
def _(event: events.RateEnded) -> None:
    output.message(f"[{event.number}/{event.total}] {format_rate(event.rate_per_s)}: {event.in_words}")


def _show_left_out(left_out: tuple[str, ...]) -> None:
    for reason in left_out:
        output.message(f"not searched: {reason}")


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
