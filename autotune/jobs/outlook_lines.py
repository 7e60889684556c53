"""What a dry run says, line by line: as the command line prints it, and as the service shows it."""

from __future__ import annotations

from collections.abc import Iterator

from autotune.jobs.outlook import Outlook
from autotune.model.texts.files_read import file_in_words
from autotune.search.second_stage import LEADERS
from autotune.spec.problem import problem_in_words
from autotune.units import format_duration


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


def knob_lines(ahead: Outlook) -> Iterator[str]:
    """Say what the second stage would turn: engines with the same knobs share a line."""
    if ahead.why_no_knobs:
        yield f"second stage: none ({ahead.why_no_knobs})"
        return
    alike: dict[str, list[str]] = {}
    for engine, choices in ahead.knobs.items():
        words = "; ".join(f"{name} {', '.join(values)}" for name, values in choices.items())
        alike.setdefault(words, []).append(engine)
    yield f"second stage: knobs of the {LEADERS} leading placements, one at a time and then together"
    for words, engines in alike.items():
        yield f"knobs of {', '.join(engines)}: {words}"
