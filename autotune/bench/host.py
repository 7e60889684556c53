"""What a host is: it says what it has, admits configurations, and runs orders one at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from autotune.bench.order import Order
from autotune.machine.machine import Machine
from autotune.measurement.measurement import TrialResult
from autotune.model.assessment import Assessment
from autotune.model.stream import StreamDescription
from autotune.placement.placement import Command
from autotune.preparation.looking import Looks
from autotune.preparation.records import PreparationRecord
from autotune.spec.configuration import Configuration, Prepared
from autotune.stop import Stop


@dataclass(frozen=True)
class HostFacts:
    """What a host says of itself; asking costs nothing.

    Attributes:
        name: unique among the hosts of a study, and kept with what it measures.
        machine: what its instances run on.
        versions: of everything that decides what it measures.
        waited_s: for others who measure on it, or make what is wanted in its cache, until now.
        ready: what is prepared there, as far as that was seen.
    """

    name: str
    machine: Machine
    versions: Mapping[str, str]
    waited_s: float = 0.0
    ready: frozenset[Prepared] = frozenset()


@dataclass(frozen=True)
class Seen:
    """What a host has seen of a study before its first trial.

    Attributes:
        looks: at engines and precisions, of the first model.
        looking_s: that they took.
        records: what earlier preparations took there.
        there: what is prepared already.
        sizes_bytes: of the models by variant; None where nobody knows.
    """

    looks: Looks = field(default_factory=Looks)
    looking_s: float = 0.0
    records: tuple[PreparationRecord, ...] = ()
    there: frozenset[Prepared] = frozenset()
    sizes_bytes: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Admission:
    """What a host has found out of a configuration before it runs it.

    Attributes:
        commands: what starts its instances.
        requests: what these are given; None where all are of one length.
        quality: how near its answers are to the reference's; None where they were not compared, as nobody
            asked for that or its model is refused in any case.
        refusal: in what its answers are too far from the reference's; empty if they are near enough.
        variant_refusal: why no configuration of its model may be measured; empty if they may.
    """

    commands: tuple[Command, ...]
    requests: StreamDescription | None = None
    quality: Assessment | None = None
    refusal: str = ""
    variant_refusal: str = ""

    @property
    def why_unfit(self) -> str:
        """Why it may not be chosen for its answers; empty if it may."""
        return self.variant_refusal or self.refusal


class Host(Protocol):
    """Runs the orders of one study, one at a time; nobody else has its machine meanwhile."""

    def describe(self) -> HostFacts:
        """Say what it is and has."""
        ...

    def rehearse(self) -> None:
        """Have the study's reference answer requests, before anything of the study is kept.

        Raises:
            ModelError: the model cannot be loaded, or does not answer.
            StudyFileError: the texts of the study do not suit it.
            PreparationError: that took too long, ran out of memory or disk, or broke.
        """
        ...

    def look(self) -> Seen:
        """Look at engines before the first trial, and at what is prepared already.

        Raises:
            CacheError: what is seen cannot be kept.
            ChangedMachineError: the machine is not the study's any more.
        """
        ...

    def admit(self, configuration: Configuration, *, compare: bool = True, wait: bool = True) -> Admission:
        """Prepare what a configuration needs, and compare its answers with the reference's.

        Args:
            compare: whether its answers are compared, too.
            wait: for others who measure there; somebody who wants to end does not.

        Raises:
            UnsupportedError: the engine cannot do this.
            PlacementError: the configuration is not legal there.
            PreparationError: something cannot be made; `CacheError` where the cache is the reason.
            ModelError, StudyFileError: the study's model cannot be run, or compared with.
            ChangedMachineError: the machine is not the study's any more.
        """
        ...

    def run(self, order: Order) -> TrialResult:
        """Run an order to its end, alone on the machine.

        Raises:
            HostLostError: the host is gone, and nothing is known of the order.
            ModelError, StudyFileError: the study's model cannot be run, or compared with.
            CacheError: the cache is unusable, which says nothing of the configuration.
            ChangedMachineError: nor does what happens on a machine that changes.
        """
        ...

    def release(self) -> None:
        """End what was kept for the next order; it can be asked again."""
        ...


@contextmanager
def releasing(hosts: Iterable[Host], stop: Stop) -> Iterator[None]:
    """Release these hosts when a job has ended, however it ended; no signal breaks that off."""
    try:
        yield
    finally:
        with stop.finishing():
            for host in hosts:
                host.release()
