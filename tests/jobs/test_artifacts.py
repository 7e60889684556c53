"""What a call has prepared, and what want of memory says of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autotune.errors import MemoryShortageError
from autotune.events import unheard
from autotune.jobs.artifacts import Artifacts
from autotune.jobs.measuring import Bench
from autotune.measurement.measurement import Failure, FailureKind
from autotune.model.artifacts.cache import ArtifactCache
from autotune.placement.placement import Command
from autotune.preflight.setup import Setup, set_up
from autotune.preflight.survey import survey
from autotune.preparation.preparing import end_fork_server
from autotune.spec.configuration import Configuration, Prepared
from autotune.spec.study import StudySpec

EXPORTED, QUANTISED = (Prepared("", "onnxruntime", one) for one in ("fp32", "int8-dynamic"))


@pytest.fixture
def setup() -> Setup:
    """Of a real model, of which nothing is prepared here."""
    study = StudySpec.model_validate(
        {"model": "random:minilm-l6", "problem": {"batch_size": 1, "sequence_length": 8}, "name": "s"}
    )
    return set_up(survey(study), base=Path(), offline=True)


@pytest.fixture
def server() -> Iterator[None]:
    """Ends the fork server after the test."""
    yield
    end_fork_server()


def configuration(one: Prepared) -> Configuration:
    return Configuration(1, 1, "close", "0", False, one.backend, one.precision)


@pytest.mark.engines
@pytest.mark.usefixtures("server")
def test_what_others_are_made_from_is_ready_with_them(setup: Setup) -> None:
    artifacts = Artifacts(setup, unheard, ArtifactCache())
    artifacts.get(configuration(QUANTISED), ())
    assert artifacts.ready == {EXPORTED, QUANTISED}


class Short(Bench):
    """A bench on which memory is short for whatever is prepared."""

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Whatever machine this is."""
        yield

    def commands(self, configuration: Configuration) -> tuple[Command, ...]:  # noqa: ARG002
        raise MemoryShortageError("no memory")

    def refusal(self, configuration: Configuration) -> str:  # noqa: ARG002
        raise MemoryShortageError("no memory")


def test_want_of_memory_in_preparing_says_nothing_of_a_configuration(setup: Setup) -> None:
    result = Short(setup).search(
        configuration(EXPORTED), rival=None, max_measuring_s=None, unprepared=lambda: None
    )
    assert result == Failure(FailureKind.OUT_OF_MEMORY, "no memory", may_pass=True)


def test_want_of_memory_makes_nothing_unfit_that_was_measured(setup: Setup) -> None:
    with pytest.raises(MemoryShortageError):
        Short(setup).unfit(configuration(EXPORTED))
