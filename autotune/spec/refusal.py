"""What is wrong with a study file, and where: one `Refusal` per fault, all of them in one error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from autotune.errors import FileFault, StudyFileError

Place = tuple[str | int, ...]
"""Keys and list indices from the top of the file down to a value."""

MAX_REPORTED = 20

SCHEMA_HINT = "`autotune schema` prints all that a study file may hold"


@dataclass(frozen=True)
class Refusal:
    """One fault of a study file.

    Attributes:
        place: of the offending value; empty for the whole file.
        line: where it stands, counted from 1; 0 if nowhere.
        fault: what is wrong, with the value in it, and what is allowed.
    """

    place: Place
    line: int
    fault: str

    @property
    def path(self) -> str:
        """The place as users read it: `search.instances[2]`."""
        return format_place(self.place)


def format_place(place: Place) -> str:
    """A place as users read it: `search.instances[2]`; empty for the whole file."""
    parts = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return "".join(parts).removeprefix(".")


def study_file_error(file: str, refusals: Iterable[Refusal], *, hint: str = SCHEMA_HINT) -> StudyFileError:
    """The error that tells all refusals, in the order of the file; `hint` says what else there is to read."""
    ordered = sorted(refusals, key=lambda refusal: (refusal.line, refusal.path))
    faults = [FileFault(refusal.path, refusal.line, refusal.fault) for refusal in ordered]
    if len(ordered) == 1:
        (only,) = ordered
        where = f"{file}, line {only.line}" if only.line else file
        return StudyFileError(f"{only.fault} ({where})", path=only.path, remedy=hint, faults=faults)
    lines = [_line(refusal) for refusal in ordered[:MAX_REPORTED]]
    hidden = len(ordered) - len(lines)
    more = [f"and {hidden} more"] if hidden else []
    problem = "\n  ".join([f"{len(ordered)} faults in {file}", *lines, *more])
    return StudyFileError(problem, remedy=hint, faults=faults)


def _line(refusal: Refusal) -> str:
    path = f"{refusal.path}: " if refusal.path else ""
    return f"line {refusal.line}: {path}{refusal.fault}" if refusal.line else f"{path}{refusal.fault}"
