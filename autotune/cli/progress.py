"""What `autotune tune` shows on stderr while it runs: lines between trials, nothing while workers measure."""

from __future__ import annotations

from collections.abc import Sequence

from autotune.cli import output
from autotune.cli.interruption import Interruption
from autotune.jobs.progress import Observer, Progress
from autotune.measurement.measurement import Failure
from autotune.model.looked import Look, Refused
from autotune.model.texts.files_read import FileRead, file_in_words
from autotune.objectives.scores import format_score
from autotune.rounds.running import Run
from autotune.search.score import score
from autotune.spec.configuration import Configuration, Prepared
from autotune.spec.study import StudySpec
from autotune.store.records import TrialRecord
from autotune.units import format_count, format_duration, format_latency

NAMED_LOOKS = 4
"""So many of the engines that look fastest are named."""

WIDE = 0.05
"""An interval that is wider to either side is worth showing."""


class TerminalObserver(Observer):
    """One line per finished trial, and on a terminal a status line for what runs."""

    def __init__(self, spec: StudySpec, interruption: Interruption) -> None:
        self._spec = spec
        self._interruption = interruption

    def wants_to_stop(self) -> bool:
        """Whether a signal has come that was only remembered."""
        return self._interruption.came

    def surveyed(self, left_out: Sequence[str]) -> None:
        """Say which engines are not searched."""
        for reason in left_out:
            output.message(f"not searched: {reason}")

    def files_read(self, files: Sequence[FileRead]) -> None:
        """Say what was read of the study's files."""
        for read in files:
            output.message(file_in_words(read))

    def weighed(self, left_out: Sequence[str], warnings: Sequence[str]) -> None:
        """Say what has no room in memory, and what may not have it."""
        self.surveyed(left_out)
        for warning in warnings:
            output.message(f"warning: {warning}")

    def served(self, served: Sequence[str]) -> None:
        """Say what is served beside the models' encoders."""
        for sentence in served:
            output.message(sentence)

    def noted(self, notes: Sequence[str]) -> None:
        """Warn of what a model's files ask for in vain."""
        for note in notes:
            output.message(f"warning: {note}")

    def trying(self, source: str) -> None:
        """Show that the model itself is tried, before any engine is."""
        output.status(f"trying {source} at fp32, as its answers are what all others are compared with")

    def waiting(self, text: str) -> None:
        """Say for what another process is waited for."""
        output.message(text)

    def waited(self, seconds: float) -> None:
        """Say how long it did."""
        output.message(f"waited {format_duration(seconds)} for it; no budget of minutes counts that")

    def looking(self, count: int) -> None:
        """Show that engines are looked at."""
        output.status(f"looking at {count} engines and precisions, with a few of the model's layers")

    def looked(self, backend: str, precision: str, answer: Look | Refused) -> None:
        """Show what a look found."""
        found = format_latency(answer.request_s) if isinstance(answer, Look) else answer.reason
        output.status(f"looked at {backend} {precision}: {found}")

    def looked_around(self, seconds: float, best: Sequence[str], reason: str) -> None:
        """Say which engines look fastest, or why none could be looked at."""
        if reason:
            output.message(f"no look at the engines: {reason}")
        elif best:
            took = format_duration(seconds)
            names = ", ".join(best[:NAMED_LOOKS])
            what = f"{len(best)} engines and precisions in {took}, fastest first: {names}"
            output.message(f"looked at {what if len(best) > 1 else f'{names} in {took}'}")

    def preparing(self, one: Prepared, seconds: float | None) -> None:
        """Show what is prepared, and about how long that takes."""
        price = "" if not seconds else f" (about {format_duration(seconds)})"
        output.status(f"preparing the model: {one}{price}")

    def comparing(self, one: Prepared) -> None:
        """Show what is compared."""
        output.status(f"comparing the answers of {one} with the fp32 reference's")

    def second_stage_started(self, progress: Progress) -> None:
        """Say that knobs are turned now."""
        output.message(f"second stage, after {progress.finished} trials: knobs of the leading placements")

    def trial_started(self, configuration: Configuration, progress: Progress) -> None:
        """Show what is about to be measured."""
        output.status(
            f"{_position(progress.finished + 1, progress)} {configuration} ... {self._standing(progress)}"
        )

    def trial_ended(self, record: TrialRecord, progress: Progress) -> None:
        """Print the trial's outcome, the best so far and the time left."""
        outcome = self._outcome(record, progress.half_width)
        line = f"{_position(progress.finished, progress)} {_what(record)}{record.configuration}: {outcome}"
        output.message(f"{line}; {self._standing(progress)}")

    def round_started(self, number: int, names: Sequence[str]) -> None:
        """Show that a round of the confirmation begins."""
        output.status(f"confirming, round {number}: {', '.join(names)}")

    def run_ended(self, run: Run) -> None:
        """Print what a run of the confirmation gave."""
        if isinstance(run.result, Failure):
            outcome = f"{run.result.kind}: {run.result.reason}"
        else:
            outcome = format_score(self._spec, score(self._spec, run.result))
        output.message(f"[round {run.round}] {run.entrant.name}: {run.entrant.configuration}: {outcome}")

    def doubted(self, doubt: str) -> None:
        """Say why more rounds are run."""
        output.message(f"{doubt}: running three more rounds")

    def stopped(self, reason: str, progress: Progress) -> None:
        """Say why the search is over."""
        output.message(f"{reason}: {format_count(progress.finished, 'trial')}")

    def _outcome(self, record: TrialRecord, half_width: float | None) -> str:
        if isinstance(record.result, Failure):
            return f"{record.result.kind}: {record.result.reason}"
        unsure = f" (+- {half_width:.0%})" if half_width is not None and half_width > WIDE else ""
        value = format_score(self._spec, record.score or 0.0) + unsure
        missed = [f"{name} limit missed by {by:.0%}" for name, by in record.violations.items() if by > 0]
        return ", ".join([value, *missed])

    def _standing(self, progress: Progress) -> str:
        parts = ["no best yet" if progress.best is None else f"best {self._best(progress)}"]
        if progress.left_s is not None:
            parts.append(f"at most {format_duration(progress.left_s)} left")
        return ", ".join(parts)

    def _best(self, progress: Progress) -> str:
        value = 0.0 if progress.best is None else progress.best.score or 0.0
        gained = "" if progress.gain is None else f" ({progress.gain:.2f}x)"
        return f"{format_score(self._spec, value)}{gained}"


def _what(record: TrialRecord) -> str:
    """What people start today has a name: nothing else of a study is left unpinned."""
    if record.baseline:
        return "baseline: "
    return "default: " if record.configuration.placement == "unpinned" else ""


def _position(number: int, progress: Progress) -> str:
    return f"[{number:>{len(str(progress.total))}}/{progress.total}]"
