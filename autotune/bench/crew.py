"""The hosts of one study: who is idle gets an order, who has finished is heard, who is lost is replaced."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from autotune.bench.clock import SYSTEM_CLOCK, Clock
from autotune.bench.host import Host
from autotune.bench.order import Order
from autotune.errors import HostLostError, StudyError
from autotune.machine.document import machine_differences, machine_document
from autotune.measurement.measurement import Failure, FailureKind, TrialResult
from autotune.search.resume import mapping_differences
from autotune.spec.configuration import Prepared
from autotune.stop import Stop

LIVES = 2
"""Hosts that may be lost over one order: a second time it is the order that loses them."""

ASKING_S: Final = 0.2
"""How often whoever waits for hosts elsewhere looks whether the study is to end; a thread may say so."""


@dataclass(frozen=True)
class Finished:
    """An order that ended, and how.

    Attributes:
        host: name of the host that ran it.
        started_s, ended_s: Unix time; waiting for others is not a part of it.
    """

    order: Order
    host: str
    result: TrialResult
    started_s: float
    ended_s: float


@dataclass(frozen=True)
class Begun:
    """An order on its way.

    Attributes:
        lost: hosts that were lost over it before.
        started_s: Unix time; waited_s: that the host had waited until then.
    """

    order: Order
    host: Host
    lost: int
    started_s: float
    waited_s: float


class Conveyor(Protocol):
    """Has hosts run what they are given, and says who has finished."""

    def begin(self, begun: Begun) -> None:
        """Have the host begin."""
        ...

    def next_ended(self, stop: Stop) -> tuple[Begun, TrialResult]:
        """Wait for the next one to end.

        Raises:
            LostError: its host is gone.
            Stopped: as `stop` says; whatever was given is abandoned, and nobody hears how it ends.
        """
        ...


class LostError(Exception):
    """The host of an order is gone."""

    def __init__(self, begun: Begun, error: HostLostError) -> None:
        super().__init__(str(error))
        self.begun = begun
        self.error = error


class InTurn:
    """Runs one order after the other in this thread, so that a signal reaches whoever waits for workers.

    A wish of another thread to end is heeded before the next order.
    """

    def __init__(self) -> None:
        self._waiting: list[Begun] = []

    def begin(self, begun: Begun) -> None:
        """See `Conveyor`: it is run when somebody waits for it."""
        self._waiting.append(begun)

    def next_ended(self, stop: Stop) -> tuple[Begun, TrialResult]:
        """See `Conveyor`."""
        stop.heed()
        begun = self._waiting.pop(0)
        try:
            return begun, begun.host.run(begun.order)
        except HostLostError as error:
            raise LostError(begun, error) from error


class AtOnce:
    """Runs every order in a thread of its own; the hosts are elsewhere, and threads only wait for them.

    A thread ends with its order. It is daemonic: an order that is abandoned may take its host half an hour
    yet, and this process must be able to end meanwhile.
    """

    def __init__(self) -> None:
        self._ended: queue.SimpleQueue[_End] = queue.SimpleQueue()

    def begin(self, begun: Begun) -> None:
        """See `Conveyor`."""
        name = f"order {begun.order.id}"
        threading.Thread(target=_run_aside, args=(begun, self._ended), name=name, daemon=True).start()

    def next_ended(self, stop: Stop) -> tuple[Begun, TrialResult]:
        """See `Conveyor`."""
        begun, result = self._next_end(stop)
        if isinstance(result, HostLostError):
            raise LostError(begun, result) from result
        if isinstance(result, BaseException):
            raise result
        return begun, result

    def _next_end(self, stop: Stop) -> _End:
        while True:
            try:
                if self._ended.empty():
                    stop.heed()  # and not before: what has ended is not lost
                return self._ended.get(timeout=ASKING_S)
            except queue.Empty:
                continue
            except BaseException:
                self._ended = queue.SimpleQueue()  # whatever ends from now on, ends unheard
                raise


_End = tuple[Begun, TrialResult | BaseException]
"""An order that has ended, and how: what its host raised travels to whoever waits."""


def _run_aside(begun: Begun, ended: queue.SimpleQueue[_End]) -> None:
    """Have the host run its order, and say how that ended."""
    try:
        ended.put((begun, begun.host.run(begun.order)))
    except BaseException as error:
        ended.put((begun, error))


@dataclass
class Crew:
    """The hosts of one study that are alive, and what they are doing.

    With one host orders are run in this thread, one after the other; with several, as many at once.

    Attributes:
        clock: the time that the study goes by.
        conveyor: None = a thread for each order, or this one for a single host.
        running: orders that were given and have not ended.
    """

    hosts: list[Host]
    clock: Clock = SYSTEM_CLOCK
    conveyor: Conveyor | None = None
    running: dict[str, Begun] = field(default_factory=dict)
    _homeless: list[Begun] = field(default_factory=list)

    def __post_init__(self) -> None:
        _refuse_mixed(self.hosts)
        self._conveyor = self.conveyor or (InTurn() if len(self.hosts) == 1 else AtOnce())

    @property
    def first(self) -> Host:
        """The host for what is done on one: looks, comparing, and all rounds of a confirmation."""
        return self.hosts[0]

    @property
    def waited_s(self) -> float:
        """How long the study had to wait for others: the mean over its hosts, which wait side by side."""
        return sum(host.describe().waited_s for host in self.hosts) / len(self.hosts)

    @property
    def ready(self) -> frozenset[Prepared]:
        """What is prepared on every host."""
        return frozenset.intersection(*(host.describe().ready for host in self.hosts))

    def idle(self) -> Host | None:
        """Choose a host that has nothing to do; None where all are busy."""
        busy = [begun.host for begun in self.running.values()]
        return next((host for host in self.hosts if not any(host is other for other in busy)), None)

    def give(self, host: Host, order: Order) -> None:
        """Have an idle host run an order."""
        self._begin(Begun(order, host, 0, self.clock.unix_s(), host.describe().waited_s))

    def take(self, stop: Stop | None = None) -> Finished:
        """Wait for the next order to end, and give its result.

        Where its host is lost meanwhile, another runs it, once; where that one is lost too, it has failed.

        Raises:
            HostLostError: there is no host left.
            Stopped: as `stop` says; the orders that run are abandoned.
        """
        told = stop or Stop()
        while True:
            try:
                begun, result = self._conveyor.next_ended(told)
            except LostError as loss:
                if (failed := self._lost(loss.begun, loss.error)) is not None:
                    return failed
            except BaseException:
                self.running.clear()
                self._homeless.clear()
                raise
            else:
                return self._finished(begun, result)

    def lose(self, host: Host, error: HostLostError) -> None:
        """Count on a host no more.

        Raises:
            HostLostError: it was the last one.
        """
        self.hosts = [other for other in self.hosts if other is not host]
        if not self.hosts:
            raise error

    def release(self) -> None:
        """Have every host end what it kept for the next order."""
        for host in self.hosts:
            host.release()

    def _begin(self, begun: Begun) -> None:
        self.running[begun.order.id] = begun
        self._conveyor.begin(begun)

    def _finished(self, begun: Begun, result: TrialResult) -> Finished:
        """Sum an order up, and give its host at once what another one could not finish."""
        del self.running[begun.order.id]
        facts = begun.host.describe()
        started_s = begun.started_s + facts.waited_s - begun.waited_s
        finished = Finished(begun.order, facts.name, result, started_s, self.clock.unix_s())
        self._house(begun.host)
        return finished

    def _lost(self, begun: Begun, error: HostLostError) -> Finished | None:
        """Have another host run what one was lost over; give its failure where it has cost too many."""
        del self.running[begun.order.id]
        self.lose(begun.host, error)
        if begun.lost + 1 >= LIVES:
            reason = f"{LIVES} hosts were lost while they ran it, the last one because {error.problem}"
            failure = Failure(FailureKind.CRASH, reason)
            return Finished(begun.order, "", failure, begun.started_s, self.clock.unix_s())
        self._homeless.append(replace(begun, lost=begun.lost + 1))
        if (host := self.idle()) is not None:
            self._house(host)
        return None

    def _house(self, host: Host) -> None:
        """Give a host the order of one that was lost, if there is any."""
        if self._homeless:
            begun = self._homeless.pop(0)
            self._begin(
                replace(begun, host=host, started_s=self.clock.unix_s(), waited_s=host.describe().waited_s)
            )


def _refuse_mixed(hosts: Sequence[Host]) -> None:
    """Refuse hosts whose figures cannot be compared.

    Raises:
        StudyError: there is none, two have one name, or their machines or versions differ.
    """
    facts = [host.describe() for host in hosts]
    if not facts:
        raise StudyError("a study needs a host", remedy="give one that can run it")
    names = [host.name for host in facts]
    if len(set(names)) < len(names):
        raise StudyError(f"two hosts have one name: {', '.join(names)}", remedy="give each a name of its own")
    first = facts[0]
    for other in facts[1:]:
        differences = [
            *machine_differences(machine_document(first.machine), machine_document(other.machine)),
            *mapping_differences(first.versions, other.versions),
        ]
        if differences:
            raise StudyError(
                f"{other.name} is another kind of host than {first.name}: {'; '.join(differences)}",
                remedy="measure a study on hosts that are alike",
            )
