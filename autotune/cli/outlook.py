"""What `autotune tune --dry-run` prints: what would be tried here, and for how long."""

from __future__ import annotations

from pathlib import Path

from autotune.cli import output
from autotune.documents.outlook import outlook_document
from autotune.jobs.outlook import outlook
from autotune.jobs.outlook_lines import outlook_lines
from autotune.spec.study import StudySpec


def print_outlook(
    spec: StudySpec, *, base: Path, offline: bool, as_json: bool, prices: Path | None = None
) -> None:
    """Check the study and print its space and an estimate of its time; nothing is measured or stored."""
    ahead = outlook(spec, base=base, offline=offline, prices=prices)
    if as_json:
        output.result_json(outlook_document(ahead))
    else:
        output.result_text("\n".join(outlook_lines(ahead)))
