"""Every refusal over HTTP: its status, its type and the command line's texts."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from autotune import errors
from autotune.errors import AutotuneError, FileFault
from autotune.service.problems import (
    PROBLEM_JSON,
    STATUSES,
    error_response,
    install_problems,
    problem_status,
    problem_type,
)
from autotune.spec.load import parse_study


def tree(cls: type[AutotuneError]) -> Iterator[type[AutotuneError]]:
    yield cls
    for child in cls.__subclasses__():
        yield from tree(child)


CLASSES = tuple(cls for cls in tree(AutotuneError) if cls.__module__ == errors.__name__)


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_has_a_status_of_its_own(cls: type[AutotuneError]) -> None:
    assert 400 <= STATUSES[cls] < 600


def test_types_of_problems_tell_the_errors_apart() -> None:
    types = [problem_type(cls("it is wrong")) for cls in CLASSES]
    assert len(set(types)) == len(CLASSES)
    assert "urn:autotune:problem:study-file" in types


def test_a_subclass_of_somebody_else_has_its_nearest_bases_status() -> None:
    class DustyStoreError(errors.StoreError):
        """A store that nobody has seen yet."""

    error = DustyStoreError("it is dusty")
    assert problem_status(error) == STATUSES[errors.StoreError]
    assert problem_type(error) == "urn:autotune:problem:store"


def test_a_problem_has_the_errors_texts() -> None:
    response = error_response(errors.JobConflictError("the job 1 is done", remedy="ask for a new job"))
    assert (response.status_code, response.media_type) == (409, PROBLEM_JSON)
    assert json.loads(response.body) == {
        "type": "urn:autotune:problem:job-conflict",
        "title": "Conflict",
        "status": 409,
        "detail": "the job 1 is done",
        "remedy": "ask for a new job",
    }


def test_a_wrong_study_is_told_fault_by_fault_with_the_lines_of_its_text() -> None:
    with pytest.raises(errors.StudyFileError) as refused:
        parse_study("model: fake:m.json\nproblem: {batch_size: 0}\nbudgte: 3\n", name="wrong")
    problem = json.loads(error_response(refused.value).body)
    assert problem["detail"] == refused.value.problem
    assert [(fault["path"], fault["line"]) for fault in problem["errors"]] == [
        (fault.path, fault.line or None) for fault in refused.value.faults
    ]
    assert ("budgte", 3) in [(fault["path"], fault["line"]) for fault in problem["errors"]]
    assert all(fault["fault"] in problem["detail"] for fault in problem["errors"])


def test_one_fault_of_a_study_has_its_place_too() -> None:
    with pytest.raises(errors.StudyFileError) as refused:
        parse_study("model: fake:m.json\nproblem: {batch_size: 1, sequence_length: 0}\n", name="wrong")
    (fault,) = refused.value.faults
    assert (fault.path, fault.line) == ("problem.sequence_length", 2)
    assert errors.StudyFileError("x", path="a.b").faults == (FileFault("a.b", 0, "x"),)


def test_who_shows_no_token_is_asked_for_one_and_who_may_not_is_refused() -> None:
    error = errors.AccessError("this needs the role tune")
    unknown, known = error_response(error, is_known=False), error_response(error)
    assert (unknown.status_code, known.status_code) == (401, 403)
    assert unknown.headers["www-authenticate"].startswith("Bearer")
    assert "www-authenticate" not in known.headers


def test_a_busy_service_says_when_to_come_again() -> None:
    response = error_response(errors.BusyError("too many listen", after_s=7))
    assert (response.status_code, response.headers["retry-after"]) == (503, "7")


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = FastAPI()
    install_problems(app)

    @app.get("/broken")
    def broken() -> None:
        raise ZeroDivisionError("secret words")

    @app.post("/number")
    def number(rate: dict[str, int]) -> dict[str, int]:
        return rate

    with TestClient(app, raise_server_exceptions=False) as opened:
        yield opened


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind"),
    [
        ("GET", "/nothing", "", 404, "not-found"),
        ("PUT", "/number", "", 405, "method-not-allowed"),
        ("POST", "/number", "{", 400, "json"),
        ("POST", "/number", '{"a": "x"}', 422, "request"),
        ("GET", "/broken", "", 500, "bug"),
    ],
)
def test_what_the_framework_refuses_is_a_problem_as_well(
    client: TestClient, method: str, path: str, body: str, status: int, kind: str
) -> None:
    response = client.request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == status
    assert response.headers["content-type"] == PROBLEM_JSON
    assert response.json()["type"] == f"urn:autotune:problem:{kind}"
    assert response.json()["status"] == status


def test_a_wrong_value_of_a_body_is_named_by_its_place(client: TestClient) -> None:
    (fault,) = client.post("/number", json={"a": "x"}).json()["errors"]
    assert fault["path"] == "a"


def test_a_bug_tells_a_client_nothing_of_its_insides(client: TestClient) -> None:
    assert "secret" not in client.get("/broken").text
