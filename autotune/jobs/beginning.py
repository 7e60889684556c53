"""Opens a study in the store: a new one, or the stored one where it stopped, if nothing differs."""

from __future__ import annotations

import time
from collections.abc import Sequence

from autotune.machine.document import machine_differences, machine_document
from autotune.model.stored_study import study_document
from autotune.preflight.setup import Setup
from autotune.preflight.versions import version_differences
from autotune.search.resume import model_differences, refuse_differences, study_differences
from autotune.search.study import Answer, SearchStudy, open_search, refuse_foreign
from autotune.store.records import StudyRecord, TrialRecord
from autotune.store.store import StudyStore


def begin_or_resume(setup: Setup, store: StudyStore) -> SearchStudy:
    """Open the study in the store: a new one, or the stored one where it stopped.

    Raises:
        ResumeError: the stored study was made on another machine, with another model, other library
            versions or another study file; or an engine or precision has come or gone since, as where a
            compiler was installed.
        StudyError: Optuna has a study of this name in the store that is not ours.
    """
    asked = _record(setup)
    stored = store.find_study(setup.spec.name)
    if stored is None:
        refuse_foreign(setup.spec.name, store.optuna_storage())
        store.create_study(asked)
    else:
        refuse_differences(setup.spec.name, _differences(stored, asked))
    search = open_search(setup.spec, setup.space, store.optuna_storage())
    refuse_differences(setup.spec.name, search.choice_differences())
    trials = store.trials(setup.spec.name)
    search.expect([trial.number for trial in trials])
    search.settle(answers_of(trials))
    return search


def answers_of(trials: Sequence[TrialRecord]) -> dict[int, Answer]:
    """Give what stored trials answered, by their numbers."""
    return {trial.number: answer_of(trial) for trial in trials}


def answer_of(trial: TrialRecord) -> Answer:
    """Give what a stored trial answered, as the search is told of it."""
    return Answer(trial.result, trial.score, trial.violations)


def _record(setup: Setup) -> StudyRecord:
    return StudyRecord(
        name=setup.spec.name,
        created_s=time.time(),
        spec=study_document(setup.found.stored),
        machine=machine_document(setup.machine),
        versions=setup.versions,
        model_digest=setup.found.model_digest,
        model_source=", ".join(setup.spec.models),
    )


def _differences(stored: StudyRecord, asked: StudyRecord) -> list[str]:
    """Say what differs between two studies of one name; nothing when they may be mixed."""
    return [
        *machine_differences(stored.machine, asked.machine),
        *model_differences(stored, asked),
        *version_differences(stored.versions, asked.versions),
        *study_differences(stored.spec, asked.spec),
    ]
