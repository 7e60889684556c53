"""The process that looks at something for the service: reads from stdin at what, and answers on stdout."""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from autotune.errors import AutotuneError, StudyFileError

MOST_BYTES: Final = 4 * 2**30
"""Of memory that it may map."""


def main() -> None:
    """Do what is asked, and write the answer as one JSON document."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    asked = json.loads(sys.stdin.read())
    json.dump(answer(asked), sys.stdout)


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Give the answer of a task, or the error that it meets."""
    try:
        return {"outlook": _outlook, "doctor": _doctor, "forget": _forget}[asked["task"]](asked)
    except AutotuneError as error:
        faults = [asdict(fault) for fault in error.faults] if isinstance(error, StudyFileError) else []
        told = {"kind": type(error).__name__, "problem": error.problem, "remedy": error.remedy}
        return {"error": {**told, "faults": faults}}


def _outlook(asked: dict[str, Any]) -> dict[str, Any]:
    """What a study would do here, as a document and as lines."""
    from autotune.documents.outlook import outlook_document
    from autotune.jobs.outlook import outlook
    from autotune.jobs.outlook_lines import outlook_lines
    from autotune.spec.study import StudySpec

    spec = StudySpec.model_validate_json(json.dumps(asked["study"]))
    ahead = outlook(spec, base=Path(), offline=asked["offline"])
    return {"document": outlook_document(ahead), "lines": outlook_lines(ahead)}


def _doctor(asked: dict[str, Any]) -> dict[str, Any]:
    """What is wrong with the store and its machine, and what would make measurements better."""
    from autotune.bench.here import machine_here
    from autotune.doctor.examine import Patient, examine
    from autotune.documents.doctor import doctor_document

    return {"document": doctor_document(examine(Patient(machine_here(), asked["store"], service="")))}


def _forget(asked: dict[str, Any]) -> dict[str, Any]:
    """Forget a study with its trials and plans."""
    from autotune.store.retention import delete_study
    from autotune.store.store import open_store

    with open_store(asked["store"]) as store:
        delete_study(store, asked["store"], asked["study"])
    return {}


if __name__ == "__main__":
    main()
