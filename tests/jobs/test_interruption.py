"""A wish to stop, made by a signal handler or another thread."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from autotune.events import Event, Progress, SearchEnded, SpaceSurveyed
from autotune.jobs.interruption import (
    INSISTENCE,
    WAITING_MODULES,
    Interruption,
    SearchHeard,
    signals_left_to_python,
)
from autotune.stop import Stop, Stopped


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """The signals' handlers as Python has them, and afterwards as they were."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_who_heeds_it_goes_on_until_it_is_set() -> None:
    stop = Stop()
    stop.heed()
    stop.set()
    assert stop.is_set
    with pytest.raises(Stopped):
        stop.heed()


def test_another_thread_may_set_it() -> None:
    stop = Stop()
    thread = threading.Thread(target=stop.set)
    thread.start()
    thread.join()
    assert stop.is_set


def test_it_is_no_failure_of_what_runs() -> None:
    assert not issubclass(Stopped, Exception)


def test_the_modules_in_which_a_process_waits_are_where_they_are_looked_for() -> None:
    assert [name for name in WAITING_MODULES if find_spec(name) is None] == []


def test_a_signal_where_the_process_waits_ends_that_at_once() -> None:
    """As it waits for a worker; the alarm comes while the child sleeps for longer than anybody would."""
    stop, started = Stop(), time.monotonic()

    def wait() -> None:
        with Interruption(stop, [signal.SIGALRM]), subprocess.Popen(["sleep", "60"]) as child:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            try:
                child.wait()
            finally:
                child.kill()

    with pytest.raises(Stopped):
        wait()
    assert stop.is_set
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_where_nothing_waits_only_sets_it(number: signal.Signals) -> None:
    stop = Stop()
    with Interruption(stop):
        os.kill(os.getpid(), number)
        assert stop.is_set


def test_the_first_signal_alone_is_told_of() -> None:
    heard: list[bool] = []
    stop = Stop()
    with Interruption(stop, on_first=lambda: heard.append(stop.is_set)):
        for _ in range(INSISTENCE - 1):
            os.kill(os.getpid(), signal.SIGINT)
    assert heard == [True]


def test_somebody_who_insists_ends_it_wherever_it_is() -> None:
    with Interruption(Stop()):
        for _ in range(INSISTENCE - 1):
            os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Stopped):
            os.kill(os.getpid(), signal.SIGINT)


def test_once_a_job_is_ending_no_signal_breaks_into_what_it_waits_for() -> None:
    stop = Stop()
    with Interruption(stop, [signal.SIGALRM]), subprocess.Popen(["sleep", "0.5"]) as child:
        stop.set()
        with pytest.raises(Stopped):
            stop.heed()
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        assert child.wait() == 0


def test_nor_into_clearing_up_after_a_job() -> None:
    stop = Stop()
    with Interruption(stop, [signal.SIGALRM]), subprocess.Popen(["sleep", "0.5"]) as child:
        with stop.finishing():
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            assert child.wait() == 0
        assert stop.is_set
        assert stop.may_break


def test_it_is_known_whether_a_search_has_begun() -> None:
    heard: list[Event] = []
    listening = SearchHeard(heard.append)
    told = (SpaceSurveyed(()), SearchEnded("the budget is used up", Progress(1, 1)))
    states = []
    for event in told:
        listening(event)
        states.append(listening.has_begun)
    assert states == [False, True]
    assert tuple(heard) == told


def test_a_python_program_lends_its_ctrl_c_and_has_it_back() -> None:
    stop = Stop()
    assert signals_left_to_python() == (signal.SIGINT,)
    with Interruption(stop, signals_left_to_python()):
        os.kill(os.getpid(), signal.SIGINT)
    assert stop.is_set
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_the_programs_own_stays_in_its_place() -> None:
    heard: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    stop = Stop()
    with Interruption(stop, signals_left_to_python()):
        os.kill(os.getpid(), signal.SIGINT)
    assert heard == [signal.SIGINT]
    assert not stop.is_set


def test_another_thread_may_tune_without_signals() -> None:
    lent: list[tuple[signal.Signals, ...]] = []
    thread = threading.Thread(target=lambda: lent.append(signals_left_to_python()))
    thread.start()
    thread.join()
    assert lent == [()]
