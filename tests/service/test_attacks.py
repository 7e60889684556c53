"""Attacks on a real service through its API: what must not work, does not, and is answered in words."""

from __future__ import annotations

import json
import pickle
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.service.serving import Answered, Served, answered, request_bytes, serving, until

JSON = {"Content-Type": "application/json"}
HOSTILE = (
    """a $(touch pwned) `touch pwned` ';touch pwned;' "&touch pwned&" <script>alert(1)</script> %0d%0aX:y"""
)
"""A file's name that shells, pages and headers could take for their own."""
FAKE = {
    "schema": "autotune.fake/1",
    "serial_s": 0.001,
    "parallel_s_per_token": 1e-7,
    "speed": {"fp32": 1.0},
}
STUDY = {
    "problem": {"batch_size": 2, "sequence_length": 8},
    "measure": {"warmup": "50ms", "block": "50ms", "blocks": 1, "max_blocks": 1, "disturbed": "keep"},
    "search": {"instances": [1], "threads": [1], "knobs": "none"},
    "confirm": {"finalists": 1, "rounds": 3},
    "budget": {"trials": 2, "minutes": 2},
}
ESCAPED = tuple(
    spelling + "etc/passwd"
    for spelling in (
        *(12 * step for step in ("../", "%2e%2e/", "..%2f", "%2e%2e%2f", "..%5c", "..\\", "....//")),
        *(
            12 * step
            for step in ("%252e%252e%252f", "..%252f", "..%c0%af", "%c0%ae%c0%ae/", "..%ef%bc%8f", "..;/")
        ),
        *(
            "/",
            "//",
            "%2f",
            "%2f%2f",
            "file:///",
            "file:%2f%2f%2f",
            "~/../../",
            "%00../",
            "x%00/../../../../",
        ),
    )
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("attacked")
    for name in ("fast", HOSTILE.replace("/", "\u2215")):
        (folder / "models").mkdir(exist_ok=True)
        (folder / "models" / f"{name}.json").write_text(json.dumps(FAKE), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def attacked(folder: Path) -> Iterator[Served]:
    with serving(folder, "--root", "models", "--log-format", "json") as served:
        yield served


@pytest.fixture(scope="module")
def reader(attacked: Served) -> dict[str, str]:
    return {"Authorization": f"Bearer {attacked.add_token('reader', 'read')}"}


@pytest.fixture(scope="module")
def tuner(attacked: Served) -> dict[str, str]:
    return {"Authorization": f"Bearer {attacked.add_token('tuner', 'tune')}"}


@pytest.fixture(scope="module")
def operations(attacked: Served) -> list[tuple[str, str, str]]:
    """Method, path and role of every endpoint."""
    paths = json.loads(attacked.ask("GET", "/openapi.json", attacked.bearer).body)["paths"]
    return [
        (method.upper(), path, operation.get("x-autotune-role", ""))
        for path, operations in paths.items()
        for method, operation in operations.items()
    ]


def post(service: Served, path: str, body: Any, headers: dict[str, str] | None = None) -> Answered:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return service.ask("POST", path, {**(headers or service.bearer), **JSON}, sent)


def submit(service: Served, **study: Any) -> Answered:
    return post(service, "/api/v1/jobs", {"kind": "tune", "study": {"name": "attack", **STUDY, **study}})


def ended(service: Served, answer: Answered) -> dict[str, Any]:
    """Wait for the end of a job."""
    assert answer.status in (201, 202), answer.body
    path = f"/api/v1/jobs/{json.loads(answer.body)['id']}"

    def job() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(service.ask("GET", path, service.bearer).body)
        return found

    assert until(lambda: job()["state"] not in ("queued", "running"), 120)
    return job()


def test_every_endpoint_wants_a_token(attacked: Served, operations: list[tuple[str, str, str]]) -> None:
    for method, path, role in operations:
        headers = {**JSON, "Origin": f"http://{attacked.host}"}
        body = b"{}" if method not in ("GET", "DELETE") else b""
        status = attacked.ask(method, re.sub(r"\{.*?\}", "1", path), headers, body).status
        assert (status == 401) == bool(role), (method, path, status)
    assert len({role for _, _, role in operations}) == 4


def test_a_token_does_no_more_than_its_role(
    attacked: Served,
    operations: list[tuple[str, str, str]],
    reader: dict[str, str],
    tuner: dict[str, str],
) -> None:
    may = {"read": {"", "read"}, "tune": {"", "read", "tune"}}
    for method, path, role in operations:
        if path.endswith("/events"):
            continue
        for name, bearer in (("read", reader), ("tune", tuner)):
            body = b"{}" if method not in ("GET", "DELETE") else b""
            status = attacked.ask(method, re.sub(r"\{.*?\}", "0", path), {**bearer, **JSON}, body).status
            assert (status == 403) == (role not in may[name]), (method, path, role, name, status)


def test_a_token_that_reads_submits_nothing(attacked: Served, reader: dict[str, str]) -> None:
    body = {"kind": "tune", "study": {"name": "s", "model": "fake:fast.json", **STUDY}}
    answer = post(attacked, "/api/v1/jobs", body, reader)
    assert (answer.status, answer.problem["status"]) == (403, 403)
    assert b'"jobs":[]' in attacked.ask("GET", "/api/v1/jobs", attacked.bearer).body.replace(b" ", b"")


@pytest.mark.parametrize("spelling", ESCAPED, ids=range(len(ESCAPED)))
def test_no_spelling_of_a_path_leads_to_a_file(
    attacked: Served, operations: list[tuple[str, str, str]], spelling: str
) -> None:
    targets = {re.sub(r"\{.*?\}", lambda _: spelling, path) for _, path, _ in operations if "{" in path}
    targets |= {f"/static/{spelling}", f"/{spelling}", f"/api/v1/plans/latest/export?to={spelling}"}
    targets |= {f"/jobs/{spelling}", f"/plans/{spelling}", f"/studies/{spelling}", f"/login?next={spelling}"}
    for target in sorted(targets):
        answer = attacked.ask("GET", target, attacked.bearer)
        assert answer.status < 500, target
        assert b"root:" not in answer.body, target


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../fast.json", "fast.json/../../../../../etc/passwd", "/dev/zero"]
)
@pytest.mark.parametrize("kind", ["path", "onnx", "fake"])
def test_a_model_outside_of_the_roots_is_refused(attacked: Served, kind: str, path: str) -> None:
    for target in ("/api/v1/jobs", "/api/v1/studies/validate"):
        study = {"name": "s", "model": f"{kind}:{path}", **STUDY}
        body = {"study": study} if target.endswith("validate") else {"kind": "tune", "study": study}
        answer = post(attacked, target, body)
        assert answer.status == 422
        assert answer.problem["remedy"]


@pytest.mark.parametrize(
    "model",
    ["hf:http://169.254.169.254/x", "hf:169.254.169.254/latest", "http://169.254.169.254/", "hf:a/../b"],
)
def test_an_address_is_no_name_of_the_hub(attacked: Served, model: str) -> None:
    assert submit(attacked, model=model).status == 422


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "tune", "study": {}, "store": "postgresql://evil/x"},
        {"kind": "tune", "study": {"model": "random:minilm-l6", "store": "sqlite:////etc/x"}},
        {
            "kind": "tune",
            "study": {"model": "random:minilm-l6", "launch": {"command": ["sh", "-c", "id"]}, **STUDY},
        },
        {"kind": "tune", "study": {"model": "random:minilm-l6", "trust_remote_code": True, **STUDY}},
        {
            "kind": "tune",
            "study": {"model": "random:minilm-l6", **STUDY, "search": {"knobs": {"allocator": "/x.so"}}},
        },
        {"kind": "tune", "study": "../x", "study_yaml": 3},
        {"kind": "tune", "study_yaml": "model: !!python/object/apply:os.system [id]"},
        {"kind": "tune", "study_yaml": "a: &a [*a]\nb: *a"},
        {"kind": "tune", "path": "/etc/passwd"},
        {"kind": "run", "command": "id"},
        {"kind": "verify", "plan": "../../etc/passwd"},
        {"kind": "verify", "plan": "/etc/passwd"},
        {"kind": "compare", "a": "latest", "b": "file:///etc/passwd"},
        [],
        "x",
        None,
        1e308,
    ],
    ids=range(17),
)
def test_a_body_that_asks_for_more_than_a_study_is_refused(attacked: Served, body: Any) -> None:
    answer = post(attacked, "/api/v1/jobs", body)
    assert answer.status in (400, 404, 422)
    assert answer.problem["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"\x00",
        b'{"kind": "tune", "kind": "verify"}',
        b'{"kind": NaN}',
        b'{"priority": 1' + 5000 * b"0" + b"}",
        b'{"kind": "tune", "study": ' + 50_000 * b"[" + 50_000 * b"]" + b"}",
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b'{"kind": "tune", "study_yaml": "' + 900_000 * b"[" + b'"}',
        b'{"kind": "tune", "study": {"name": "\\ud800"}}',
    ],
    ids=range(11),
)
def test_a_body_that_is_no_document_is_refused_in_words(attacked: Served, body: bytes) -> None:
    answer = post(attacked, "/api/v1/jobs", body)
    assert 400 <= answer.status < 500
    assert answer.problem["detail"]


