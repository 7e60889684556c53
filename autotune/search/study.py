"""The Optuna study: what is proposed next, and what it is told."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.pruners import NopPruner
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from autotune.errors import StoreError, StudyError
from autotune.measurement.measurement import Failure, FailureKind, TrialResult
from autotune.objectives.catalogue import objective_of
from autotune.search.leases import (
    BEGINNING_S,
    LEASE,
    LEASE_S,
    Lease,
    is_beginning,
    lease_of,
    this_coordinator,
)
from autotune.search.outcomes import (
    FAILURE,
    MAY_PASS,
    MODEL_WIDE,
    PAIR_WIDE,
    configuration_of,
    has_configuration,
)
from autotune.search.prospects import Prospects
from autotune.search.resume import choice_differences
from autotune.search.sampler import LegalSampler, NothingLeftError
from autotune.search.second_stage import second_stage
from autotune.search.space import SearchSpace
from autotune.spec.configuration import Configuration, Prepared
from autotune.spec.study import StudySpec

RUNNING = (TrialState.RUNNING,)

SUMMARY = "summary"
"""User attribute of every told trial: its configuration and outcome, for people."""


@dataclass(frozen=True)
class Answer:
    """What a trial gave: its result, and score and violations if that is a measurement."""

    result: TrialResult
    score: float | None
    violations: Mapping[str, float]


@dataclass(frozen=True)
class Proposal:
    """A configuration to run, and the number of its trial."""

    number: int
    configuration: Configuration


P = ParamSpec("P")
T = TypeVar("T")


def _storage_trouble(method: Callable[P, T]) -> Callable[P, T]:
    """Have a method say what is wrong with the store, where Optuna speaks of its internals."""

    @wraps(method)
    def translated(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except (StorageInternalError, SQLAlchemyError) as error:
            cause = error.__cause__ or error
            raise StoreError(
                f"the study store cannot be used any more: {str(cause).splitlines()[0]}",
                remedy="see whether it is locked or was deleted; the same command goes on with what it holds",
            ) from error
        except (UpdateFinishedTrialError, KeyError) as error:
            raise StudyError(
                "another process has changed the study meanwhile",
                remedy="run it once at a time; the same command goes on from the trials that are stored",
            ) from error

    return translated


class SearchStudy:
    """An Optuna study over the legal configurations; Optuna's own tools work on it.

    Parameters are the fields of `Configuration`; the value is the score; limits are constraints
    (`Trial.set_constraint`), which Optuna's TPE and `best_trial` respect. A failed configuration is a FAIL
    trial with the user attribute `failure`; an interrupted one is FAIL without it and may be proposed again.
    So may one with `may_pass`, by a later run.
    """

    def __init__(self, study: optuna.Study, sampler: LegalSampler, holder: str) -> None:
        self._study = study
        self._sampler = sampler
        self._holder = holder
        self._seen: list[FrozenTrial] | None = None

    @_storage_trouble
    def untried(self) -> int:
        """How many configurations may still be proposed; 0 when the space is exhausted."""
        return len(self._sampler.untried(self._trials()))

    @_storage_trouble
    def ask(self) -> Proposal:
        """Take the next configuration, which is none that is being run; the first is the baseline.

        What another coordinator has begun at the same moment is left to it.

        Raises:
            NothingLeftError: `untried` is 0, perhaps since another coordinator has taken what was left.
        """
        while True:
            self._seen = None
            if not self.untried():
                raise NothingLeftError("every legal configuration has been tried or is ruled out")
            measured = {trial.number for trial in self._trials() if trial.state == TrialState.COMPLETE}
            self._seen = None
            trial = self._study.ask(fixed_distributions=self._sampler.distributions)
            trial.set_user_attr(LEASE, Lease(self._holder, time.time() + LEASE_S).to_json())
            proposal = Proposal(trial.number, Configuration.from_parameters(trial.params))
            if not self._is_begun(proposal, measured):
                return proposal
            self._study.tell(proposal.number, state=TrialState.FAIL)

    def _is_begun(self, proposal: Proposal, measured: Collection[int]) -> bool:
        """Say whether a trial that was asked for before runs the same, or has measured it meanwhile.

        Args:
            measured: the trials that were measured when this one was asked for.
        """
        return any(
            configuration_of(trial) == proposal.configuration
            for trial in self._begun_before(proposal.number, (*RUNNING, TrialState.COMPLETE))
            if trial.number not in measured and has_configuration(trial)
        )

    def _begun_before(self, number: float, states: Container[TrialState]) -> list[FrozenTrial]:
        """Give the trials below a number, when those that are just being asked for have their leases."""
        end_s = time.monotonic() + BEGINNING_S
        while True:
            trials = self._study.get_trials(deepcopy=False, states=states)
            before = [trial for trial in trials if trial.number < number]
            if not any(map(is_beginning, before)) or time.monotonic() > end_s:
                return before
            time.sleep(0.01)

    @_storage_trouble
    def tell(self, number: int, answer: Answer) -> None:
        """Finish a trial: COMPLETE with its score and constraints, or FAIL with the failure's kind.

        A disturbed one is proposed once more in this run, after everything that is new; one that failed for
        a reason that may pass, by the next run alone, as is all that such a failure speaks for.
        """
        trial = self._ours(self._study.get_trials(deepcopy=False, states=RUNNING))[number]
        configuration = Configuration.from_parameters(trial.params)
        self._finish(trial, answer)
        if isinstance(answer.result, Failure) and answer.result.kind == FailureKind.DISTURBED:
            self._sampler.disturbed(configuration)
        elif _may_pass(answer):
            self._sampler.put_off(configuration)
            if isinstance(answer.result, Failure) and answer.result.pair_wide:
                self._sampler.drop(configuration)

    def leave_out(self, configuration: Configuration) -> None:
        """Do not propose it in this run: it has no room."""
        self._sampler.put_off(configuration)

    def turn_knobs(self, *, now: bool) -> None:
        """Begin the second stage, however few trials the first has had; or leave it to their number."""
        self._sampler.turn_knobs(now=now)

    def rank_by(self, prospects: Prospects) -> None:
        """Order by these prospects from now on; their defaults may be proposed, too."""
        self._sampler.rank_by(prospects)

    def mind(self, left_s: float, there: Collection[Prepared] = ()) -> None:
        """Propose only what can be prepared in the seconds left, or is one of the artifacts there."""
        self._sampler.mind(left_s, there)

    @_storage_trouble
    def owed_defaults(self) -> tuple[Configuration, ...]:
        """Give the defaults that may be the best of them, and without which all is judged until now."""
        return self._sampler.owed_defaults(self._trials())

    @_storage_trouble
    def unaffordable(self) -> tuple[tuple[Prepared, float], ...]:
        """Name what is not proposed because it cannot be prepared in time, with the seconds it needs."""
        return self._sampler.unaffordable(self._trials())

    def expect(self, numbers: Sequence[int]) -> None:
        """Check that Optuna still has the trials of these numbers.

        Raises:
            StudyError: it has not; somebody deleted its study.
        """
        missing = set(numbers) - {trial.number for trial in self._study.get_trials(deepcopy=False)}
        if missing:
            raise StudyError(
                f"Optuna's study {self._study.study_name!r} lacks {len(missing)} of the study's trials;"
                " it was deleted or replaced in the store",
                remedy="give this study another name (--name NEW), or use another store (--store URL)",
            )

    @_storage_trouble
    def choice_differences(self) -> list[str]:
        """Which parameters had other values to choose from in the stored trials: Optuna does not mix them."""
        stored = [trial.distributions for trial in self._study.get_trials(deepcopy=False)]
        then = {name: made for trial in reversed(stored) for name, made in trial.items()}
        return choice_differences(_choices(then), _choices(self._sampler.distributions))

    @_storage_trouble
    def settle(self, answers: Mapping[int, Answer]) -> None:
        """Finish the trials that a stopped run left running, but for those that another coordinator runs.

        One whose answer was kept is told so; any other is interrupted (FAIL), and its configuration may
        be run again. So may those of all answers whose reason may pass, also where Optuna was not told that.
        """
        self._seen = None
        self._sampler.may_pass([number for number, answer in answers.items() if _may_pass(answer)])
        for number, trial in self._ours(self._begun_before(math.inf, RUNNING)).items():
            if number in answers:
                self._finish(trial, answers[number])
            else:
                self._study.tell(number, state=TrialState.FAIL)

    def _trials(self) -> list[FrozenTrial]:
        """Give the trials as they were when this was last changed: reading them takes several queries."""
        if self._seen is None:
            self._seen = self._study.get_trials(deepcopy=False)
        return self._seen

    def _ours(self, running: Sequence[FrozenTrial]) -> dict[int, Trial]:
        """The running trials that are ours by number, writable; those that nobody holds are anybody's."""
        now_s = time.time()
        return {
            frozen.number: Trial(self._study, frozen._trial_id)
            for frozen in running
            if (lease := lease_of(frozen)) is None or not lease.is_anothers(self._holder, now_s)
        }

    def _finish(self, trial: Trial, answer: Answer) -> None:
        self._seen = None
        self._describe(trial, answer)
        if answer.score is None:
            self._study.tell(trial.number, state=TrialState.FAIL)
        else:
            self._study.tell(trial.number, answer.score)

    def _describe(self, trial: Trial, answer: Answer) -> None:
        frozen = self._study.get_trials(deepcopy=False)[trial.number]
        trial.set_user_attr(SUMMARY, f"{configuration_of(frozen)}: {outcome_in_words(answer)}")
        if isinstance(answer.result, Failure):
            trial.set_user_attr(FAILURE, str(answer.result.kind))
            if answer.result.pair_wide:
                trial.set_user_attr(PAIR_WIDE, True)
            if answer.result.model_wide:
                trial.set_user_attr(MODEL_WIDE, True)
            if answer.result.may_pass:
                trial.set_user_attr(MAY_PASS, True)
        for name in sorted(answer.violations.keys() - frozen.constraints.keys()):
            trial.set_constraint(name, answer.violations[name])


