"""The application that `autotune export --to ray-serve` has Ray Serve import: instances behind an ingress.

    serve run serve.yaml
    curl -s localhost:8000 -d '{"texts": ["a text", "another"]}'

Ray starts each instance as `serve.yaml` says, pinned and in its environment, so `autotune.runtime.load()`
finds its plan there. `POST` asks with `texts`, or with `input_ids` and what else the model takes, and gets
`{"answers": ...}`, or with `accept: application/octet-stream` float32 in the machine's own order, whose shape
is the header `x-shape`. `GET` says what runs.

Nothing here needs Ray before Ray imports it.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import autotune.runtime
from autotune.errors import AutotuneError, ServingError
from autotune.placement.variables import server_variables, unset_for_server
from autotune.runtime.planned import PlannedInstance, find_planned

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

Answerer = Callable[[Any], Any]
"""From what a client sends, as JSON has it, to a NumPy array, or to what goes back as JSON.

A class of one is made once in each instance, without arguments, and called in the thread that made it.
"""

BYTES = "application/octet-stream"
FORM = '{"texts": ["a text"]}'


class Reply(NamedTuple):
    """What an instance answers."""

    status: int
    content: bytes
    media_type: str = "application/json"
    shape: str = ""


class MeasuredAnswerer:
    """Answers with the session that the plan measured."""

    def __init__(self) -> None:
        """Load it.

        Raises:
            DifferenceError: the process is not as the plan says.
        """
        self.session = autotune.runtime.load()

    def __call__(self, asked: Any) -> Any:
        """Answer texts, or one request of token ids.

        Raises:
            ServingError: that is neither.
        """
        if not isinstance(asked, dict) or not asked:
            raise ServingError(f"{asked!r:.80} is no request", remedy=f"send {FORM}")
        if "texts" not in asked:
            return self.session(**{name: _tokens(name, values) for name, values in asked.items()})
        texts = asked["texts"]
        if asked.keys() != {"texts"} or not _are_texts(texts):
            raise ServingError("texts are one list of texts, and nothing beside", remedy=f"send {FORM}")
        return self.session(texts)

    def report(self) -> Mapping[str, Any]:
        """Say what really runs."""
        return asdict(self.session.report())


class RayInstance:
    """One instance of the plan, in the process that was started for it. One thread calls the engine."""

    def __init__(self, answerer: str = "") -> None:
        """Make what answers; `answerer` names a class as module:Class, empty = `MeasuredAnswerer`."""
        self._planned = find_planned(None, None)
        _drop_what_ray_sets(self._planned)
        self._engine = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._answer: Answerer = self._engine.submit(_make, answerer).result()

    async def __call__(self, body: bytes, accept: str = "") -> Reply:
        """Answer the body of a request; what is wrong with it is answered with status 422."""
        try:
            asked = json.loads(body)
        except (ValueError, RecursionError) as error:
            return _refusal(f"that is no JSON: {error}; send {FORM}")
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._engine, self._answer, asked)
        except AutotuneError as error:
            return _refusal(str(error))
        return _reply(answer, accept)

    async def report(self) -> dict[str, Any]:
        """Say which instance this is, and what really runs."""
        told: Mapping[str, Any] = {}
        if isinstance(self._answer, MeasuredAnswerer):
            told = await asyncio.get_running_loop().run_in_executor(self._engine, self._answer.report)
        own = {"plan": self._planned.plan, "instance": self._planned.index, "pid": os.getpid()}
        return {**own, **told}


class Ingress:
    """Passes each request to the instance with the fewest in hand."""

    def __init__(self, *instances: Any) -> None:
        """Stand before these handles of `RayInstance`."""
        self._instances = instances
        self._in_hand = [0] * len(instances)
        self._last = 0

    async def __call__(self, request: Request) -> Response:
        """Answer a request over HTTP."""
        from starlette.responses import JSONResponse, Response

        if request.method == "GET":
            reports = [instance.report.remote() for instance in self._instances]
            return JSONResponse({"instances": [await report for report in reports]})
        reply = await self._passed_on(await request.body(), request.headers.get("accept", ""))
        headers = {"x-shape": reply.shape} if reply.shape else None
        return Response(reply.content, reply.status, headers, reply.media_type)

    async def _passed_on(self, body: bytes, accept: str) -> Reply:
        chosen = self._last = fewest(self._in_hand, self._last)
        self._in_hand[chosen] += 1
        try:
            reply: Reply = await self._instances[chosen].remote(body, accept)
            return reply
        finally:
            self._in_hand[chosen] -= 1


def fewest(in_hand: Sequence[int], last: int) -> int:
    """Give the index of the least number; of equal ones the next one after `last`, in a circle."""
    count = len(in_hand)
    return min(range(count), key=lambda index: (in_hand[index], (index - last - 1) % count))


def build(args: dict[str, Any]) -> Any:
    """Give Ray Serve's application.

    Args:
        args: `instances`, how many the plan has, and `answerer`, as in `RayInstance`.
    """
    from ray import serve

    instance, answerer = serve.deployment(RayInstance), str(args.get("answerer", ""))
    made = [
        instance.options(name=f"instance-{index}").bind(answerer) for index in range(int(args["instances"]))
    ]
    return serve.deployment(Ingress).options(name="ingress").bind(*made)


def _drop_what_ray_sets(planned: PlannedInstance) -> None:
    """Take away what Ray sets and the plan does not, such as OMP_NUM_THREADS, before an engine reads it."""
    for name in unset_for_server(server_variables(planned.threads, planned.environment)):
        os.environ.pop(name, None)


def _make(answerer: str) -> Answerer:
    if not answerer:
        return MeasuredAnswerer()
    module, _, name = answerer.partition(":")
    made: Answerer = getattr(importlib.import_module(module), name)()
    return made


def _tokens(name: str, values: Any) -> np.ndarray[Any, Any]:
    """Read the array of a request; which names there are, the session knows."""
    try:
        array = np.array(values)
    except ValueError:  # rows that differ in length
        array = np.array(())
    if array.dtype.kind != "i":
        raise ServingError(f"{name} is no table of whole numbers: {values!r:.80}", remedy=f"send {FORM}")
    return array


def _are_texts(texts: Any) -> bool:
    return isinstance(texts, list) and bool(texts) and all(isinstance(text, str) for text in texts)


def _reply(answer: Any, accept: str) -> Reply:
    if not isinstance(answer, np.ndarray):
        return Reply(200, json.dumps(answer).encode())
    if accept == BYTES:
        content = np.ascontiguousarray(answer, dtype=np.float32).tobytes()
        return Reply(200, content, BYTES, ",".join(map(str, answer.shape)))
    return Reply(200, json.dumps({"answers": answer.tolist()}).encode())


def _refusal(words: str) -> Reply:
    return Reply(422, json.dumps({"error": words}).encode())