def test_an_absurd_study_is_refused(attacked: Served) -> None:
    search = {"instances": [*range(1, 1001)], "threads": [*range(1, 1001)]}
    answer = submit(attacked, model="random:minilm-l6", scenario="offline", search=search)
    assert answer.status == 422
    assert "too many" in answer.problem["detail"]


def test_no_answer_has_a_header_that_a_client_wrote(attacked: Served) -> None:
    for value in ("x%0d%0aSet-Cookie:%20a=b", "x%0aSet-Cookie:%20a=b", "x%e5%98%8d%e5%98%8aSet-Cookie:a=b"):
        for target in (f"/login?next=/{value}", f"/{value}", f"/api/v1/plans/{value}/export?to={value}"):
            for headers in ({}, attacked.bearer, {"Accept": "text/html"}):
                answer = attacked.ask("GET", target, headers)
                assert answer.status < 500
                assert "set-cookie" not in answer.headers


def test_no_page_of_another_may_read_an_answer(attacked: Served) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for method in ("OPTIONS", "GET"):
        answer = attacked.ask(method, "/api/v1/jobs", {**asked, **attacked.bearer})
        assert [name for name in answer.headers if name.startswith("access-control")] == []


@pytest.mark.parametrize(
    "path", ["/api/v1/jobs", "/login", "/health/live", "/nothing", "/static/nothing", "/"]
)
def test_every_answer_says_what_a_browser_may_do_with_it(attacked: Served, path: str) -> None:
    for headers in ({}, attacked.bearer, {**attacked.bearer, "Accept": "text/html"}):
        answer = attacked.ask("GET", path, headers)
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] != "public"
        assert "server" not in answer.headers


