"""The application: routers, pages and what lies around every request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from autotune.service.api.description import describe
from autotune.service.api.routers import include_api
from autotune.service.context import Context
from autotune.service.feeds import Feeds
from autotune.service.problems import install_problems


def create_app(context: Context) -> FastAPI:
    """Build the application of a running service.

    Args:
        context: what its handlers use; whoever made it closes it.
    """
    app = FastAPI(
        title="autotune",
        version=version("autotune"),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_running,
    )
    app.state.context = context
    app.state.feeds = Feeds(context)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    install_problems(app)
    include_api(app)
    return app


@asynccontextmanager
async def _running(app: FastAPI) -> AsyncIterator[None]:
    """Tell clients of events for as long as the service runs."""
    feeds: Feeds = app.state.feeds
    async with feeds.running():
        yield
