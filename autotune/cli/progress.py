"""What commands show on stderr of a job that runs: lines between trials, nothing while workers measure."""

from __future__ import annotations

from autotune import events
from autotune.cli import output
from autotune.event_lines import lines_of
from autotune.events import Event


def show(event: Event) -> None:
    """Print a line for what has ended; on a terminal, show what is about to begin as a status line."""
    for line in lines_of(event):
        if line.is_passing:
            output.status(line.text)
        else:
            output.message(line.text)


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
