"""What a text means as a configuration of a study."""

from __future__ import annotations

from pathlib import Path

import pytest

from autotune.jobs.spelling import find_configuration
from autotune.machine.read import read_machine
from autotune.preflight.setup import Setup, set_up
from autotune.preflight.survey import survey
from autotune.store.records import StudyRecord, TrialRecord
from autotune.store.store import open_store
from autotune.testing.fake_plans import ONE, FakeStudy
from autotune.testing.plans import build_measurement

SPELLED = "1x1,close,fake,int8-dynamic"


@pytest.fixture(scope="module")
def setup(shared_study: FakeStudy) -> Setup:
    return set_up(survey(shared_study.spec, read_machine()), base=shared_study.folder, offline=True)


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store with one trial of the study."""
    url = f"sqlite:///{tmp_path}/autotune.db"
    with open_store(url) as opened:
        opened.create_study(StudyRecord("fake", 0.0, {}, {}, {}, "d", "m"))
        opened.record_trial(TrialRecord("fake", 0, ONE, False, 0.0, 1.0, build_measurement(), 30.0))
    return url


def test_a_configuration_is_the_baseline_a_trials_or_spelled_out(store: str, setup: Setup) -> None:
    assert find_configuration("baseline", setup, store) == setup.space.baseline
    assert find_configuration("0", setup, store) == ONE
    spelled = find_configuration(SPELLED, setup, store)
    assert (spelled.instances, spelled.placement, spelled.precision) == (1, "close", "int8-dynamic")


@pytest.mark.parametrize(
    ("text", "said"),
    [("7", "has no trial 7: it has 0 to 0"), ("1x1", "is not a configuration: write INSTANCESxTHREADS")],
)
def test_a_text_that_means_nothing_is_refused_with_what_would(
    text: str, said: str, setup: Setup, store: str
) -> None:
    with pytest.raises(ValueError, match=said):
        find_configuration(text, setup, store)
