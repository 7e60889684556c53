"""A stored study goes on with what it was begun with alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from autotune.bench.here import machine_here
from autotune.errors import ResumeError
from autotune.jobs.beginning import begin_or_resume
from autotune.preflight.setup import Setup, set_up
from autotune.preflight.survey import survey
from autotune.store.store import open_store
from autotune.testing.fake_plans import FakeStudy


@pytest.fixture
def streaming(own_study: FakeStudy) -> Setup:
    """A study of drawn lengths, set up."""
    problem = {"batch_size": 1, "lengths": {"values": [5, 20]}}
    spec = FakeStudy(own_study.folder, problem=problem).spec
    return set_up(survey(spec, machine_here()), base=own_study.folder, offline=True)


def begin(setup: Setup, folder: Path, **versions: str | None) -> None:
    """Begin the study or go on with it, with other versions than are here; None = one is not known."""
    known = {name: version for name, version in {**setup.versions, **versions}.items() if version}
    with open_store(f"sqlite:///{folder}/autotune.db") as store:
        begin_or_resume(replace(setup, versions=known), store)


def test_a_study_of_requests_that_differ_goes_on_with_the_libraries_that_made_them_alone(
    streaming: Setup, tmp_path: Path
) -> None:
    begin(streaming, tmp_path, tokenizers="0.0.1")
    with pytest.raises(ResumeError, match=r"tokenizers: 0\.0\.1 -> "):
        begin(streaming, tmp_path)


def test_a_study_that_did_not_know_these_libraries_goes_on(streaming: Setup, tmp_path: Path) -> None:
    begin(streaming, tmp_path, tokenizers=None, numpy=None)
    begin(streaming, tmp_path)
