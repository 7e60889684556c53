"""What a call has prepared, and how many looks are built at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from autotune.artifacts import EACH_BYTES, MOST_AT_ONCE, Artifacts, at_once
from autotune.backends.preparation import end_fork_server
from autotune.errors import MemoryShortageError
from autotune.machine.machine import Machine
from autotune.machine.read import read_machine
from autotune.measuring import Bench
from autotune.placement.placement import Command
from autotune.preflight import Setup, set_up, survey
from autotune.report.progress import Observer
from autotune.spec.configuration import Configuration, Prepared
from autotune.spec.study import StudySpec
from autotune.trial.measurement import Failure, FailureKind

EXPORTED, QUANTISED = (Prepared("", "onnxruntime", one) for one in ("fp32", "int8-dynamic"))


def two_cores(machine: Machine) -> Machine:
    """This machine as one with two cores and memory for both."""
    cores = tuple(replace(machine.cores[0], cpus=(cpu,)) for cpu in (0, 1))
    both = frozenset({0, 1})
    sizes = {"memory_bytes": 4 * EACH_BYTES, "memory_limit_bytes": None, "quota_cpus": None}
    return replace(machine, cores=cores, allowed=both, online=both, **sizes)  # type: ignore[arg-type]


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


def test_as_many_looks_are_built_at_once_as_have_a_core_and_memory() -> None:
    machine = two_cores(read_machine())
    assert at_once(machine) == 2
    assert at_once(replace(machine, quota_cpus=1.5)) == 1
    assert at_once(replace(machine, memory_limit_bytes=EACH_BYTES + 1)) == 1
    assert at_once(replace(machine, memory_bytes=1)) == 1
    assert at_once(replace(machine, memory_bytes=None)) == 2
    many = frozenset(range(64))
    cores = tuple(replace(machine.cores[0], cpus=(cpu,)) for cpu in many)
    large = replace(machine, cores=cores, allowed=many, online=many, memory_bytes=99 * EACH_BYTES)
    assert at_once(large) == MOST_AT_ONCE


@pytest.mark.engines
@pytest.mark.usefixtures("server")
def test_what_others_are_made_from_is_ready_with_them(setup: Setup) -> None:
    artifacts = Artifacts(setup, Observer())
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
    result = Short(setup, Observer()).search(
        configuration(EXPORTED), rival=None, max_measuring_s=None, unprepared=lambda: None
    )
    assert result == Failure(FailureKind.OUT_OF_MEMORY, "no memory", may_pass=True)


def test_want_of_memory_makes_nothing_unfit_that_was_measured(setup: Setup) -> None:
    with pytest.raises(MemoryShortageError):
        Short(setup, Observer()).unfit(configuration(EXPORTED))
