"""What is prepared beside what is needed: which, side by side, and what goes wrong with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import pytest

from autotune.artifacts import EACH_BYTES, MOST_AT_ONCE, WORTH_SHARE, Artifacts, at_once
from autotune.backends.preparation import end_fork_server
from autotune.errors import MemoryShortageError, UnsupportedError
from autotune.machine.machine import Machine
from autotune.machine.read import read_machine
from autotune.measuring import Bench
from autotune.placement.placement import Command
from autotune.preflight import Setup, set_up, survey
from autotune.report.progress import Observer
from autotune.spec.configuration import Configuration, Prepared
from autotune.spec.study import StudySpec
from autotune.trial.measurement import Failure, FailureKind

FIRST, SECOND, THIRD = (Prepared("", "pytorch", one) for one in ("fp32", "bf16", "int8-dynamic"))


class Listening(Observer):
    def __init__(self) -> None:
        self.heard: list[tuple[str, Prepared]] = []

    def preparing(self, one: Prepared, seconds: float | None) -> None:  # noqa: ARG002
        self.heard.append((threading.current_thread().name, one))


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
    made = set_up(survey(study), base=Path(), offline=True)
    return replace(made, machine=two_cores(made.machine))


@pytest.fixture
def server() -> Iterator[None]:
    """Ends the fork server after the test."""
    yield
    end_fork_server()


def configuration(one: Prepared) -> Configuration:
    return Configuration(1, 1, "close", "0", False, one.backend, one.precision)


def worth(artifacts: Artifacts, one: Prepared, *others: Prepared, left_s: float = 100.0) -> list[Prepared]:
    chosen = artifacts.worth_beside(configuration(one), map(configuration, others), (), left_s)
    return [other.prepared for other in chosen]


def test_as_many_are_prepared_at_once_as_have_a_core_and_memory() -> None:
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


def test_what_comes_next_and_is_new_is_prepared_beside(setup: Setup) -> None:
    artifacts = Artifacts(setup, Observer(), prices_s={FIRST: 4.0, SECOND: 6.0, THIRD: 8.0})
    assert worth(artifacts, FIRST, FIRST, SECOND, SECOND, THIRD) == [SECOND, THIRD]
    artifacts.ready.add(SECOND)
    assert worth(artifacts, FIRST, SECOND, THIRD) == [THIRD]
    assert worth(artifacts, SECOND, FIRST, THIRD) == []


def test_nothing_is_prepared_beside_that_would_leave_no_time_to_try_it(setup: Setup) -> None:
    artifacts = Artifacts(setup, Observer(), prices_s={FIRST: 4.0, SECOND: 40.0, THIRD: 8.0})
    assert worth(artifacts, FIRST, SECOND, THIRD, left_s=40 / WORTH_SHARE - 1) == [THIRD]
    assert worth(artifacts, FIRST, SECOND, THIRD, left_s=0.0) == []


def test_on_one_core_nothing_is_prepared_beside(setup: Setup) -> None:
    one_core = replace(setup, machine=replace(setup.machine, quota_cpus=1.0))
    artifacts = Artifacts(one_core, Observer(), prices_s={FIRST: 4.0, SECOND: 4.0})
    assert worth(artifacts, FIRST, SECOND) == []


@pytest.mark.engines
@pytest.mark.usefixtures("server")
def test_it_is_done_side_by_side_and_over_in_the_end(setup: Setup) -> None:
    """Each waits for the other; the observer hears of all from one thread."""
    met, listening = threading.Barrier(2, timeout=60), Listening()
    artifacts = Artifacts(setup, listening)
    done: list[Prepared] = []

    def job() -> None:
        met.wait()
        done.append(SECOND)

    with artifacts.beside({SECOND: job}):
        met.wait()
    assert done == [SECOND]
    assert listening.heard == [(threading.current_thread().name, SECOND)]


def failing(error: Exception) -> Callable[[], None]:
    def job() -> None:
        raise error

    return job


@pytest.mark.engines
@pytest.mark.usefixtures("server")
def test_what_goes_wrong_is_said_at_its_turn_once_and_want_of_memory_is_tried_again(setup: Setup) -> None:
    artifacts = Artifacts(setup, Observer())
    refused, short = UnsupportedError("no such operator"), MemoryShortageError("no memory")
    with artifacts.beside({SECOND: failing(refused), THIRD: failing(short)}):
        pass
    assert artifacts.failed == {SECOND: refused}
    with pytest.raises(UnsupportedError, match="no such operator"):
        artifacts.get(configuration(SECOND), ())
    assert artifacts.failed == {}


@pytest.mark.engines
@pytest.mark.usefixtures("server")
def test_an_error_of_what_is_needed_waits_for_the_others_and_is_raised(setup: Setup) -> None:
    done: list[Prepared] = []
    needed = UnsupportedError("not this one")
    jobs = {SECOND: lambda: done.append(SECOND)}
    with pytest.raises(UnsupportedError, match="not this one"), Artifacts(setup, Observer()).beside(jobs):
        raise needed
    assert done == [SECOND]


@pytest.mark.engines
@pytest.mark.usefixtures("server")
def test_ctrl_c_ends_whatever_is_being_prepared(setup: Setup) -> None:
    artifacts = Artifacts(setup, Observer())
    begun, before = threading.Event(), psutil.Process().children()

    def job() -> None:
        begun.set()
        artifacts.get(configuration(FIRST), ())

    def interrupted() -> None:
        with artifacts.beside({FIRST: job}):
            assert begun.wait(60)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert psutil.Process().children() == before


@pytest.mark.engines
@pytest.mark.usefixtures("server")
def test_what_others_are_made_from_is_ready_with_them(setup: Setup) -> None:
    exported, quantised = (Prepared("", "onnxruntime", one) for one in ("fp32", "int8-dynamic"))
    artifacts = Artifacts(setup, Observer())
    artifacts.get(configuration(quantised), ())
    assert artifacts.ready == {exported, quantised}


@dataclass
class Short(Bench):
    """A bench on which memory is short for the first preparations; the engine refuses the next."""

    shortages: int = 1
    asked: list[Prepared] = field(default_factory=list)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Whatever machine this is."""
        yield

    def commands(self, configuration: Configuration) -> tuple[Command, ...]:
        self.asked.append(configuration.prepared)
        if len(self.asked) <= self.shortages:
            raise MemoryShortageError("no memory")
        raise UnsupportedError("no such operator")

    def refusal(self, configuration: Configuration) -> str:  # noqa: ARG002
        raise MemoryShortageError("no memory")

    def search_for(self, one: Prepared, *ahead: Prepared) -> Failure:
        result = self.search(
            configuration(one),
            rival=None,
            max_measuring_s=None,
            unprepared=lambda: None,
            ahead=[configuration(other) for other in ahead],
        )
        assert isinstance(result, Failure)
        return result


def test_what_lacked_memory_beside_others_is_prepared_alone(setup: Setup) -> None:
    bench = Short(setup, Observer(), shortages=2)
    assert bench.search_for(FIRST, SECOND) == Failure(FailureKind.UNSUPPORTED, "no such operator")
    assert sorted(bench.asked) == sorted((FIRST, FIRST, SECOND))


def test_want_of_memory_alone_says_nothing_of_a_configuration(setup: Setup) -> None:
    bench = Short(setup, Observer())
    assert bench.search_for(FIRST) == Failure(FailureKind.OUT_OF_MEMORY, "no memory", may_pass=True)
    assert bench.asked == [FIRST]


def test_want_of_memory_makes_nothing_unfit_that_was_measured(setup: Setup) -> None:
    with pytest.raises(MemoryShortageError):
        Short(setup, Observer()).unfit(configuration(FIRST))
