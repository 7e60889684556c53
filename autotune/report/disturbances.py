"""What the host did while the study ran: each block that was kept or dropped, in the order of the runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from autotune.measurement.conditions import disturbance, in_hindsight, usual_probe_s, what_disturbed
from autotune.measurement.measurement import Conditions, Measurement
from autotune.report.dossier import Dossier, mapping, measured
from autotune.report.outcome import outcome
from autotune.spec.scenario import USUAL, traits_of
from autotune.store.records import ConfirmationRecord, TrialRecord

BlockFate = Literal["kept", "kept-disturbed", "dropped"]
"""What became of a block: it counts; it was disturbed and counts, corrected or not, as the study asked; it
does not count, for a hard fact or because the study asked for that."""


@dataclass(frozen=True)
class Watched:
    """One launch of the study.

    Attributes:
        name: `trial 7`, or `round 2, baseline`.
        blocks: the conditions of each and its fate, those that count first; None where nobody looked.
        reasons: what disturbed each of those that were not simply kept, and its fate.
        is_disturbed: whether it gave no measurement for that.
    """

    name: str
    blocks: tuple[tuple[Conditions | None, BlockFate], ...]
    reasons: tuple[tuple[BlockFate, str], ...]
    is_disturbed: bool

    def count(self, fate: BlockFate) -> int:
        """How many of its blocks had this fate."""
        return sum(one == fate for _, one in self.blocks)


@dataclass(frozen=True)
class Sign:
    """One of the conditions, as a number that is drawn.

    Attributes:
        name: its axis, with the unit.
        quiet: what it is on a machine that does nothing else.
    """

    name: str
    value: Callable[[Conditions], float | None]
    quiet: float


SIGNS: Final[Mapping[str, Sign]] = {
    "speed": Sign("speed against\nthe usual", lambda one: one.speed, 1.0),
    "others": Sign("cpus taken\nby others", lambda one: one.others_cpus, 0.0),
    "steal": Sign("share taken by\nthe hypervisor", lambda one: one.steal, 0.0),
    "waited": Sign("share of time\nwaited for a cpu", lambda one: one.waited, 0.0),
    "throttled": Sign("throttled by\nthe quota, s", lambda one: one.throttled_s, 0.0),
    "memory": Sign("memory\npressure", lambda one: one.memory_pressure, 0.0),
}
"""What is drawn of the conditions, by a short name."""


def watched_runs(dossier: Dossier) -> tuple[Watched, ...]:
    """Every trial and every run of the confirmation, in the order in which they were started."""
    records: list[TrialRecord | ConfirmationRecord] = [*dossier.trials, *dossier.runs]
    records.sort(key=lambda record: record.started_s)
    results = [measured(record.result) or _NOTHING for record in records]
    usual_s = usual_probe_s(block.conditions for one in results for block in one.blocks if block.conditions)
    return tuple(
        Watched(
            name=_name(record, dossier),
            blocks=tuple(_blocks(result, usual_s)),
            reasons=tuple(_reasons(result, usual_s)),
            is_disturbed=outcome(record) == "disturbed",
        )
        for record, result in zip(records, results, strict=True)
    )


def visible_signs(runs: tuple[Watched, ...]) -> tuple[str, ...]:
    """The signs that were readable and ever differed from those of a quiet machine."""
    seen = [one for run in runs for one, _ in run.blocks if one is not None]
    return tuple(name for name, sign in SIGNS.items() if any(_differs(sign, one) for one in seen))


def reasons(runs: tuple[Watched, ...]) -> list[tuple[str, BlockFate, str, int]]:
    """For each disturbed run, in order: its name, the blocks' fate, what disturbed them, and how many."""
    return [
        (run.name, fate, reason, count)
        for run in runs
        for (fate, reason), count in Counter(run.reasons).items()
    ]


def fates_in_words(dossier: Dossier) -> Mapping[BlockFate, str]:
    """What became of blocks, by what the study asks for disturbed ones."""
    treatment = mapping(dossier.spec.get("measure")).get("disturbed")
    is_corrected = treatment == "correct" and not traits_of(dossier.plan.scenario).is_one_run
    return {
        "kept": "counted",
        "kept-disturbed": f"disturbed, {'corrected' if is_corrected else 'counted all the same'}",
        "dropped": _DROPPED.get(str(treatment), "not counted"),
    }


_DROPPED: Final[Mapping[str, str]] = {
    "correct": "not counted: quota, heat or a lost cpu",
    "keep": "not counted: quota, heat or a lost cpu",
    "drop": "disturbed, not counted",
    "again": "disturbed, measured again",
}
"""By the study file's word; `again` is that of older ones."""


def _name(record: TrialRecord | ConfirmationRecord, dossier: Dossier) -> str:
    if isinstance(record, ConfirmationRecord):
        return f"round {record.round}, {dossier.contender(record)}"
    return f"trial {record.number}"


def _blocks(measurement: Measurement, usual_s: float | None) -> Iterator[tuple[Conditions | None, BlockFate]]:
    for block in measurement.blocks:
        conditions = None if block.conditions is None else in_hindsight(block.conditions, usual_s)
        is_disturbed = conditions is not None and disturbance(conditions)
        yield conditions, "kept-disturbed" if is_disturbed else "kept"
    for dropped in measurement.dropped:
        yield in_hindsight(dropped.conditions, usual_s), "dropped"


def _reasons(measurement: Measurement, usual_s: float | None) -> Iterator[tuple[BlockFate, str]]:
    for dropped in measurement.dropped:
        yield "dropped", dropped.reason
    blocks = _blocks(measurement, usual_s)
    disturbed = [one for one, fate in blocks if one is not None and fate == "kept-disturbed"]
    for _ in disturbed:
        yield "kept-disturbed", what_disturbed(disturbed)


def _differs(sign: Sign, conditions: Conditions) -> bool:
    value = sign.value(conditions)
    return value is not None and value != sign.quiet


_NOTHING = Measurement(USUAL, (), (), "none", 0.0, 0.0, 0.0)
"""What a failure has measured."""
