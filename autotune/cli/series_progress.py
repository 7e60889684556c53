"""What `autotune series run` shows on stderr while it runs."""

from __future__ import annotations

from collections.abc import Sequence

from autotune.cli import output
from autotune.cli.progress import TerminalObserver
from autotune.measurement.measurement import Failure
from autotune.rounds.running import Run
from autotune.series.record import figures_of
from autotune.units import format_latency, format_throughput


class SeriesObserver(TerminalObserver):
    """One line for each run, and on a terminal a status line for the round that runs."""

    def round_started(self, number: int, names: Sequence[str]) -> None:
        """Show that a round begins."""
        output.status(f"round {number}: {', '.join(names)}")

    def run_ended(self, run: Run) -> None:
        """Print what a point gave."""
        if isinstance(run.result, Failure):
            outcome = f"{run.result.kind}: {run.result.reason}"
        else:
            figures = figures_of(run.result)
            median = format_latency(figures.median_s)
            outcome = f"{format_throughput(figures.throughput_sps)}, median {median}"
        output.message(f"[round {run.round}] {run.entrant.name}: {run.entrant.configuration}: {outcome}")
