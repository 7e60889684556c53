"""What may be said of a plan: as surely as the rounds have shown it, and no surer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from autotune.plan.costs import paid_cores
from autotune.units import format_count

if TYPE_CHECKING:
    from autotune.plan.document import Plan
    from autotune.plan.evidence import Default, Range, RunnerUp, Spent

SPENT: Final[Mapping[str, str]] = {
    "preparing_s": "preparing",
    "looking_s": "looking",
    "loading_s": "loading",
    "warming_s": "warming up",
    "measuring_s": "measuring",
    "waiting_s": "waiting",
}
"""The parts of `Spent`, and what people call them, in the order in which they are told."""

STANDINGS: Final[Mapping[str, str]] = {
    "tied": "tied",
    "likely": "likely worse",
    "worse": "worse",
    "failed": "failed",
}
"""How a finalist stands to the plan, in a table's words."""


def format_probability(probability: float) -> str:
    """A probability in whole per cent that never claims to be certain: `71 %`, `> 99 %`, `< 1 %`."""
    if probability > 0.99:
        return "> 99 %"
    return "< 1 %" if probability < 0.01 else f"{100 * probability:.0f} %"


def format_range(span: Range) -> str:
    """An interval of ratios: `2.71x to 3.12x`."""
    return f"{span.low:.2f}x to {span.high:.2f}x"


def verdict_sentence(plan: Plan) -> str:
    """How the plan stands to the baseline, and how sure that is, in plain sentences."""
    done = plan.confirmation
    if done.verdict == "unopposed":
        return f"There was no baseline to beat: {_why_unopposed(plan)}. Confirmed in {done.rounds} rounds."
    told = _VERDICTS["alone" if done.is_alone else done.verdict].format(rounds=done.rounds)
    if done.verdict not in ("likely", "tied"):
        return told
    sure = "" if done.probability is None else f" ({format_probability(done.probability)})"
    more = more_sentence(done.more_rounds)
    return " ".join(filter(None, (told.format(sure=sure), alone_sentence(plan), more)))


_VERDICTS = {
    "better": "It beats the baseline with 95 % confidence, in {rounds} rounds of fresh processes.",
    "likely": "It is likely to beat the baseline{{sure}}, after {rounds} rounds of fresh processes.",
    "tied": "It is probably the best, and not told apart from the baseline so far: after {rounds} rounds of "
    "fresh processes it may be better{{sure}} or not.",
    "baseline": "No finalist was surely enough better than the baseline in {rounds} rounds: "
    "the baseline is the plan.",
    "alone": "Nothing else was there to be compared with the baseline, which is therefore the plan: "
    "give the study more time (budget), and see in its list of trials whether any failed.",
    "unconfirmed": "Not confirmed: the figures are the search's own, which flatter the best of many. "
    "Run the same command again to confirm it.",
}


def is_alone_sure(span: Range | None) -> bool:
    """Whether the interval of a ratio excludes 1, as that of one comparison."""
    return span is not None and not span.low <= 1 <= span.high


def alone_sentence(plan: Plan) -> str:
    """Why the gain is not called shown though its interval says so; empty where that is no question."""
    if plan.confirmation.verdict not in ("likely", "tied") or not is_alone_sure(plan.gain_range):
        return ""
    return f"The interval is of this comparison alone; {SHARED}, and shown is what holds in all of them."


SHARED: Final = "all comparisons of the rounds share the 5 %"
"""Why an interval of 95 % that excludes 1 does not show a difference: the others could be wrong, too."""


def _why_unopposed(plan: Plan) -> str:
    return plan.no_gain or "it failed"


def gain_words(plan: Plan) -> str:
    """The gain over the baseline with its interval: `2.91x (95 %: 2.71x to 3.12x)`, or why there is none."""
    if plan.gain is None:
        return f"none: {plan.no_gain}" if plan.no_gain else "unknown"
    sure = f" (95 %: {format_range(plan.gain_range)})" if plan.gain_range else ""
    return f"{plan.gain:.2f}x{sure}"


def more_sentence(rounds: int | None) -> str:
    """How many more rounds it would take to tell the plan from the baseline."""
    if rounds is None:
        return "More rounds would hardly tell."
    return f"About {_rounds(rounds)} would tell (confirm.rounds)."


def _rounds(count: int) -> str:
    return f"{count} more round{'' if count == 1 else 's'}"


def default_words(plan: Plan) -> str:
    """The plan beside the best of what people start today; empty where the document does not know it.

    `1.24x the best default (95 %: 1.18x to 1.31x): 1 x default threads, unpinned, onnxruntime int8-dynamic`.
    Where some that may be better were not seen, it is the best of those that were, and they are named.
    """
    default = plan.confirmation.default
    if default is None:
        return ""
    unseen = f"; {_unseen_words(default)}" if default.unseen else ""
    the_best = "the best default that was measured" if default.unseen else "the best default"
    if default.said == "plan":
        alone = plan.confirmation.is_alone or plan.confirmation.verdict == "unconfirmed"
        which = "a default" if alone else the_best
        return f"it is {which} itself: an engine as its documentation starts it{unseen}"
    which = f"{default.configuration}{', the baseline' if default.is_baseline else ''}"
    if default.ratio is None:
        return f"none that meets the limits; the nearest {default.missed}: {which}{unseen}"
    beside = "; ".join(filter(None, (_interval(default), _doubt(plan, default))))
    return f"{default.ratio:.2f}x {the_best}{f' ({beside})' if beside else ''}: {which}{unseen}"