class Opened:
    """Writes a file when it is loaded from a pickle."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_a_model_that_is_a_pickle_is_never_loaded(attacked: Served, folder: Path) -> None:
    model = folder / "models" / "pickled"
    model.mkdir()
    (model / "config.json").write_text(
        '{"model_type": "bert", "architectures": ["BertModel"]}', encoding="utf-8"
    )
    (model / "pytorch_model.bin").write_bytes(pickle.dumps(Opened(folder / "opened")))
    job = ended(attacked, submit(attacked, name="pickled", model="path:pickled"))
    assert job["state"] == "failed"
    assert "pickle" in json.dumps(job)
    assert not (folder / "opened").exists()


def test_a_model_whose_weights_lie_about_their_size_is_refused(attacked: Served, folder: Path) -> None:
    model = folder / "models" / "lying"
    model.mkdir()
    (model / "config.json").write_text(
        '{"model_type": "bert", "architectures": ["BertModel"]}', encoding="utf-8"
    )
    (model / "model.safetensors").write_bytes(struct.pack("<Q", 2**60) + b"{}")
    assert ended(attacked, submit(attacked, name="lying", model="path:lying"))["state"] == "failed"


@pytest.mark.slow
def test_a_hostile_name_is_text_in_documents_scripts_and_headers(attacked: Served, folder: Path) -> None:
    name = HOSTILE.replace("/", "\u2215")
    job = ended(attacked, submit(attacked, name="hostile", model=f"fake:{name}.json"))
    assert job["state"] == "done", job
    listed = json.loads(attacked.ask("GET", "/api/v1/plans", attacked.bearer).body)["plans"]
    targets = json.loads(attacked.ask("GET", "/api/v1/targets", attacked.bearer).body)["targets"]
    downloaded = 0
    for target in targets:
        path = (
            f"/api/v1/plans/{listed[0]['id']}/export?to={quote(target['name'])}&download=true&allow_loss=true"
        )
        answer = attacked.ask("GET", path, attacked.bearer)
        assert answer.status < 500
        downloaded += answer.status == 200
        disposition = answer.headers.get("content-disposition", 'attachment; filename="x"')
        assert re.fullmatch(r'attachment; filename="[A-Za-z0-9._-]+"', disposition)
        assert not answer.headers["content-type"].startswith("text/html")
    assert downloaded
    for path in ("/", f"/jobs/{job['id']}", f"/plans/{listed[0]['id']}", "/studies/hostile", "/compare"):
        page = attacked.ask("GET", path, {**attacked.bearer, "Accept": "text/html"})
        assert page.status == 200
        assert b"<script>alert" not in page.body
    shown = attacked.ask("GET", f"/plans/{listed[0]['id']}", {**attacked.bearer, "Accept": "text/html"})
    assert b"&lt;script&gt;alert" in shown.body
    assert list(folder.rglob("pwned")) == []


def test_what_was_attacked_still_answers_and_met_no_bug(attacked: Served) -> None:
    assert (
        answered(attacked.port, request_bytes("GET", "/health/ready", {"Host": attacked.host})).status == 200
    )
    lines = (attacked.folder / "service.log").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if json.loads(line)["level"] in ("error", "critical")] == []
