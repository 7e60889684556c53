"""Whether a service can be reached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from autotune.client.client import Client
from autotune.client.credentials import find_address
from autotune.client.patience import Patience
from autotune.doctor.diagnosis import Diagnosis
from autotune.errors import ServiceError


def examine_service(url: str | None, ca: Path | None = None) -> Iterator[Diagnosis]:
    """Ask a service whether it is ready.

    Args:
        url: its address; None = of the one that runs in this folder, if one does; empty = none.
        ca: PEM file of certificates to trust in the place of the system's.
    """
    address = find_address() if url is None else url
    if not address:
        return
    with Client(address, ca=ca, patience=Patience(tries=1)) as client:
        try:
            client.ready()
        except ServiceError as error:
            yield Diagnosis("service", "fault", error.problem, error.remedy)
        else:
            yield Diagnosis("service", "ok", f"the service at {address} is ready")
