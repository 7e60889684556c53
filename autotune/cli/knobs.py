"""What the command line says of knobs: what a study would turn, and what there is on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from autotune.search.knobs import KnobSpace, KnobStatus, reasons_in_words
from autotune.search.second_stage import LEADERS, second_stage
from autotune.spec.study import StudySpec

KNOB_COLUMNS = ("knob", "values here", "engines", "what it sets")


def knob_choices(spec: StudySpec, space: KnobSpace) -> dict[str, dict[str, list[str]]]:
    """By engine and precision, the knobs that the second stage turns and their values; empty without one."""
    if second_stage(spec, space) is None:
        return {}
    return {
        f"{backend} {precision}": {name: list(values) for name, values in choices.items()}
        for (backend, precision), choices in space.choices.items()
        if choices
    }


def knob_lines(spec: StudySpec, space: KnobSpace) -> Iterator[str]:
    """The second stage for people: engines with the same knobs share a line."""
    if second_stage(spec, space) is None:
        yield f"second stage: none ({_why_none(spec, space)})"
        return
    alike: dict[str, list[str]] = {}
    for engine, choices in knob_choices(spec, space).items():
        words = "; ".join(f"{name} {', '.join(values)}" for name, values in choices.items())
        alike.setdefault(words, []).append(engine)
    yield f"second stage: knobs of the {LEADERS} leading placements, one at a time and then together"
    for words, engines in alike.items():
        yield f"knobs of {', '.join(engines)}: {words}"


def knob_row(one: KnobStatus) -> tuple[str, ...]:
    """A row of `KNOB_COLUMNS`."""
    return one.name, ", ".join(one.values), ", ".join(one.engines) or "none", one.what


def knob_refusals(statuses: Sequence[KnobStatus]) -> Iterator[str]:
    """A sentence for every reason why values cannot be had, with the command that helps."""
    reasons = {one.name: one.refused for one in statuses}
    return (f"not here: {sentence}" for sentence in reasons_in_words(reasons))


def _why_none(spec: StudySpec, space: KnobSpace) -> str:
    if spec.search.knobs == "none":
        return "the study says so"
    if not any(space.choices.values()):
        return "no knob can be turned here"
    return "the budget is too small for one; list knobs in search.knobs to have one all the same"
