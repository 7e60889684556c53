"""The verdict on a plan in plain words: by how much it is better, and how surely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from autotune.objectives.catalogue import objective_named
from autotune.plan.claims import alone_sentence, default_words, format_probability, more_sentence
from autotune.plan.describe import format_estimate
from autotune.plan.document import Plan
from autotune.plan.evidence import Estimate, RunnerUp

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
    tone, text, why = _head(plan)
    if plan.confirmation.verdict == "unconfirmed":
        return Headline(tone, text, _joined(why, _beside_default(plan)))
    return Headline(tone, text, _joined(why, _reached(plan), _beside_default(plan), _rounds(plan)))


def _head(plan: Plan) -> tuple[Tone, str, str]:
    """The tone, the sentence, and what is to be said first of it."""
    verdict = plan.confirmation.verdict
    if verdict == "better":
        return "good", f"The plan {_surpasses(plan)}.{_interval(plan)}", ""
    if verdict == "likely":
        sure = _in_parentheses(plan.confirmation.probability)
        text = f"It is likely that the plan {_surpasses(plan)}{sure}: not yet shown."
        more = more_sentence(plan.confirmation.more_rounds)
        return "neutral", text, _joined(_interval(plan), alone_sentence(plan), more)
    if verdict == "tied":
        sure = _in_parentheses(plan.confirmation.probability, "it is better with ")
        text = f"The plan is probably the best, and not told apart from the baseline so far{sure}."
        return (
            "neutral",
            text,
            _joined(
                f"In these rounds, it {_surpasses(plan)}.",
                _interval(plan),
                alone_sentence(plan),
                more_sentence(plan.confirmation.more_rounds),
            ),
        )
    if verdict == "baseline":
        alone = "Nothing else was there to be compared with the baseline"
        why = (
            alone if plan.confirmation.is_alone else "No finalist was surely enough better than the baseline"
        )
        return "neutral", f"{why}: the out-of-box configuration is the plan.", ""
    if verdict == "unopposed":
        text = f"The plan reaches {_value(plan, plan.estimate)}; there is no baseline to compare it with."
        return "neutral", text, _no_gain(plan) or "The out-of-box configuration failed."
    return "caution", _unconfirmed(plan), _UNCONFIRMED


def _no_gain(plan: Plan) -> str:
    """Why there is no gain, as a sentence; empty where there is one, or nobody knows."""
    return f"{plan.no_gain[:1].upper()}{plan.no_gain[1:]}." if plan.no_gain else ""


def _joined(*sentences: str) -> str:
    return " ".join(sentence.strip() for sentence in sentences if sentence)


def _in_parentheses(probability: float | None, before: str = "") -> str:
    return "" if probability is None else f" ({before}{format_probability(probability)})"


def _beside_default(plan: Plan) -> str:
    """The plan beside the best of what people start today; empty where that is not known."""
    words = default_words(plan)
    return f"Beside what people start today: {words}." if words else ""


def ties(plan: Plan) -> tuple[RunnerUp, ...]:
    """The finalists that were not told apart from the plan."""
    return tuple(rival for rival in plan.confirmation.rivals if rival.standing == "tied")


def tie_sentence(plan: Plan) -> str:
    """Which finalists may be as good as the plan, and why they are not the plan.

    Empty without any, and where the baseline is the plan: none was surely enough better than that.
    """
    if plan.confirmation.verdict == "baseline":
        return ""
    return _joined(_tied(ties(plan)), _likely(plan))


def _tied(rivals: Sequence[RunnerUp]) -> str:
    names = _trials(rivals)
    if not names:
        return ""
    return (
        f"{names} not told apart from the plan so far. Of those whose estimates lie within the indifference "
        "zone (confirm.tie) of the best, the plan is the one with fewer cores, then fewer knobs, then less "
        "memory, then fewer instances."
    )


def _likely(plan: Plan) -> str:
    """Which finalists are likely to be worse."""
    likely = [rival for rival in plan.confirmation.rivals if rival.standing == "likely"]
    names = _trials(likely)
    if not names:
        return ""
    odds = ", ".join(
        format_probability(rival.probability) for rival in likely if rival.probability is not None
    )
    return f"{names} likely worse{f' ({odds})' if odds else ''}."


def _trials(rivals: Sequence[RunnerUp]) -> str:
    """`Trial 3 is`, `Trials 3, 5 and 7 are`; empty without any."""
    numbers = [str(rival.trial) for rival in rivals]
    if len(numbers) > 1:
        return f"Trials {', '.join(numbers[:-1])} and {numbers[-1]} are"
    return f"Trial {numbers[0]} is" if numbers else ""


_UNCONFIRMED = (
    "The study was stopped before its confirmation: these are the figures of the search itself, which "
    "flatter the best of many. Run the same command again to confirm the plan."
)


def _interval(plan: Plan) -> str:
    """How sure the gain is; empty where that is not known."""
    if plan.gain_range is None:
        return ""
    low, high = plan.gain_range.low, plan.gain_range.high
    return f" With 95 % confidence it is between {_factor(low)} and {_factor(high)} times."


def _surpasses(plan: Plan) -> str:
    """What the gain is of."""
    return objective_named(plan.objective).surpasses(_factor(plan.gain or 1.0))


def _factor(gain: float) -> str:
    """Three significant digits, without exponents."""
    return f"{gain:.{max(0, 3 - len(str(int(gain))))}f}"


def _unconfirmed(plan: Plan) -> str:
    if plan.configuration.placement == "unpinned" and plan.gain in (None, 1):
        return "Not confirmed: the search measured nothing better than the out-of-box configuration."
    if plan.gain is None:
        searched = f"Not confirmed: the search measured {_value(plan, plan.estimate)}"
        return f"{searched}. {_no_gain(plan)}" if plan.no_gain else f"{searched}, and has no baseline."
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
    return f"{objective_named(plan.objective).prefix} {value}".lstrip()
