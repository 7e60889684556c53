"""`autotune doctor`: what is broken here, and what would make measurements better."""

from __future__ import annotations

from typing import Annotated

import typer

from autotune.cli import output
from autotune.cli.asked_plan import StoreUrl
from autotune.cli.remote.asked_service import CertificateFile, ServiceUrl


def doctor(
    store: StoreUrl = "sqlite:///autotune.db",
    url: ServiceUrl = None,
    ca: CertificateFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Examine store, machine, engines and service: what is broken, and what would make measurements better.

    Nothing is changed. The exit code is 1 where something does not work, and 0 where all does.
    """
    from autotune.bench.here import machine_here
    from autotune.doctor.diagnosis import is_healthy
    from autotune.doctor.examine import Patient, examine
    from autotune.documents.doctor import doctor_document

    diagnoses = examine(Patient(machine_here(), store, url, ca))
    if as_json:
        output.result_json(doctor_document(diagnoses))
    else:
        for diagnosis in diagnoses:
            output.result_text(f"{diagnosis.severity:<8}{diagnosis.area:<9}{diagnosis.words}")
            if diagnosis.remedy:
                output.result_text(f"{'':<17}{diagnosis.remedy}")
    raise typer.Exit(0 if is_healthy(diagnoses) else 1)
