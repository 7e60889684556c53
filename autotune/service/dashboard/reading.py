"""Refuses what Optuna's dashboard would change: its buttons for that cannot be taken out of its page."""

from __future__ import annotations

from http import HTTPStatus

from starlette.types import Scope

from autotune.service.guard.bodies import has_body
from autotune.service.guard.turned_away import CLOSE, TurnedAway


def check_reading(scope: Scope) -> None:
    """Turn away a request of the dashboard's page that would change something.

    Raises:
        TurnedAway: with 405.
    """
    path: str = scope["path"]
    is_dashboards = path.startswith(("/dashboard", "/csv/")) or (
        path.startswith("/api/") and not path.startswith("/api/v1")
    )
    if is_dashboards:
        raise TurnedAway(
            HTTPStatus.METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "Optuna's dashboard is read-only here",
            remedy="change studies through the service's own pages",
            headers=CLOSE if has_body(scope) else None,
        )
