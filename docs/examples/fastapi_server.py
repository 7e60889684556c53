"""Serves a plan over HTTP: embeddings, or whatever the plan's model answers.

    pip install fastapi uvicorn
    autotune export latest --bundle bundle/
    bundle/start.sh 0 uvicorn --app-dir docs/examples fastapi_server:app --port 8000
    curl -s localhost:8000/answers -H 'content-type: application/json' -d '{"texts": ["a text", "another"]}'

Start one such process for each instance of the plan, each on a port of its own, with a balancer before them.
Two things keep it as fast as the plan says. One thread calls the engine, as when it was measured: the event
loop stays free to read requests. And whoever asks for many numbers takes them as bytes:
`accept: application/octet-stream` gives float32 in the machine's own order, with their shape in the header
`x-shape`. Written as JSON, they take longer than a small model takes to compute them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

import autotune.runtime
from autotune.errors import ServingError

engine = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")


class Texts(BaseModel):
    """What a client sends."""

    texts: list[str] = Field(min_length=1, max_length=1024)


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[None]:
    """Load the session that the plan measured, in the thread that will use it."""
    loop = asyncio.get_running_loop()
    app.state.session = await loop.run_in_executor(engine, autotune.runtime.load)
    yield
    await loop.run_in_executor(engine, app.state.session.close)


app = FastAPI(lifespan=serving)


@app.exception_handler(ServingError)
async def refused(_: Request, error: ServingError) -> JSONResponse:
    """Say in words what the session cannot answer, such as a text where the model has no tokenizer."""
    return JSONResponse({"detail": error.in_one_line}, status_code=422)


@app.post("/answers")
async def answers(asked: Texts, request: Request) -> Response:
    """Answer texts; see `MeasuredSession`."""
    loop = asyncio.get_running_loop()
    output = await loop.run_in_executor(engine, app.state.session, asked.texts)
    if request.headers.get("accept") == "application/octet-stream":
        shape = ",".join(map(str, output.shape))
        content = np.ascontiguousarray(output, dtype=np.float32).tobytes()
        return Response(content, media_type="application/octet-stream", headers={"x-shape": shape})
    return Response(json.dumps({"answers": output.tolist()}), media_type="application/json")


@app.get("/health")
async def health() -> dict[str, str]:
    """Say which plan is served, once it can be."""
    report = app.state.session.report()
    return {"plan": app.state.session.planned.plan, "engine": report.engine, "precision": report.precision}
