"""Pages of an application in this process, asked for by somebody with a role, without a browser."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from autotune.service.access import AccessRole
from autotune.service.app import create_app
from autotune.service.context import Context, open_context
from autotune.service.settings import ServiceSettings

MACHINE = "here"


class Known:
    """Puts a role into every request, as the gate does of one that shows a token."""

    def __init__(self, app: Any, role: AccessRole | None, name: str) -> None:
        self._app, self._role, self._name = app, role, name

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http" and self._role is not None:
            scope.setdefault("state", {}).update(role=self._role, token_name=self._name)
        await self._app(scope, receive, send)


@contextmanager
def asking(
    folder: Path, role: AccessRole | None = AccessRole.ADMIN, name: str = "tester"
) -> Iterator[tuple[TestClient, Context]]:
    """Open a store in a folder, and somebody who asks for its pages."""
    settings = ServiceSettings(
        store=f"sqlite:///{folder / 'autotune.db'}", state=folder / "state", roots=(folder,)
    )
    with open_context(settings, MACHINE) as context:
        app = Known(create_app(context), role, name)
        headers = {"Accept": "text/html"}
        with TestClient(app, follow_redirects=False, headers=headers) as client:
            yield client, context
