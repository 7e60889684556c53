"""A service on a store of its own, asked by one who may do everything unless a test says otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from autotune.model.stored_study import study_document
from autotune.service.access import AccessRole
from autotune.service.app import create_app
from autotune.service.context import Context, open_context
from autotune.service.settings import ServiceSettings
from autotune.spec.load import parse_study
from autotune.testing.curves import build_curve, lognormal_services_s
from autotune.testing.plans import build_plan
from autotune.testing.store_contract import FAILED, MEASURED, STUDY

STUDY_TEXT = "model: random:minilm-l6\nproblem: {batch_size: 1, sequence_length: 8}\n"
MACHINE = "here"


class RoleGiver:
    """Gives every request a role, in the place of the gate that looks at tokens."""

    def __init__(self, app: Any, role: AccessRole | None) -> None:
        self._app, self._role = app, role

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and self._role is not None:
            scope["state"] = {**scope.get("state", {}), "role": self._role, "token_name": "tester"}
        await self._app(scope, receive, send)


@dataclass(frozen=True)
class ServedStore:
    """A running service.

    Attributes:
        context: with its store.
        client: who may do everything.
    """

    context: Context
    client: TestClient


@contextmanager
def serving(settings: ServiceSettings, role: AccessRole | None = AccessRole.ADMIN) -> Iterator[ServedStore]:
    """Run a service in this process."""
    with ExitStack() as opened:
        context = opened.enter_context(open_context(settings, MACHINE))
        app = RoleGiver(create_app(context), role)
        client = opened.enter_context(TestClient(app, raise_server_exceptions=False))
        yield ServedStore(context, client)


@pytest.fixture
def settings(tmp_path: Path) -> ServiceSettings:
    return ServiceSettings(store=f"sqlite:///{tmp_path}/store.db", state=tmp_path / "state")


@pytest.fixture
def served(settings: ServiceSettings) -> Iterator[ServedStore]:
    with serving(settings) as running:
        yield running


@pytest.fixture
def ask(served: ServedStore) -> Callable[..., Any]:
    """Asks for something below /api/v1, and gives the document of its answer."""

    def asking(method: str, path: str, status: int = 200, **body: Any) -> Any:
        response = served.client.request(method, f"/api/v1{path}", **body)
        assert response.status_code == status, response.text
        return response.json() if response.content else None

    return asking


def tune_body(name: str = "asked", **others: Any) -> dict[str, Any]:
    """What asks for a small study."""
    return {"kind": "tune", "study_yaml": f"name: {name}\n{STUDY_TEXT}", **others}


def filled(context: Context) -> None:
    """Put a study with three trials and a plan into a store."""
    spec = study_document(parse_study(STUDY_TEXT, name="quickstart"))
    context.store.create_study(replace(STUDY, spec=spec))
    for trial in (replace(MEASURED, baseline=True), FAILED, replace(MEASURED, number=2, score=320.0)):
        context.store.record_trial(replace(trial, violations={}, baseline=trial.number == 0))
    context.store.save_plan(
        build_plan(
            machine={"model_name": "Built", "allowed": "0-1", "cores": ["0", "1"], "fingerprint": "abc"},
            curve=build_curve(lognormal_services_s(0.01, 0.2), 2),
        )
    )
