"""The verdict on a plan in plain words: by how much it is better, and how surely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from autotune.plan.describe import format_estimate
from autotune.plan.document import Plan
from autotune.plan.evidence import Estimate, Rival

Tone = Literal["good", "neutral", "caution"]


@dataclass(frozen=True)
class Headline:
    """What stands at the head of a report.

    Attributes:
        text: one sentence.
        detail: what it rests on, in one or two sentences.
    """

    tone: Tone
    text: str
    detail: str


def headline(plan: Plan) -> Headline:
    """The verdict of the plan's confirmation, with its figures."""
    verdict = plan.confirmation.verdict
    if verdict == "better":
        return Headline("good", _better(plan), f"{_reached(plan)} {_rounds(plan)}")
    if verdict == "baseline":
        alone = "Nothing else was there to be compared with the baseline"
        why = alone if plan.confirmation.is_alone else "Nothing was shown to beat the baseline"
        text = f"{why}: the out-of-box configuration is the plan."
        return Headline("neutral", text, f"{_reached(plan)} {_rounds(plan)}")
    if verdict == "unopposed":
        text = f"The plan reaches {_value(plan, plan.estimate)}; there is no baseline to compare it with."
        why = "The out-of-box configuration failed, or misses a limit."
        return Headline("neutral", text, f"{why} {_reached(plan)} {_rounds(plan)}")
    return Headline("caution", _unconfirmed(plan), _UNCONFIRMED)


def ties(plan: Plan) -> tuple[Rival, ...]:
    """The finalists that cannot be told from the plan."""
    return tuple(rival for rival in plan.confirmation.rivals if rival.standing == "tied")


def tie_sentence(plan: Plan) -> str:
    """Which finalists are as good as the plan, and why they are not the plan.

    Empty without any, and where the baseline is the plan: it is so because none was shown to beat it.
    """
    numbers = [str(rival.trial) for rival in ties(plan)]
    if not numbers or plan.confirmation.verdict == "baseline":
        return ""
    names = f"Trial {numbers[0]} is"
    if len(numbers) > 1:
        names = f"Trials {', '.join(numbers[:-1])} and {numbers[-1]} are"
    return (
        f"{names} not distinguishable from the plan. Of those whose estimates lie within the indifference "
        "zone (confirm.tie) of the best, the plan is the one with fewer cores, then fewer knobs, then less "
        "memory, then fewer instances."
    )


_UNCONFIRMED = (
    "The study was stopped before its confirmation: these are the figures of the search itself, which "
    "flatter the best of many. Run the same command again to confirm the plan."
)


def _better(plan: Plan) -> str:
    sure = ""
    if plan.gain_range is not None:
        low, high = plan.gain_range.low, plan.gain_range.high
        sure = f" With 95 % confidence it is between {_factor(low)} and {_factor(high)} times."
    return f"The plan {_surpasses(plan)}.{sure}"


def _surpasses(plan: Plan) -> str:
    """What the gain is of."""
    gain = _factor(plan.gain or 1.0)
    if plan.objective == "throughput":
        return f"serves {gain} times as much as the baseline"
    return f"answers {gain} times as fast as the baseline ({_percentile(plan)} latency)"


def _factor(gain: float) -> str:
    """Three significant digits, without exponents."""
    return f"{gain:.{max(0, 3 - len(str(int(gain))))}f}"


def _unconfirmed(plan: Plan) -> str:
    if plan.configuration.placement == "unpinned":
        return "Not confirmed: the search measured nothing better than the out-of-box configuration."
    if plan.gain is None:
        return f"Not confirmed: the search measured {_value(plan, plan.estimate)}, and has no baseline."
    return f"Not confirmed: by the search's own figures, the plan {_surpasses(plan)}."


def _reached(plan: Plan) -> str:
    before = (
        ""
        if plan.baseline is None or plan.confirmation.verdict == "baseline"
        else (f", the baseline {_value(plan, plan.baseline)}")
    )
    return f"It reached {_value(plan, plan.estimate)}{before}."


def _rounds(plan: Plan) -> str:
    rounds = plan.confirmation.rounds
    return f"Measured in {rounds} interleaved rounds of fresh processes." if rounds else ""


def _value(plan: Plan, estimate: Estimate) -> str:
    value = format_estimate(plan.objective, estimate)
    return value if plan.objective == "throughput" else f"{_percentile(plan)} {value}"


def _percentile(plan: Plan) -> str:
    return plan.objective.removeprefix("latency_")
