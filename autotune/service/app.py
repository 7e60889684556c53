"""The application: routers, pages and what lies around every request."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import FastAPI

from autotune.service.context import Context


def create_app(context: Context) -> FastAPI:
    """Build the application of a running service.

    Args:
        context: what its handlers use; whoever made it closes it.
    """
    app = FastAPI(title="autotune", version=version("autotune"), docs_url=None, redoc_url=None)
    app.state.context = context
    return app
