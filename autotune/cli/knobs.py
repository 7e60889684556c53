"""What the command line says of the knobs that there are on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from autotune.search.knobs import KnobStatus, reasons_in_words

KNOB_COLUMNS = ("knob", "values here", "engines", "what it sets")


def knob_row(status: KnobStatus) -> tuple[str, ...]:
    """Give a row of `KNOB_COLUMNS`."""
    return status.name, ", ".join(status.values), ", ".join(status.engines) or "none", status.what


def knob_refusals(statuses: Sequence[KnobStatus]) -> Iterator[str]:
    """Give a sentence for every reason why values cannot be had, with the command that helps."""
    reasons = {status.name: status.refused for status in statuses}
    return (f"not here: {sentence}" for sentence in reasons_in_words(reasons))
