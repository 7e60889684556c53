"""The dry run: what a study would do here, as a value and as a document."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autotune.documents.outlook import outlook_document
from autotune.errors import ModelError
from autotune.jobs.outlook import Outlook, outlook
from autotune.testing.fake_plans import FakeStudy


def looked(study: FakeStudy) -> Outlook:
    return outlook(study.spec, base=study.folder, offline=True)


def test_what_would_be_tried_is_a_value(shared_study: FakeStudy) -> None:
    ahead = looked(shared_study)
    assert ahead.spec == shared_study.spec
    assert set(ahead.engines) == {"fake"}
    assert 0 < ahead.trials <= (shared_study.spec.budget.trials or 0)
    assert ahead.estimate_s > 0
    assert (ahead.servings, ahead.files, ahead.served) == ((), (), ())


def test_without_a_second_stage_every_configuration_and_the_baseline_are_tried(own_study: FakeStudy) -> None:
    ahead = looked(FakeStudy(own_study.folder, search={"knobs": "none"}))
    assert ahead.trials == len(ahead.space.configurations) + 1


def test_nothing_is_written_but_the_digests_of_what_was_read(own_study: FakeStudy, own_cache: Path) -> None:
    before = set(own_study.folder.rglob("*"))
    looked(own_study)
    written = {path for path in set(own_study.folder.rglob("*")) - before if path.is_file()}
    assert written <= set((own_cache / "digests").iterdir())


def test_a_study_that_would_be_refused_is_refused(own_study: FakeStudy) -> None:
    (own_study.folder / "model.json").unlink()
    with pytest.raises(ModelError):
        looked(own_study)


@pytest.mark.parametrize(
    ("knobs", "reason"),
    [("none", "the study says so"), ({"spinning": ["on", "off"]}, "")],
)
def test_the_second_stage_is_told_or_why_there_is_none(
    own_study: FakeStudy, knobs: object, reason: str
) -> None:
    study = FakeStudy(own_study.folder, search={"knobs": knobs})
    ahead = looked(study)
    assert ahead.why_no_knobs == reason
    assert bool(ahead.knobs) == (not reason)


def test_the_document_has_all_of_it_in_plain_types(shared_study: FakeStudy) -> None:
    ahead = looked(shared_study)
    document = outlook_document(ahead)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["schema"] == "autotune.outlook/1"
    assert document["study"] == "fake"
    assert document["models"] == ["fake:model.json"]
    assert document["configurations"] == len(ahead.space.configurations)
    assert document["baseline"] == ahead.space.baseline.parameters()
    assert (document["trials_at_most"], document["estimate_s"]) == (ahead.trials, ahead.estimate_s)
    assert (document["knobs"], document["notes"]) == (ahead.knobs, list(ahead.notes))
    assert document["quality"] == ahead.quality
