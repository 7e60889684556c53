"""The process of a dry run: reads a study from stdin, and writes what it would do to stdout."""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from autotune.documents.outlook import outlook_document
from autotune.errors import AutotuneError, StudyFileError
from autotune.jobs.outlook import outlook
from autotune.jobs.outlook_lines import outlook_lines
from autotune.spec.study import StudySpec

MOST_BYTES: Final = 4 * 2**30
"""Of memory that it may map."""


def main() -> None:
    """Look ahead, and write the answer as one JSON document."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    asked = json.loads(sys.stdin.read())
    json.dump(answer(asked), sys.stdout)


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Give the outlook of a study with its lines, or the error that it meets."""
    try:
        spec = StudySpec.model_validate_json(json.dumps(asked["study"]))
        ahead = outlook(spec, base=Path(), offline=asked["offline"])
    except AutotuneError as error:
        faults = [asdict(fault) for fault in error.faults] if isinstance(error, StudyFileError) else []
        told = {"kind": type(error).__name__, "problem": error.problem, "remedy": error.remedy}
        return {"error": {**told, "faults": faults}}
    return {"document": outlook_document(ahead), "lines": outlook_lines(ahead)}


if __name__ == "__main__":
    main()
