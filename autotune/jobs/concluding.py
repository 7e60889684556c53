"""From trials and confirmation rounds to the plan, or to why there is none."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from autotune.errors import NoisyMachineError, NoPlanError, StudyError
from autotune.jobs.by_cores import by_cores
from autotune.jobs.references import confirmed_default, no_gain_in_rounds, out_of_rounds, searched_default
from autotune.jobs.spending import spent
from autotune.measurement.conditions import CORRECTED, COUNTED, quietness
from autotune.measurement.measurement import Failure, Measurement, TrialResult
from autotune.measurement.statistics import memory_bytes
from autotune.model.assessment import Assessment
from autotune.model.stream import StreamDescription
from autotune.objectives.catalogue import objective_of
from autotune.placement.placement import Command
from autotune.placement.smaller import cores_taken
from autotune.plan.document import Plan
from autotune.plan.evidence import Confirmation, Default, RunnerUp, Unprepared
from autotune.plan.make import Deployment, Gain, Measured, make_plan, range_of
from autotune.preflight.setup import Setup
from autotune.rounds.contradiction import REACH, Compared
from autotune.rounds.running import Entrant, Run, is_disturbed, measurements_of
from autotune.rounds.verdict import RivalVerdict, Role, Said, Verdict
from autotune.search.experience import Experience, in_words, is_corrected
from autotune.spec.configuration import Configuration
from autotune.spec.study import StudySpec
from autotune.statistics.paired import CONFIDENCE, Interval
from autotune.store.ranking import why_no_gain
from autotune.store.records import TrialRecord


@dataclass(frozen=True)
class Searched:
    """What there is to say of a search beside its trials.

    Attributes:
        looking_s: spent on looks at engines.
        unprepared: what was promising, and would not have fitted into the time.
        waited_s: for others, before looks and trials.
        owed: defaults that were not seen, and may be the best of them.
    """

    looking_s: float = 0.0
    unprepared: tuple[Unprepared, ...] = ()
    waited_s: float = 0.0
    owed: tuple[Configuration, ...] = ()


NOTHING_SEARCHED = Searched()


@dataclass(frozen=True)
class Confirmed:
    """What a contest has decided, and of whom."""

    verdict: Verdict
    entrants: Sequence[Entrant]
    runs: Sequence[Run]

    @property
    def winner(self) -> Entrant:
        """Who is to be deployed."""
        return next(entrant for entrant in self.entrants if entrant.name == self.verdict.winner)

    @property
    def baseline(self) -> Measured | None:
        """What the baseline has shown; None where it did not run, or nothing was measured of it."""
        entrant = next((entrant for entrant in self.entrants if entrant.role == "baseline"), None)
        measured = None if entrant is None else _measured(entrant, self.runs)
        return measured if measured is not None and measured.runs else None

    def without(self, out: Collection[Role]) -> Confirmed:
        """The same, where what is out has no ratio to the winner."""
        verdict = replace(
            self.verdict,
            baseline=None if "baseline" in out else self.verdict.baseline,
            default=None if "default" in out else self.verdict.default,
        )
        return replace(self, verdict=verdict)


def conclude(
    confirmed: Confirmed,
    *,
    setup: Setup,
    records: Sequence[TrialRecord],
    quality: Assessment | None = None,
    requests: StreamDescription | None = None,
    known: Experience | None = None,
    search: Searched = NOTHING_SEARCHED,
    compared: Sequence[Compared] = (),
) -> Plan:
    """Make the plan of a confirmation's winner: every figure in it is of the confirmation's runs.

    Args:
        compared: search and rounds of the entrants.
        known: what the study has learned of the host.
        search: what there is to say of the search, beside its trials.
        quality: of the winner's answers; None = not known.
        requests: what its instances were given; None where they are of one length.
    """
    winner, objective = confirmed.winner, objective_of(setup.spec)
    out = out_of_rounds(confirmed.verdict, confirmed.entrants, confirmed.runs, setup.spec)
    confirmed = confirmed.without(out)
    verdict, entrants, runs = confirmed.verdict, confirmed.entrants, confirmed.runs
    baseline, goodness = confirmed.baseline, verdict.baseline_estimate
    if baseline is not None:
        baseline = replace(baseline, value=None if goodness is None else objective.interval(goodness))
    measured = replace(_measured(winner, runs), value=objective.interval(verdict.estimate))
    default = confirmed_default(verdict, out, entrants, runs, setup, records)
    return make_plan(
        spec=setup.found.stored,
        machine=setup.machine,
        winner=_deployment(setup, measured, winner.commands, quality, requests),
        baseline=baseline,
        gain=Gain(verdict.gain, no_gain_in_rounds(verdict, out, entrants)),
        confirmation=_confirmation(confirmed, setup, records, known, search, default),
        files=setup.found.files,
        warnings=(*_search_warnings(records), *_slowed(compared)),
    )


def unconfirmed(
    setup: Setup,
    winner: TrialRecord,
    baseline: TrialRecord | None,
    commands: Sequence[Command],
    records: Sequence[TrialRecord],
    quality: Assessment | None = None,
    requests: StreamDescription | None = None,
    search: Searched = NOTHING_SEARCHED,
) -> Plan:
    """Make the plan of a search that was stopped before its confirmation; it says so."""
    return make_plan(
        spec=setup.found.stored,
        machine=setup.machine,
        winner=_deployment(setup, _of_search(winner), commands, quality, requests),
        baseline=None if baseline is None else _of_search(baseline),
        gain=Gain(missing="" if baseline is None else why_no_gain(baseline, winner, setup.spec)),
        confirmation=Confirmation(
            verdict="unconfirmed",
            search_value=winner.score,
            default=_without(search.owed, searched_default(setup, winner, records)),
            spent=spent(records, looking_s=search.looking_s, waited_s=search.waited_s),
            unprepared=search.unprepared,
            by_cores=by_cores(setup, records),
            **conditions_of([record.result for record in records], setup.spec),
        ),
        files=setup.found.files,
        warnings=tuple(_search_warnings(records)),
    )


def nothing_confirmed(spec: StudySpec, runs: Sequence[Run]) -> StudyError:
    """Why a confirmation gave no plan."""
    failures = [run for run in runs if isinstance(run.result, Failure)]
    if failures and all(is_disturbed(run.result) for run in failures) and len(failures) == len(runs):
        return too_noisy(spec, [run.result for run in runs])
    words = {f"{run.entrant.name}: {_words(run.result)}" for run in failures}
    detail = f": {'; '.join(sorted(words))}" if words else ": each misses a limit with 95 % confidence"
    return NoPlanError(
        f"study {spec.name!r}: none of the finalists was confirmed{detail}",
        remedy="run the same command again with more trials, relax the limits, or see `autotune plans`",
    )


def is_baseline_unseen(runs: Sequence[Run]) -> bool:
    """Whether the host disturbed every run of the baseline, so that nobody knows what there is to beat."""
    own = [run.result for run in runs if run.entrant.role == "baseline"]
    return bool(own) and all(is_disturbed(result) for result in own)


def too_noisy(spec: StudySpec, results: Sequence[TrialResult]) -> NoisyMachineError:
    """The machine was too noisy for a plan: how often, and what disturbed it last."""
    disturbed = [result for result in results if isinstance(result, Failure) and is_disturbed(result)]
    last = f", the last one because {disturbed[-1].reason}" if disturbed else ""
    return NoisyMachineError(
        f"study {spec.name!r}: the machine was too noisy: {len(disturbed)} of {len(results)} trials could not"
        f" be measured undisturbed{last}",
        remedy="end what else runs here, or give the study cpus of its own (a cpuset, a dedicated host); "
        "the same command goes on with what it has",
    )


def _measured(entrant: Entrant, runs: Sequence[Run]) -> Measured:
    return Measured(entrant.configuration, entrant.trial, measurements_of(entrant, runs))


def _of_search(record: TrialRecord) -> Measured:
    """A trial with its score, which is of usual conditions, as its figure; without an interval."""
    runs = () if isinstance(record.result, Failure) else (record.result,)
    value = None if record.score is None else Interval(record.score, 0.0, math.inf, CONFIDENCE, 1)
    return Measured(record.configuration, record.number, runs, value)


def _deployment(
    setup: Setup,
    measured: Measured,
    commands: Sequence[Command],
    quality: Assessment | None,
    requests: StreamDescription | None,
) -> Deployment:
    versions, model = setup.versions_of(measured.configuration), setup.variant(measured.configuration).model
    return Deployment(measured, commands, versions, model, quality, requests)


def _confirmation(
    confirmed: Confirmed,
    setup: Setup,
    records: Sequence[TrialRecord],
    known: Experience | None,
    search: Searched,
    default: Default | None,
) -> Confirmation:
    verdict, winner, runs = confirmed.verdict, confirmed.winner, confirmed.runs
    by_name = {entrant.name: entrant for entrant in confirmed.entrants}
    search_value = next((record.score for record in records if record.number == winner.trial), None)
    return Confirmation(
        verdict=_word(verdict, winner),
        probability=None if verdict.baseline is None else verdict.baseline.probability,
        more_rounds=None if verdict.baseline is None else verdict.baseline.more_rounds,
        default=_without(search.owed, default),
        spent=spent(records, runs, looking_s=search.looking_s, waited_s=search.waited_s),
        unprepared=search.unprepared,
        correction="" if known is None else in_words(known),
        rounds=verdict.rounds,
        search_value=search_value,
        optimism=_optimism(setup.spec, search_value, verdict.estimate.estimate),
        twin_ratio=None if verdict.twin is None else verdict.twin.estimate,
        twin_range=range_of(verdict.twin),
        spread=verdict.spread,
        rivals=tuple(_rival(rival, by_name[rival.name], runs, setup) for rival in verdict.rivals),
        by_cores=by_cores(setup, records, confirmed.entrants, runs),
        **conditions_of([*(record.result for record in records), *(run.result for run in runs)], setup.spec),
    )


def _without(owed: tuple[Configuration, ...], default: Default | None) -> Default | None:
    """The best default, with those that it is the best without."""
    return None if default is None else default.model_copy(update={"unseen": owed})


def _word(verdict: Verdict, winner: Entrant) -> Literal["better", "likely", "tied", "baseline", "unopposed"]:
    if winner.role == "baseline":
        return "baseline"
    if verdict.baseline is None:
        return "unopposed"
    words: Mapping[Said, Literal["better", "likely", "tied"]] = {
        "shown": "better",
        "likely": "likely",
        "untold": "tied",
    }
    return words[verdict.baseline.said]


def _optimism(spec: StudySpec, search_value: float | None, confirmed: float) -> float | None:
    return None if search_value is None else objective_of(spec).goodness(search_value) / confirmed - 1


def _rival(rival: RivalVerdict, entrant: Entrant, runs: Sequence[Run], setup: Setup) -> RunnerUp:
    own = _measured(entrant, runs).runs
    return RunnerUp(
        configuration=entrant.configuration,
        trial=entrant.trial,
        standing=rival.standing,
        ratio=None if rival.ratio is None else rival.ratio.estimate,
        ratio_range=range_of(rival.ratio),
        cores=cores_taken(entrant.configuration, entrant.commands, setup.machine),
        memory_bytes=max((memory_bytes(run) for run in own), default=0),
        reason=rival.reason,
        probability=rival.probability,
        more_rounds=rival.more_rounds,
    )


def conditions_of(results: Sequence[TrialResult], spec: StudySpec) -> dict[str, Any]:
    """How many blocks there were, how many do not count, and what that says of the machine."""
    measured = [result for result in results if isinstance(result, Measurement)]
    kept = [block.conditions for one in measured for block in one.blocks if block.conditions]
    dropped = [block.conditions for one in measured for block in one.dropped]
    return {
        "blocks": sum(len(one.blocks) for one in measured),
        "dropped_blocks": len(dropped),
        "quietness": quietness(kept, dropped, CORRECTED if is_corrected(spec) else COUNTED),
    }


def _search_warnings(records: Sequence[TrialRecord]) -> Iterator[str]:
    baselines = [record.result for record in records if record.baseline]
    if baselines and all(isinstance(result, Failure) for result in baselines):
        yield f"The baseline failed ({_words(baselines[-1])}), so there is no gain to report."
    disturbed = [record for record in records if is_disturbed(record.result)]
    measured = {record.configuration for record in records if record.score is not None}
    missing = {record.configuration for record in disturbed} - measured
    if missing:
        names = "; ".join(sorted(map(str, missing)))
        count = "1 configuration" if len(missing) == 1 else f"{len(missing)} configurations"
        yield f"{count} could not be measured undisturbed: {names}."


def _slowed(compared: Sequence[Compared]) -> Iterator[str]:
    """That all entrants alike were slower in the rounds than in the search."""
    shares = [one.now / one.before for one in compared]
    if shares and (usual := statistics.median(shares)) * REACH < 1:
        yield (
            f"Every entrant alike was slower in the rounds than in the search, at about {usual:.2f} of its "
            "speed, as something came to this machine: ratios stand, and the plan's own figures are of that."
        )


def _words(result: TrialResult) -> str:
    return f"{result.kind}: {result.reason}" if isinstance(result, Failure) else "measured"
