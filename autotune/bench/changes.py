"""Tells when the machine or an installed version changes while a study measures: it voids what is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from autotune.errors import ChangedMachineError, MachineError
from autotune.machine.allowance import Allowance, read_allowance
from autotune.machine.document import machine_differences, machine_document
from autotune.machine.read import read_machine
from autotune.measurement.measurement import Failure, FailureKind, TrialResult
from autotune.preflight.setup import Setup
from autotune.preflight.versions import study_versions, version_differences

REMEDY = "put it back as it was, and run the same command again"


@dataclass
class Changes:
    """Compares what a study was set up with and what is here now, as often as it is asked.

    Attributes:
        setup: machine and versions that the study counts on.
    """

    setup: Setup
    _found_same: Allowance | None = field(default=None, init=False)

    def refuse(self) -> None:
        """Refuse to go on with anything where the machine or a version is another one than the study's.

        Takes some milliseconds: the whole machine is read the first time, and where its allowance differs.

        Raises:
            ChangedMachineError: says what was, and what is.
        """
        machine, versions = self._of_machine(), self._of_versions()
        if machine or versions:
            subjects = ("the machine" if machine else "", "what is installed" if versions else "")
            raise ChangedMachineError(
                f"{' and '.join(filter(None, subjects))} changed while the study ran: "
                f"{'; '.join((*machine, *versions))}. Nothing that ran meanwhile is kept",
                remedy=REMEDY,
            )

    def as_asked(self, launch: Callable[[], TrialResult]) -> TrialResult:
        """Launch, and once more where that failed on other cpus than it was asked to have.

        A cpuset that shrinks and is as before when the launch ends leaves other masks behind, and no other
        trace: those that workers report, or had when they ended.

        Raises:
            ChangedMachineError: the machine is another one now.
        """
        result = launch()
        if not isinstance(result, Failure):
            return result
        if result.kind != FailureKind.PLACEMENT and not result.may_pass:
            return result
        self.refuse()
        return launch()

    def _of_machine(self) -> Sequence[str]:
        try:
            allowance = read_allowance()
            if allowance == self._found_same:
                return ()
            now = machine_document(read_machine())
        except MachineError as error:
            return (error.problem,)
        found = machine_differences(machine_document(self.setup.machine), now)
        if not found:
            self._found_same = allowance
        return found

    def _of_versions(self) -> Sequence[str]:
        now = study_versions(self.setup.spec, self.setup.engines, self.setup.space)
        return version_differences(self.setup.versions, now)
