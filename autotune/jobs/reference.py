"""Finds what a text means: a plan by its file or a reference into the store; a configuration of a study."""

from __future__ import annotations

from pathlib import Path

from autotune.errors import PlanError
from autotune.plan.document import Plan, parse_plan
from autotune.preflight.setup import Setup
from autotune.spec.configuration import Configuration
from autotune.spec.configuration_text import parse_configuration
from autotune.store.store import read_store

FILE_SUFFIX = ".json"

BASELINE = "baseline"


def find_plan(ref: str, store: str) -> Plan:
    """Read a plan: from a file if `ref` ends with .json or has a slash, else from the store.

    Raises:
        PlanError: the file cannot be read, or is no plan.
        StoreError: the store cannot be read, or holds no such plan.
    """
    if is_file(ref):
        return _read_file(Path(ref))
    with read_store(store) as opened:
        return opened.plan(ref)


def is_file(ref: str) -> bool:
    """Whether a reference means a file, and not the store."""
    return "/" in ref or ref.endswith(FILE_SUFFIX)


def _read_file(path: Path) -> Plan:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise PlanError(
            f"the plan file {str(path)!r} cannot be read: {error.strerror}",
            remedy="give a file that `autotune export --to json` wrote, or a plan of the store",
        ) from error
    return parse_plan(text)


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
