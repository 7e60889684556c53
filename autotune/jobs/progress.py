"""What a running study tells whoever watches it, between trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autotune.model.looked import Look, Refused
from autotune.model.texts.files_read import FileRead
from autotune.rounds.running import Run
from autotune.spec.configuration import Configuration, Prepared
from autotune.store.records import TrialRecord


@dataclass(frozen=True)
class Progress:
    """Where a study stands.

    Attributes:
        finished: trials that gave a result, over all runs of the study.
        total: how many there will be at most: the budget's, or the whole space.
        best: the best trial that meets the limits.
        gain: of the best over the baseline; None without both, or where the baseline misses a limit.
        left_s: seconds left at most, judged by the trials of this run; None before the first.
        half_width: half of the 95 % interval of the newest trial's score, as a share, by what one launch
            can say; None where it gave none.
    """

    finished: int
    total: int
    best: TrialRecord | None
    gain: float | None
    left_s: float | None
    half_width: float | None = None


class Observer:
    """Hears what a study does and does nothing; override what is wanted.

    Every method is called between trials, or before the workers of one are started: whatever it does
    disturbs no measurement, but delays the next one.
    """

    def surveyed(self, left_out: Sequence[str]) -> None:
        """The space is laid out; `left_out` says which engines and precisions are not in it, and why."""

    def weighed(self, left_out: Sequence[str], warnings: Sequence[str]) -> None:
        """The models are known; `left_out` has no room in memory, `warnings` name what may not have it."""

    def files_read(self, files: Sequence[FileRead]) -> None:
        """The study's texts, data and lengths are read: what was found in each."""

    def served(self, served: Sequence[str]) -> None:
        """The models are here; `served` says what is served beside their encoders."""

    def noted(self, notes: Sequence[str]) -> None:
        """The models are here; `notes` say in what they are served otherwise than their files ask for."""

    def trying(self, source: str) -> None:
        """A model's fp32 reference is about to answer requests of the study's shapes."""

    def waiting(self, text: str) -> None:
        """Another process measures on this machine, or makes what is wanted in the cache; this one waits."""

    def waited(self, seconds: float) -> None:
        """The waiting is over, after so many seconds, which no budget counts."""

    def looking(self, count: int) -> None:
        """So many engines and precisions are about to be looked at, with a few of the model's layers."""

    def looked(self, backend: str, precision: str, answer: Look | Refused) -> None:
        """One was looked at; from the cache, or now."""

    def looked_around(self, seconds: float, best: Sequence[str], reason: str) -> None:
        """All looks are taken, in so many seconds.

        Args:
            best: engines and precisions in words, fastest first.
            reason: why this model cannot be looked at; empty where it can.
        """

    def preparing(self, one: Prepared, seconds: float | None) -> None:
        """The model is about to be prepared for an engine; about so many seconds, where that is known."""

    def comparing(self, one: Prepared) -> None:
        """The answers of an engine at a precision are about to be compared with the fp32 reference's."""

    def second_stage_started(self, progress: Progress) -> None:
        """The placements are done with for now: from here on knobs are turned on the leading ones."""

    def trial_started(self, configuration: Configuration, progress: Progress) -> None:
        """A trial is about to be launched."""

    def trial_ended(self, record: TrialRecord, progress: Progress) -> None:
        """A trial ended and is in the store."""

    def round_started(self, number: int, names: Sequence[str]) -> None:
        """A round of the confirmation begins; `names` are run in this order, each in fresh processes."""

    def run_ended(self, run: Run) -> None:
        """A run of the confirmation ended and is in the store."""

    def doubted(self, doubt: str) -> None:
        """The rounds contradict the search, as `doubt` says; three more are run than were allowed."""

    def wants_to_stop(self) -> bool:
        """Asked between trials, runs and looks: True ends what is under way as KeyboardInterrupt does."""
        return False

    def heed(self) -> None:
        """Raise KeyboardInterrupt where it wants to stop."""
        if self.wants_to_stop():
            raise KeyboardInterrupt

    def stopped(self, reason: str, progress: Progress) -> None:
        """The search is over, and why."""
