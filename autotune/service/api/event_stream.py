"""Sends a stream of events to one client, until it ends, the client leaves, or takes nothing any more."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Annotated, Final

import anyio
from fastapi import Depends, Header, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from autotune.errors import RequestError
from autotune.service.feeds import ENDED, Feeds, Hearer

MEDIA_TYPE: Final = "text/event-stream"

_IDENTITY: Final = re.compile(rf"(?P<number>[0-9]{{1,9}})(?P<ended>{re.escape(ENDED)})?")

LastEventId = Annotated[
    str, Header(alias="Last-Event-ID", max_length=32, description="The `id` of the last event that you have.")
]


def feeds_of(request: Request) -> Feeds:
    """Give the streams of the service that a request came to."""
    feeds: Feeds = request.app.state.feeds
    return feeds


InFeeds = Annotated[Feeds, Depends(feeds_of)]
"""A handler's parameter that gives it the service's streams."""


def read_identity(text: str) -> tuple[int, bool]:
    """Read the id of an event: its number, and whether it was the job's end.

    Raises:
        RequestError: it is none.
    """
    if not text:
        return 0, False
    found = _IDENTITY.fullmatch(text)
    if found is None:
        raise RequestError(
            f"{text!r:.60} is no event's id", path="Last-Event-ID", remedy="give an `id` of this stream"
        )
    return int(found["number"]), found["ended"] is not None


class EventStream(Response):  # type: ignore[misc] # starlette's types are not read
    """The answer of an endpoint that streams events.

    It has one thing to send at a time. What is told meanwhile waits in the feed and not here, so that a slow
    client takes no memory.
    """

    def __init__(self, feeds: Feeds, hearer: Hearer, frames: AsyncIterator[bytes]) -> None:
        super().__init__(
            media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        del self.headers["content-length"]
        self._feeds, self._hearer, self._frames = feeds, hearer, frames

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Stream until the frames end, the client leaves, or the feed drops it."""
        try:
            async with anyio.create_task_group() as group:
                self._hearer.drop = group.cancel_scope.cancel
                group.start_soon(_until_gone, receive, group.cancel_scope)
                await self._send(send)
                group.cancel_scope.cancel()
        finally:
            self._feeds.release(self._hearer)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async for frames in self._frames:
                self._hearer.is_sending = True
                await send({"type": "http.response.body", "body": frames, "more_body": True})
                self._hearer.is_sending = False
                self._hearer.sent_s = asyncio.get_running_loop().time()
        finally:
            await self._frames.aclose()  # type: ignore[attr-defined]
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    """End a stream when its client leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
