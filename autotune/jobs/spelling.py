"""Finds the configuration of a study that a text means."""

from __future__ import annotations

from autotune.preflight.setup import Setup
from autotune.spec.configuration import Configuration
from autotune.spec.configuration_text import parse_configuration
from autotune.store.store import read_store

BASELINE = "baseline"


def find_configuration(text: str, setup: Setup, store: str) -> Configuration:
    """Find a configuration of a study: the baseline, a stored trial's by its number, or one spelled out.

    Raises:
        ValueError: it is none of these; says what would be right.
        StoreError: the store cannot be read, or does not hold the study.
    """
    if text == BASELINE:
        return setup.space.baseline
    if text.isascii() and text.isdigit():
        return _of_trial(int(text), setup, store)
    return parse_configuration(text, usual=setup.space.baseline, models=setup.spec.models)


def _of_trial(number: int, setup: Setup, store: str) -> Configuration:
    study = setup.spec.name
    with read_store(store) as opened:
        trials = {trial.number: trial.configuration for trial in opened.trial_summaries(study)}
    if number not in trials:
        raise ValueError(f"the study {study!r} has no trial {number}: it has 0 to {max(trials, default=-1)}")
    if (model := trials[number].model) not in setup.variants:
        runs = model or "the only model that the study had then"
        raise ValueError(f"trial {number} runs {runs}; the study file has {', '.join(setup.spec.models)}")
    return trials[number]
