"""The application: routers, pages and what lies around every request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from anyio import to_thread
from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware

from autotune.service.api.description import describe
from autotune.service.api.routers import include_api
from autotune.service.context import Context
from autotune.service.feeds import Feeds
from autotune.service.heads import HeadAsGet
from autotune.service.metrics import CountedRequests, ServiceMetrics
from autotune.service.pages.site import include_pages
from autotune.service.problems import install_problems

THREADS = 8
"""So many requests are handled at once. A handler reads a store for milliseconds; each thread that ever ran
keeps some megabytes, and what one could do together with forty others is done by one Python interpreter."""

COMPRESSED_BYTES = 1000
"""Shorter answers are sent as they are: they take one packet in any case."""
LEVEL = 5
"""Of gzip: on a list of 1,000 jobs level 9 takes three times as long, and saves 2 %."""
IN_PLACE_BYTES = 2**24
"""Shorter answers are compressed in place, in milliseconds, and not in one of forty more threads."""


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
    app.state.metrics = ServiceMetrics(context, app.state.feeds)
    app.state.dispatcher = None
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    app.add_middleware(
        GZipMiddleware,
        minimum_size=COMPRESSED_BYTES,
        compresslevel=LEVEL,
        thread_minimum_size=IN_PLACE_BYTES,
    )
    app.add_middleware(HeadAsGet)
    app.add_middleware(CountedRequests, metrics=app.state.metrics)
    install_problems(app)
    include_api(app)
    include_pages(app)
    return app


@asynccontextmanager
async def _running(app: FastAPI) -> AsyncIterator[None]:
    """Tell clients of events for as long as the service runs."""
    to_thread.current_default_thread_limiter().total_tokens = THREADS
    feeds: Feeds = app.state.feeds
    async with feeds.running():
        yield
