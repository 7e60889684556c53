"""The search: fills idle hosts with trials, and takes what is finished, within the budget."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from autotune.bench.crew import Crew, Finished
from autotune.bench.host import Host
from autotune.events import (
    Progress,
    RoomWeighed,
    SearchEnded,
    SecondStageBegan,
    TrialBegan,
)
from autotune.jobs.beginning import answer_of
from autotune.jobs.call import StudyCall
from autotune.jobs.concluding import Searched
from autotune.jobs.finalists import choose_finalists
from autotune.jobs.foresight import Foresight
from autotune.jobs.progress import progress_of, trial_ended
from autotune.measurement.measurement import Failure, Measurement, TrialResult
from autotune.plan.evidence import Unprepared
from autotune.rounds.looks import MIN_ROUNDS
from autotune.rounds.running import ATTEMPTS
from autotune.search.crowding import Crowding
from autotune.search.estimate import estimated_trials, needed_rounds, search_s
from autotune.search.experience import Experience, experience, run_blocks
from autotune.search.sampler import NothingLeftError
from autotune.search.score import needed_percentile, violations
from autotune.search.second_stage import SHARE
from autotune.search.study import Proposal, SearchStudy
from autotune.spec.configuration import Configuration, Prepared
from autotune.spec.scenario import traits_of
from autotune.spec.study import StudySpec
from autotune.store.ranking import best
from autotune.store.records import TrialRecord
from autotune.trial.stopping import Rival
from autotune.units import format_count

TRIAL_SHARE, LONG_TRIAL_SHARE = 0.02, 0.1
"""Longest measuring time of one trial of the search, as a share of the budget's minutes; the second where
many requests are needed: for a percentile, or to find a rate. What the study asks for is always measured."""

MOST_NAMED = 5
"""Of what would not have fitted so many are named, the most promising."""


@dataclass
class Searching:
    """The search of one call of `tune`: what is fixed, and what this call has seen.

    Attributes:
        asked: what is being run, by the ids of the orders.
        learned: what is known after so many trials.
    """

    call: StudyCall
    crew: Crew
    search: SearchStudy
    records: list[TrialRecord]
    started_s: float
    turns_knobs: bool = False
    asked: dict[str, Proposal] = field(default_factory=dict)
    prices_s: Mapping[Prepared, float] = field(default_factory=dict)
    learned: tuple[int, Experience] | None = None
    foresight: Foresight = field(init=False)
    resumed_with: int = field(init=False)
    crowding: Crowding = field(init=False)

    def __post_init__(self) -> None:
        setup = self.call.setup
        self.foresight = Foresight(setup)
        self.crowding = Crowding(setup.spec, setup.space, setup.machine)
        self.resumed_with = len(self.records)
        confirmations = self.call.store.count_confirmations(setup.spec.name)
        self.call.orders.launches = len(self.records) + ATTEMPTS * confirmations

    def measure_until_done(self) -> None:
        """Fill idle hosts, and take what is finished, until a bound is reached."""
        self.call.stop.heed()
        self.foresight = Foresight(self.call.setup, self.crew.first.look())
        self._mind_the_time()
        reason = self._fill_idle_hosts()
        while self.crew.running:
            self._keep(self.crew.take(self.call.stop))
            self._mind_the_time()
            reason = self._fill_idle_hosts()
        self.call.emit(SearchEnded(reason, self._progress()))

    def _fill_idle_hosts(self) -> str:
        """Give every idle host a trial while there is no reason to begin none, and say that reason.

        Whoever is told to stop still hears of the trials that have ended.
        """
        reason = ""
        while (host := self.crew.idle()) is not None and not (reason := self._stop_reason()):
            if self.crew.running and self.call.stop.is_set:
                break
            self.call.stop.heed()
            with suppress(
                NothingLeftError
            ):  # another coordinator took the last one: the reason is asked anew
                self._begin_trial(host)
        return reason

    def _begin_trial(self, host: Host) -> None:
        """Ask for a configuration, and order it."""
        proposal = self.search.ask()
        self._tell_of_stage(proposal)
        configuration, name = str(proposal.configuration), host.describe().name
        self.call.emit(TrialBegan(proposal.number, configuration, self._progress(), name))
        known = self._known()
        order = self.call.orders.search(
            proposal.configuration,
            rival=self._rival(known),
            correction=known.learned,
            max_measuring_s=_longest_s(self.spec),
            preparation_s=self.prices_s.get(proposal.configuration.prepared),
        )
        self.asked[order.id] = proposal
        self.crew.give(host, order)

    def _keep(self, finished: Finished) -> None:
        """Keep what a trial gave, and tell the search of it."""
        self.call.orders.learn(finished.order, finished.result)
        record = self._record(self.asked.pop(finished.order.id), finished)
        self.call.store.record_trial(record)
        self.records.append(record)
        self.search.tell(record.number, answer_of(record))
        self.call.emit(trial_ended(self.spec, record, self._progress(), self._half_width()))

    @property
    def spec(self) -> StudySpec:
        """The study as it was found."""
        return self.call.spec

    def _tell_of_stage(self, proposal: Proposal) -> None:
        if proposal.configuration.knobs and not self.turns_knobs:
            self.turns_knobs = True
            self.call.emit(SecondStageBegan(self._progress()))

    def searched(self) -> Searched:
        """What there is to say of the search beside its trials."""
        is_of_time = not self._has_all_trials()
        unprepared = tuple(
            Unprepared(model=pair.model, backend=pair.backend, precision=pair.precision, seconds=seconds)
            for pair, seconds in self.search.unaffordable()[: MOST_NAMED if is_of_time else 0]
        )
        owed = self.search.owed_defaults()
        return Searched(self.foresight.seen.looking_s, unprepared, self.crew.waited_s, owed)

    def _record(self, proposal: Proposal, finished: Finished) -> TrialRecord:
        result, configuration = finished.result, proposal.configuration
        measured = None if isinstance(result, Failure) else result
        return TrialRecord(
            study=self.spec.name,
            number=proposal.number,
            configuration=configuration,
            baseline=configuration == self.call.setup.space.baseline,
            started_s=finished.started_s,
            ended_s=finished.ended_s,
            result=result,
            score=None if measured is None else self._score(configuration, measured),
            violations={} if measured is None else violations(self.spec, measured),
            host=finished.host,
        )

    def _score(self, configuration: Configuration, measured: Measurement) -> float:
        """Under usual conditions, by all that is known with this trial."""
        return self._known((configuration, measured)).score(configuration, measured)

    def _known(self, *newest: tuple[Configuration, TrialResult]) -> Experience:
        """Give what the study has learned of its hosts from all trials until now, once after each."""
        key = len(self.records) + len(newest)
        if self.learned is None or self.learned[0] != key:
            self.learned = (key, experience(self.spec, [*self._results(), *newest]))
        return self.learned[1]

    def _results(self) -> list[tuple[Configuration, TrialResult]]:
        return [(record.configuration, record.result) for record in self.records]

    def _rival(self, known: Experience) -> Rival | None:
        """The best so far, for a trial to race against; none before two are measured."""
        leader = best(self.records, self.spec)
        measured = [record for record in self.records if isinstance(record.result, Measurement)]
        if leader is None or not isinstance(leader.result, Measurement) or len(measured) < 2:
            return None
        return known.rival(leader.configuration, leader.result)

    def _stop_reason(self) -> str:
        """Why no further trial is started; empty while there is none. The baseline is always measured."""
        budget = self.spec.budget
        if budget.trials is not None and self._has_all_trials():
            return f"the budget of {format_count(budget.trials, 'trial')} is used up"
        if self.records and self._elapsed_s() >= self._search_s():
            minutes = format_count(budget.minutes or 0.0, "minute")
            return f"the search's part of the budget of {minutes} is used up"
        if self.search.untried():
            return ""
        self.search.mind(math.inf)
        is_left = bool(self.search.untried())
        self._mind_the_time()
        if is_left:
            return "what is left of the search's part of the budget is too short to prepare another engine"
        everything = (
            f"every configuration{' that has room in memory' * bool(self.crowding.known)} has been tried"
        )
        if any(record.may_pass for record in self.records[self.resumed_with :]):
            reason = "what failed for a reason that may pass: the same command tries that again"
            return f"{everything}, but for {reason}"
        return everything

    def _has_all_trials(self) -> bool:
        most = self.spec.budget.trials
        return most is not None and len(self.records) + len(self.crew.running) >= most

    def _mind_the_time(self) -> None:
        """Order by what is known now, within the time that is left; begin the second stage when it is due."""
        if told := self.crowding.leave_out(self.search, self._results()):
            self.call.emit(RoomWeighed((told,)))
        has_bound, search_s = self.spec.budget.minutes is not None, self._search_s()
        self.search.turn_knobs(now=has_bound and self._elapsed_s() >= (1 - SHARE) * search_s)
        this_call = self.records[self.resumed_with :]
        ready = self.crew.ready
        prospects = self.foresight.prospects(this_call, search_s=search_s if has_bound else None, ready=ready)
        self.prices_s = prospects.prices_s
        self.search.rank_by(prospects)
        self.search.mind(max(0.0, search_s - self._elapsed_s()), self.foresight.seen.there | ready)

    def _search_s(self) -> float:
        """How long this call may search; the rest of the minutes is for confirming what it has found.

        Until the defaults that may be the best are seen, no more is kept than the fewest rounds take.
        """
        spec, known = self.spec, self._known()
        round_s = choose_finalists(self.records, spec, self.call.setup.space.defaults).round_s
        owes = bool(self.search.owed_defaults())
        rounds = MIN_ROUNDS if owes else needed_rounds(spec, known.run_spread(run_blocks(spec)))
        return search_s(spec, round_s=round_s, rounds=rounds)

    def has_time(self) -> bool:
        """Whether another round still fits into the budget's minutes."""
        minutes = self.spec.budget.minutes
        round_s = choose_finalists(self.records, self.spec, self.call.setup.space.defaults).round_s
        return minutes is None or self._elapsed_s() + round_s <= minutes * 60

    def _progress(self) -> Progress:
        total = estimated_trials(self.spec, self.call.setup.space)
        return progress_of(self.spec, self.records, total=total, left_s=self._left_s())

    def _half_width(self) -> float | None:
        """How sure the newest trial's score is."""
        newest = self.records[-1].result if self.records else None
        if not isinstance(newest, Measurement) or traits_of(newest.scenario).is_one_run:
            return None
        return self._known().half_width(newest)

    def _left_s(self) -> float | None:
        spec, done = self.spec, len(self.records) - self.resumed_with
        if not done:
            return None
        trials_left = estimated_trials(spec, self.call.setup.space) - len(self.records)
        by_trials_s = max(0, trials_left) * self._elapsed_s() / done
        return max(0.0, min(by_trials_s, self._search_s() - self._elapsed_s()))

    def _elapsed_s(self) -> float:
        """What counts of the budget's minutes: not what others on this host had this call wait for."""
        return self.call.clock.monotonic_s() - self.started_s - self.crew.waited_s


def _longest_s(spec: StudySpec) -> float | None:
    """How long a trial of the search may measure; None = as long as it takes."""
    if spec.budget.minutes is None:
        return None
    is_long = traits_of(spec.scenario).seeks_rate or needed_percentile(spec) is not None
    return spec.budget.minutes * 60 * (LONG_TRIAL_SHARE if is_long else TRIAL_SHARE)
