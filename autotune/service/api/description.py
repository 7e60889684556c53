"""The description of the API (OpenAPI): its tags, how one shows a token, and the schema of refusals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from autotune.service.api.shapes import ProblemShape

TAGS: Final = (
    ("jobs", "Ask for a study, a verification or a comparison; look at it; cancel, resume or delete it."),
    ("events", "Follow a job, or the queue, while it happens (server-sent events)."),
    ("studies", "What the store holds of studies and their trials; the dry run of a study."),
    ("plans", "Plans with their evidence; export as files; cost, fleet, and the choice among plans."),
    (
        "machine",
        "The machine, its engines, the models that may be used, and what would improve measurements.",
    ),
    ("schedules", "Plans that are verified every so often."),
    ("service", "Whether the service works, its metrics, and this description."),
)

DESCRIPTION: Final = """Find, prove and export the fastest way to serve a transformer encoder on this machine.

Show your token as `Authorization: Bearer TOKEN`. Every refusal is a problem document (RFC 9457): `detail`
says what happened, `remedy` what to do next, and `errors` names every fault of a body. `docs/service-api.md`
has more.
"""


def describe(app: FastAPI) -> dict[str, Any]:
    """Write the description of an application's API, once for its life."""
    if app.openapi_schema is None:
        described = get_openapi(
            title=app.title,
            version=app.version,
            summary="autotune's service",
            description=DESCRIPTION,
            routes=app.state.api_routes,
            tags=[{"name": name, "description": words} for name, words in TAGS],
        )
        parts = described.setdefault("components", {})
        reference = "#/components/schemas/{model}"
        shape = ProblemShape.model_json_schema(mode="serialization", ref_template=reference)
        parts.setdefault("schemas", {}).update({**shape.pop("$defs", {}), "ProblemShape": shape})
        _restore_examples(app.state.api_routes, described["paths"])
        parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        described["security"] = [{"token": []}]
        app.openapi_schema = described
    return app.openapi_schema


def _restore_examples(routes: Sequence[APIRoute], paths: dict[str, Any]) -> None:
    """Write the examples of answers as they are: what generates the description leaves every null out."""
    for route in routes:
        for method in route.methods:
            answers = paths[route.path][method.lower()]["responses"]
            for status, answer in route.responses.items():
                for media, content in answer.get("content", {}).items():
                    if "example" in content:
                        answers[str(status)]["content"][media]["example"] = content["example"]
