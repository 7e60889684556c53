"""The API's description: every endpoint is in the manual, has examples that are right, and names its role."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from autotune.service.access import AccessRole
from autotune.service.api.documented import ROLE
from autotune.service.api.routers import ROUTERS
from autotune.service.settings import ServiceSettings
from tests.service.api.conftest import ServedStore, serving

MANUAL = Path(__file__).parents[3] / "docs" / "service-api.md"
JSON = "application/json"
PROBLEM = "application/problem+json"

ROUTES = sorted(
    (method, route.path) for router in ROUTERS for route in router.routes for method in route.methods
)
"""Every endpoint of the API: method and path."""


@dataclass(frozen=True)
class Described:
    """One operation of the description."""

    method: str
    path: str
    operation: dict[str, Any]

    @property
    def is_open(self) -> bool:
        return self.operation.get("security") == []


@pytest.fixture
def description(served: ServedStore) -> dict[str, Any]:
    found: dict[str, Any] = served.client.get("/openapi.json").json()
    return found


@pytest.fixture
def operations(description: dict[str, Any]) -> list[Described]:
    return [
        Described(method.upper(), path, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]


def bodies(described: Described) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Status, media type and content of each answer."""
    for status, answer in described.operation["responses"].items():
        for media, content in answer.get("content", {}).items():
            yield status, media, content


def test_the_description_has_every_endpoint_and_no_page(operations: list[Described]) -> None:
    assert sorted((described.method, described.path) for described in operations) == ROUTES


def test_every_operation_has_a_name_a_summary_and_a_known_tag(
    description: dict[str, Any], operations: list[Described]
) -> None:
    names = [described.operation["operationId"] for described in operations]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)+", name) for name in names)
    tags = {tag["name"]: tag["description"] for tag in description["tags"]}
    assert all(tags.values())
    for described in operations:
        assert set(described.operation["tags"]) <= tags.keys()
        assert described.operation["summary"]
        assert described.operation["description"]


def test_every_operation_names_its_role_or_is_open(operations: list[Described]) -> None:
    roles = {role.name.lower() for role in AccessRole}
    is_open = {described.path for described in operations if described.is_open}
    assert is_open == {"/health/live", "/health/ready"}
    assert {described.operation[ROLE] for described in operations if not described.is_open} == roles


def test_every_answer_that_has_a_body_has_an_example(operations: list[Described]) -> None:
    lacking = [
        (described.method, described.path, status, media)
        for described in operations
        for status, media, content in bodies(described)
        if "example" not in content and content.get("schema", {}).get("format") != "binary"
    ]
    assert lacking == []


def test_every_body_that_is_sent_has_an_example(
    description: dict[str, Any], operations: list[Described]
) -> None:
    schemas = description["components"]["schemas"]
    for described in operations:
        if "requestBody" in described.operation:
            schema = described.operation["requestBody"]["content"][JSON]["schema"]
            parts = schema.get("oneOf", [schema])
            assert all(schemas[part["$ref"].rpartition("/")[2]]["examples"] for part in parts)


def test_examples_are_what_their_schemas_say(
    description: dict[str, Any], operations: list[Described]
) -> None:
    def check(schema: dict[str, Any], example: Any) -> None:
        whole = {**schema, "components": description["components"]}
        jsonschema.Draft202012Validator(whole).validate(example)

    for described in operations:
        for _, media, content in bodies(described):
            if media in (JSON, PROBLEM):
                check(content["schema"], content["example"])
    for schema in description["components"]["schemas"].values():
        for example in schema.get("examples", ()):
            check(schema, example)


def test_refusals_are_problem_documents(operations: list[Described]) -> None:
    for described in operations:
        for status, media, content in bodies(described):
            if int(status) >= 400:
                assert media == PROBLEM
                assert content["schema"]["$ref"].endswith("/ProblemShape")


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_the_manual_tells_of_every_endpoint(method: str, path: str) -> None:
    short = path.removeprefix("/api/v1")
    assert f"| `{method} {short}` |" in MANUAL.read_text(encoding="utf-8")


def test_the_manual_names_the_role_of_every_endpoint(operations: list[Described]) -> None:
    text = MANUAL.read_text(encoding="utf-8")
    for described in operations:
        role = described.operation.get(ROLE, "none")
        short = described.path.removeprefix("/api/v1")
        assert re.search(rf"^\| `{described.method} {re.escape(short)}` \| {role} \|", text, re.MULTILINE)


def test_the_manual_tells_of_no_endpoint_that_there_is_not() -> None:
    rows = re.findall(r"^\| `([A-Z]+) (/\S+)` \|", MANUAL.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted((method, path.removeprefix("/api/v1")) for method, path in ROUTES)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nobody_unknown_gets_anything_but_health(settings: ServiceSettings, method: str, path: str) -> None:
    filled = re.sub(r"{[a-z_]+}", "0", path)
    body: dict[str, Any] = {"json": {}} if method in ("POST", "PUT", "PATCH") else {}
    with serving(settings, role=None) as served:
        answer = served.client.request(method, filled, **body)
    if path.startswith("/health/"):
        assert answer.status_code == 200
    else:
        assert answer.status_code == 401
        assert answer.json()["type"] == "urn:autotune:problem:access"
