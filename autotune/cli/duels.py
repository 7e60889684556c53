"""What `verify` and `compare` have in common: figures in words."""

from __future__ import annotations

from autotune.objectives.catalogue import objective_of
from autotune.plan.evidence import Range
from autotune.plan.make import range_of
from autotune.spec.study import StudySpec
from autotune.statistics.paired import Interval

UNMEASURED = "not measured"


def ratio_words(estimate: float, span: Range | None) -> str:
    """A ratio with its interval: `1.234x (95 %: 1.201x to 1.268x)`."""
    sure = "" if span is None else f" (95 %: {span.low:.3f}x to {span.high:.3f}x)"
    return f"{estimate:.3f}x{sure}"


def ratio_now(ratio: Interval | None) -> str:
    """The same of what was measured; a single round has no interval."""
    return UNMEASURED if ratio is None else ratio_words(ratio.estimate, range_of(ratio))


def value_words(spec: StudySpec, estimate: float, span: Range | None) -> str:
    """An objective's value in its unit with its interval."""
    objective = objective_of(spec)
    shown = objective.format(estimate)
    if span is None:
        return shown
    low, high = (objective.format(end) for end in (span.low, span.high))
    return f"{shown} (95 %: {low.split()[0]} to {high})"


def value_now(spec: StudySpec, goodness: Interval | None) -> str:
    """The same of a goodness that was measured."""
    if goodness is None:
        return UNMEASURED
    value = objective_of(spec).interval(goodness)
    return value_words(spec, value.estimate, range_of(value))
