"""What `autotune tune --dry-run` prints: what would be tried here, and for how long."""

from __future__ import annotations

from pathlib import Path

from autotune.cli import output
from autotune.cli.knobs import knob_lines
from autotune.documents.outlook import outlook_document
from autotune.jobs.outlook import Outlook, outlook
from autotune.model.texts.files_read import file_in_words
from autotune.spec.problem import problem_in_words
from autotune.spec.study import StudySpec
from autotune.units import format_duration


def print_outlook(
    spec: StudySpec, *, base: Path, offline: bool, as_json: bool, prices: Path | None = None
) -> None:
    """Check the study and print its space and an estimate of its time; nothing is measured or stored."""
    ahead = outlook(spec, base=base, offline=offline, prices=prices)
    if as_json:
        output.result_json(outlook_document(ahead))
    else:
        output.result_text("\n".join(outlook_lines(ahead)))


def outlook_lines(ahead: Outlook) -> list[str]:
    """Say in lines what would be tried."""
    spec, space = ahead.spec, ahead.space
    engines = "; ".join(f"{name} {', '.join(precisions)}" for name, precisions in ahead.engines.items())
    return [
        f"study {spec.name}: {spec.objective.kind} of {', '.join(spec.models)}, "
        f"{problem_in_words(spec.problem)}, {spec.scenario}",
        *ahead.served,
        f"engines: {engines}",
        f"space: {space.size_before_symmetry} configurations, {len(space.configurations)} distinct ones",
        f"baseline: {space.baseline}",
        *(f"recipe: {recipe}" for recipe in space.recipes),
        *knob_lines(ahead),
        *(f"requests: padding {padding}, batching {batching}" for padding, batching in ahead.servings),
        *map(file_in_words, ahead.files),
        f"quality: {ahead.quality}",
        f"estimate: at most {ahead.trials} trials and {spec.confirm.rounds} rounds of confirmation in about "
        f"{format_duration(ahead.estimate_s)}",
        *ahead.notes,
    ]
