"""Where a job stands, in the words that its command's own progress has."""

from __future__ import annotations

from collections.abc import Iterable

from autotune.event_lines import lines_of
from autotune.events import from_json
from autotune.store.job_records import ToldEvent

READ_EVENTS = 8
"""So many of the last events are read: most of them say something."""


def standing_lines(told: Iterable[ToldEvent]) -> list[str]:
    """Give the last line of what has ended, and of what goes on since then; pass over what cannot be read."""
    ended, goes_on = "", ""
    for each in told:
        try:
            lines = tuple(lines_of(from_json(each.event)))
        except (ValueError, TypeError):  # of a later version
            continue
        for line in lines:
            if line.is_passing:
                goes_on = line.text
            else:
                ended, goes_on = line.text, ""
    return [line for line in (ended, goes_on) if line]
