"""What the command line says of knobs: what a study would turn, and what there is on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from autotune.jobs.outlook import Outlook
from autotune.search.knobs import KnobStatus, reasons_in_words
from autotune.search.second_stage import LEADERS

KNOB_COLUMNS = ("knob", "values here", "engines", "what it sets")


def knob_lines(ahead: Outlook) -> Iterator[str]:
    """Say what the second stage would turn: engines with the same knobs share a line."""
    if ahead.why_no_knobs:
        yield f"second stage: none ({ahead.why_no_knobs})"
        return
    alike: dict[str, list[str]] = {}
    for engine, choices in ahead.knobs.items():
        words = "; ".join(f"{name} {', '.join(values)}" for name, values in choices.items())
        alike.setdefault(words, []).append(engine)
    yield f"second stage: knobs of the {LEADERS} leading placements, one at a time and then together"
    for words, engines in alike.items():
        yield f"knobs of {', '.join(engines)}: {words}"


def knob_row(status: KnobStatus) -> tuple[str, ...]:
    """Give a row of `KNOB_COLUMNS`."""
    return status.name, ", ".join(status.values), ", ".join(status.engines) or "none", status.what


def knob_refusals(statuses: Sequence[KnobStatus]) -> Iterator[str]:
    """Give a sentence for every reason why values cannot be had, with the command that helps."""
    reasons = {status.name: status.refused for status in statuses}
    return (f"not here: {sentence}" for sentence in reasons_in_words(reasons))
