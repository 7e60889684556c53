"""What a call has prepared, and what want of memory says of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from autotune.bench.artifacts import Artifacts
from autotune.bench.here import machine_here
from autotune.bench.local import LocalHost
from autotune.bench.orders import Orders
from autotune.bench.starting import Starting
from autotune.errors import MemoryShortageError
from autotune.events import unheard
from autotune.jobs.finalists import Fitness
from autotune.measurement.measurement import Failure, FailureKind
from autotune.model.artifacts.artifact import Artifact
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
    return set_up(survey(study, machine_here()), base=Path(), offline=True)


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


class WithoutMemory(Starting):
    """Memory is short for whatever is prepared."""

    def commands(
        self,
        configuration: Configuration,  # noqa: ARG002
        preparation_s: float | None = None,  # noqa: ARG002
    ) -> tuple[Command, ...]:
        raise MemoryShortageError("no memory")

    def artifact(self, configuration: Configuration) -> Artifact:  # noqa: ARG002
        raise MemoryShortageError("no memory")


class Short(LocalHost):
    """A host on which memory is short."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._starting = WithoutMemory(self.setup, self._artifacts)
        self._answers = replace(self._answers, starting=self._starting)


def test_want_of_memory_in_preparing_says_nothing_of_a_configuration(setup: Setup) -> None:
    result = Short(setup).run(Orders("s").search(configuration(EXPORTED)))
    assert result == Failure(FailureKind.OUT_OF_MEMORY, "no memory", pair_wide=True, may_pass=True)


def test_want_of_memory_makes_nothing_unfit_that_was_measured(setup: Setup) -> None:
    with pytest.raises(MemoryShortageError):
        Fitness(Short(setup)).why_unfit(configuration(EXPORTED))