def _may_pass(answer: Answer) -> bool:
    return isinstance(answer.result, Failure) and answer.result.may_pass


def open_search(
    spec: StudySpec,
    space: SearchSpace,
    storage: BaseStorage,
    prospects: Prospects | None = None,
    *,
    holder: str | None = None,
) -> SearchStudy:
    """Create the Optuna study in the storage, or go on with the one of that name.

    Args:
        prospects: what orders the configurations; None = as stated, where nothing was looked at.
        holder: who runs the trials that are asked for; None = the coordinator of this host.
    """
    sampler = LegalSampler(
        space,
        seed=spec.seed,
        objective=objective_of(spec),
        second=second_stage(spec, space.knobs),
        prospects=prospects,
    )
    study = optuna.create_study(
        storage=storage,
        sampler=sampler,
        pruner=NopPruner(),
        study_name=spec.name,
        direction=objective_of(spec).direction,
        load_if_exists=True,
    )
    return SearchStudy(study, sampler, holder or this_coordinator())


def refuse_foreign(name: str, storage: BaseStorage) -> None:
    """Refuse to begin a study of a name that Optuna already has in the storage.

    Raises:
        StudyError: there is one.
    """
    if any(study.study_name == name for study in storage.get_all_studies()):
        raise StudyError(
            f"the store holds an Optuna study {name!r} that autotune did not make",
            remedy="give this study another name (--name NEW), or use another store (--store URL)",
        )


def _choices(distributions: Mapping[str, BaseDistribution]) -> dict[str, tuple[Any, ...]]:
    """Of the categorical ones; the others may grow."""
    return {
        name: made.choices
        for name, made in distributions.items()
        if isinstance(made, CategoricalDistribution)
    }


def outcome_in_words(answer: Answer) -> str:
    """An answer as one line without the configuration."""
    if isinstance(answer.result, Failure):
        return f"{answer.result.kind}: {answer.result.reason}"
    missed = [f"{name} limit missed by {by:.1%}" for name, by in answer.violations.items() if by > 0]
    return ", ".join([f"score {answer.score:.6g}", *missed])
