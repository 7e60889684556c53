"""Refuses at once what would fail as soon as its turn came: nothing is loaded, measured or downloaded."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from autotune.backends.availability import available_engines
from autotune.bench.here import machine_here
from autotune.errors import BackendError, JobError, ModelError, StudyFileError
from autotune.model.hub.cached import is_cached
from autotune.model.hub.fetch import offline_reason
from autotune.model.stored_study import read_stored_study, study_document
from autotune.queue.requests import TuneValues, read_values
from autotune.search.resume import refuse_differences, study_differences
from autotune.service.context import Context
from autotune.spec.model_source import model_kind
from autotune.spec.study import StudySpec

FOLDER_FILES: Final = ("config.json", "modules.json", "adapter_config.json")
"""One of them is in the folder of every model, or of what says best why it is none."""


def check_runs(context: Context, spec: StudySpec) -> None:
    """Refuse an admitted study that cannot run here.

    Raises:
        StudyFileError: an engine is not here, or a model is not, or cannot be read.
        ResumeError: a study of this name was begun, or is waited for, with other values.
    """
    for source in spec.models:
        _check_model(source, is_online=context.settings.hub and not offline_reason())
    try:
        available_engines(spec, machine_here())
    except BackendError as error:
        raise StudyFileError(error.problem, path="search.backends", remedy=error.remedy) from None
    for begun in _begun(context, spec.name):
        differences = study_differences(study_document(begun), study_document(spec))
        refuse_differences(spec.name, [told for told in differences if not told.startswith("price")])


def _check_model(source: str, *, is_online: bool) -> None:
    """Refuse a source whose model is not there, as far as that is seen without loading it."""
    kind, rest = model_kind(source), source.partition(":")[2]
    if kind.is_downloaded:
        if not is_online and not is_cached(rest):
            raise StudyFileError(
                f"{source} is not in the hub's cache of this machine, and the service may not download",
                path="model",
                remedy="have its operator download it, or start the service with --hub",
            )
        return
    try:
        if kind.is_formula:
            _check_formula(Path(rest))
        elif kind.has_files:
            _check_files(Path(rest))
    except ModelError as error:
        raise StudyFileError(error.problem, path="model", remedy=error.remedy) from None


def _check_formula(path: Path) -> None:
    """Refuse the file of a fake model that is no JSON object.

    Raises:
        ModelError: it is.
    """
    try:
        is_object = isinstance(json.loads(path.read_text(encoding="utf-8")), dict)
    except (OSError, ValueError, RecursionError):
        is_object = False
    if not is_object:
        raise ModelError(f"{path} is no JSON object", remedy="fake: takes the JSON file of a fake model")


def _check_files(path: Path) -> None:
    """Refuse a file that is empty or may not be read, and a folder without a model.

    Raises:
        ModelError: it is.
    """
    if not os.access(path, os.R_OK):
        raise ModelError(f"{path} cannot be read", remedy="let the service's user read it")
    if path.is_file() and not path.stat().st_size:
        raise ModelError(f"{path} is empty", remedy="name the file of a model")
    if path.is_dir() and not any((path / name).is_file() for name in FOLDER_FILES):
        raise ModelError(f"{path} holds no model", remedy="name a folder with a config.json")


def _begun(context: Context, name: str) -> Iterator[StudySpec]:
    """Give what studies of a name were written as: the stored one, and those that wait or run."""
    stored = context.store.find_study(name)
    if stored is not None:
        try:
            yield read_stored_study(stored.spec).written
        except ValidationError:  # of a later version: the job says so
            return
    for job in context.queue.jobs(states=("queued", "running"), study=name, kind="tune", limit=1):
        try:
            values = read_values(context.queue.job(job.id))
        except JobError:
            continue
        if isinstance(values, TuneValues):
            yield values.study