def _unseen_words(default: Default) -> str:
    """Which defaults may be better still, and how they would be seen."""
    names = dict.fromkeys(
        " ".join(filter(None, (one.backend, one.precision, one.model))) for one in default.unseen
    )
    return f"not measured, and may be better: {', '.join(names)} (more time would see them: budget.minutes)"


def _interval(default: Default) -> str:
    return "" if default.ratio_range is None else f"95 %: {format_range(default.ratio_range)}"


def _doubt(plan: Plan, default: Default) -> str:
    """What keeps the ratio from being shown; empty where it is."""
    if plan.confirmation.verdict == "unconfirmed":
        return "by the search's own figures"
    if default.said == "shown":
        return ""
    doubt = "likely better" if default.said == "likely" else "not told apart from it so far"
    sure = "" if default.probability is None else f", P(better) {format_probability(default.probability)}"
    alone = f", not shown as {SHARED}" if is_alone_sure(default.ratio_range) else ""
    more = "" if default.more_rounds is None else f", about {_rounds(default.more_rounds)} would tell"
    return f"{doubt}{sure}{alone}{more}"


def rival_sentences(plan: Plan) -> Iterator[str]:
    """The finalists that may be as good as the plan, and how likely that is."""
    for rival in plan.confirmation.rivals:
        if rival.ratio is not None and rival.standing in ("tied", "likely"):
            why = _why_not(plan, rival, rival.ratio)
            told = _likely(rival, rival.ratio) if rival.standing == "likely" else _tied(rival, rival.ratio)
            yield f"{told}{why}"


def _why_not(plan: Plan, rival: RunnerUp, ratio: float) -> str:
    """Why a finalist is not the plan though its estimate is higher; empty where it is not."""
    if ratio <= 1 or plan.confirmation.verdict == "baseline":
        return ""
    tie = plan.study.stated("confirm", "tie")
    if not isinstance(tie, int | float):
        return ""
    default = plan.confirmation.default
    is_default = default is not None and default.said == "plan"  # which needing less does not make a plan
    cores = paid_cores(plan)
    if cores is not None and rival.cores < cores:
        return (
            "; the plan was ahead before luck was taken off its figures, or is less likely to be worse than "
            "what people start today"
        )
    if ratio <= 1 + tie and not is_default:
        return (
            f"; within {100 * tie:g} % (confirm.tie) the plan is what needs fewer cores, knobs or less memory"
        )
    return "; the plan is less likely to be worse than what people start today"


def _tied(rival: RunnerUp, ratio: float) -> str:
    sure = "" if rival.probability is None else f"P(worse) {format_probability(rival.probability)}"
    more = "" if rival.more_rounds is None else f"about {_rounds(rival.more_rounds)} would tell"
    known = "; ".join(filter(None, (sure, more)))
    beside = f" ({known})" if known else ""
    return f"not told apart from it so far: {rival.configuration}, at {ratio:.3f}x{beside}"


def _likely(rival: RunnerUp, ratio: float) -> str:
    sure = "" if rival.probability is None else f" ({format_probability(rival.probability)})"
    more = "" if rival.more_rounds is None else f"; about {_rounds(rival.more_rounds)} would show it"
    return f"likely worse{sure}: {rival.configuration}, at {ratio:.3f}x{more}"


def spent_parts(spent: Spent) -> list[tuple[str, float]]:
    """Where the minutes went: what was done and for how many seconds, without what took none."""
    parts = [(word, float(getattr(spent, name))) for name, word in SPENT.items()]
    return [(word, seconds) for word, seconds in parts if seconds >= LEAST_S]


LEAST_S: Final = 0.5
"""What took less rounds to no second."""


def spent_words(plan: Plan) -> str:
    """Where the minutes went: `preparing 48 s, looking 12 s, ...`; empty where the document does not say."""
    spent = plan.confirmation.spent
    return (
        "" if spent is None else ", ".join(f"{word} {seconds:.0f} s" for word, seconds in spent_parts(spent))
    )


def unprepared_words(plan: Plan) -> str:
    """What was not tried, for preparing it would not have fitted, and in how many minutes it would."""
    missing = plan.confirmation.unprepared
    if not missing:
        return ""
    names = ", ".join(
        f"{' '.join(filter(None, (one.backend, one.precision, one.model)))} (about {one.seconds:.0f} s)"
        for one in missing
    )
    minutes = _budget_minutes(plan)
    if minutes is None:
        return names
    needed = math.ceil(minutes + sum(one.seconds for one in missing) / 60)
    them = "it" if len(missing) == 1 else "them"
    return f"{names}; a budget of about {format_count(needed, 'minute')} would hold {them} (budget.minutes)"


def _budget_minutes(plan: Plan) -> float | None:
    """What the study file allows, or what was spent where it does not say; None where nobody knows."""
    minutes = plan.study.stated("budget", "minutes")
    if isinstance(minutes, int | float):
        return float(minutes)
    spent = plan.confirmation.spent
    return None if spent is None else spent.total_s / 60
