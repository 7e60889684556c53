"""Who is let in: by a token, a link once, or a session; and who is not."""

from __future__ import annotations

import base64
import json
import stat
import time
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from autotune.errors import ServiceError
from autotune.service.access import AccessRole
from autotune.service.guard.failures import FAILURES
from autotune.service.guard.sessions import SESSION_S, Sessions
from autotune.service.guard.tokens import TokenStore
from tests.service.serving import Answered, Served, answered, run_autotune, serving

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PRIVATE = ("/", "/api/v1/jobs", "/openapi.json", "/metrics", "/jobs/x", "/nothing", "/api/v1/nothing")


def sign_in(service: Served, token: str, **fields: str) -> Answered:
    body = urlencode({"token": token, **fields}).encode()
    return service.ask("POST", "/login", {**FORM, "Origin": f"http://{service.host}"}, body)


def cookie_of(answer: Answered) -> dict[str, str]:
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


@pytest.mark.parametrize("path", PRIVATE)
def test_nobody_is_let_in_without_a_token(service: Served, path: str) -> None:
    answer = service.ask("GET", path)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "token" in answer.problem["detail"]


@pytest.mark.parametrize("path", PRIVATE)
def test_nobody_is_let_in_with_a_wrong_token_or_one_in_the_query(service: Served, path: str) -> None:
    target = f"{path}?token={service.token}&access_token={service.token}&code={service.token}"
    assert service.ask("GET", target).status == 401


def test_the_token_opens_what_is_there(service: Served) -> None:
    assert service.ask("GET", "/openapi.json", service.bearer).status == 200
    assert service.ask("GET", "/api/v1/nothing", service.bearer).status == 404


@pytest.mark.parametrize(
    "shown",
    [
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Basic {basic}",
        "Token {token}",
        "{token}",
        "Bearer {token}x",
        "Bearer {token} {token}",
        "Bearer \xe9\xff",
        "Bearer {short}",
    ],
    ids=range(10),
)
def test_only_a_bearer_token_that_is_whole_is_taken(service: Served, shown: str) -> None:
    basic = base64.b64encode(f"operator:{service.token}".encode()).decode()
    header = shown.format(token=service.token, basic=basic, short=service.token[:-1])
    request = f"GET /openapi.json HTTP/1.1\r\nHost: {service.host}\r\nAuthorization: {header}\r\n\r\n"
    assert answered(service.port, request.encode("latin-1")).status in (401, 429)


def test_after_many_wrong_tokens_an_address_has_to_wait_but_the_right_token_is_taken(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with serving(tmp_path_factory.mktemp("guessed")) as service:
        wrong = {"Authorization": "Bearer autotune_" + 43 * "x"}
        statuses = [service.ask("GET", "/openapi.json", wrong).status for _ in range(FAILURES)]
        assert set(statuses) == {401}
        answer = service.ask("GET", "/openapi.json", wrong)
        assert answer.status == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert sign_in(service, "autotune_" + 43 * "x").status == 429
        assert service.ask("GET", "/openapi.json", service.bearer).status == 200


def test_the_link_signs_a_browser_in_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    with serving(tmp_path_factory.mktemp("link")) as service:
        parts = urlsplit(service.link)
        target = f"{parts.path}?{parts.query}"
        assert service.token not in service.link
        assert "set-cookie" not in service.ask("HEAD", target).headers
        first = service.ask("GET", target)
        assert first.status == 200
        again = service.ask("GET", target)
        assert (again.status, again.headers.get("set-cookie")) == (401, None)
        assert service.ask("GET", "/openapi.json", cookie_of(first)).status == 200
        assert service.ask("GET", target, cookie_of(first)).status == 303  # who is in goes on
        attributes = {part.strip() for part in first.headers["set-cookie"].split(";")[1:]}
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= attributes
        assert first.headers["referrer-policy"] == "no-referrer"


def test_a_token_in_the_form_signs_in_and_signing_out_ends_this_session_wherever_its_cookie_is(
    service: Served,
) -> None:
    answer = sign_in(service, service.token, next="/plans/x?a=b")
    assert answer.status == 200
    assert b'url=/plans/x?a=b"' in answer.body
    signed_in = cookie_of(answer)
    assert service.ask("GET", "/openapi.json", signed_in).status == 200
    out = service.ask("POST", "/logout", {**signed_in, "Origin": f"http://{service.host}"})
    assert (out.status, out.headers["location"]) == (303, "/login")
    assert "Max-Age=0" in out.headers["set-cookie"]
    assert service.ask("GET", "/openapi.json", signed_in).status == 401
    other = cookie_of(sign_in(service, service.token))
    assert service.ask("GET", "/openapi.json", other).status == 200


def test_a_session_that_was_ended_stays_so_when_the_service_is_started_again(tmp_path: Path) -> None:
    tokens = TokenStore(tmp_path)
    sessions = Sessions(tokens, tmp_path, 1)
    holder = tokens.find(tokens.add("somebody", AccessRole.READ))
    assert holder is not None
    ended, kept = (sessions.set_cookie(holder, secure=False).partition(";")[0] for _ in range(2))
    sessions.end(ended, secure=False)
    for again in (sessions, Sessions(tokens, tmp_path, 1)):
        assert again.holder(ended, secure=False) is None
        assert again.holder(kept, secure=False) is not None
    later = Sessions(tokens, tmp_path, 1, clock=lambda: time.time() + SESSION_S + 1)
    assert later.holder(kept, secure=False) is None


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/\tx", "evil", ""],
)
def test_signing_in_leads_nowhere_else(service: Served, target: str) -> None:
    answer = sign_in(service, service.token, next=target)
    assert answer.status == 200
    assert b'content="0; url=/"' in answer.body


def test_after_a_wrong_token_the_form_still_knows_where_to_go(service: Served) -> None:
    answer = sign_in(service, "autotune_wrong", next="/plans/x")
    if answer.status != 429:  # tests before this one may have shown many wrong ones
        assert answer.status == 303
        assert answer.headers["location"] == "/login?failed=token&next=%2Fplans%2Fx"


@pytest.mark.parametrize(
    "body", [b"&" * 4000, b"a=b&" * 1000, b"\xff" * 100, b"token", b"=", b"%"], ids=range(6)
)
def test_a_form_that_is_none_is_a_wrong_token(service: Served, body: bytes) -> None:
    headers = {**FORM, "Origin": f"http://{service.host}"}
    assert service.ask("POST", "/login", headers, body).status in (303, 429)
    assert service.ask("GET", f"/login?code=x&{'a=b&' * 20}").status in (401, 429)


def test_a_path_that_holds_markup_is_written_as_text(service: Served) -> None:
    answer = sign_in(service, service.token, next='/"><script>alert(1)</script>')
    assert b"<script>" not in answer.body


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_no_part_of_a_session_can_be_changed(service: Served, number: int) -> None:
    name, _, value = cookie_of(sign_in(service, service.token))["Cookie"].partition("=")
    parts = value.split(".")
    parts[number] = parts[number][:-1] + ("1" if parts[number][-1] != "1" else "2")
    assert service.ask("GET", "/openapi.json", {"Cookie": f"{name}={'.'.join(parts)}"}).status == 401


@pytest.mark.parametrize("value", ["", ".", "..", "1.b.c", f"{10**30}.b3BlcmF0b3I.x", "1.\xff.x", "a" * 4000])
def test_a_cookie_that_is_no_session_is_nobody(service: Served, value: str) -> None:
    cookie = {"Cookie": f"autotune-{service.port}={value}"}
    assert service.ask("GET", "/openapi.json", cookie).status == 401


def test_a_browser_without_a_session_is_led_to_the_form_and_back(service: Served) -> None:
    answer = service.ask("GET", "/plans/x?tab=cost", {"Accept": "text/html,*/*"})
    assert (answer.status, answer.headers["location"]) == (303, "/login?next=%2Fplans%2Fx%3Ftab%3Dcost")


def test_tokens_come_and_go_while_the_service_runs(service: Served) -> None:
    token = service.add_token("pipeline", "tune")
    bearer = {"Authorization": f"Bearer {token}"}
    assert service.ask("GET", "/openapi.json", bearer).status == 200
    session = cookie_of(sign_in(service, token))
    assert service.ask("GET", "/openapi.json", session).status == 200
    listed = run_autotune("serve", "token", "list", "--json", folder=service.folder)
    assert [(row["name"], row["role"]) for row in json.loads(listed.stdout)] == [
        ("operator", "admin"),
        ("pipeline", "tune"),
    ]
    assert run_autotune("serve", "token", "remove", "pipeline", folder=service.folder).returncode == 0
    assert service.ask("GET", "/openapi.json", bearer).status in (401, 429)
    assert service.ask("GET", "/openapi.json", session).status == 401


def test_a_name_of_a_token_is_taken_once_and_holds_no_path(tmp_path: Path) -> None:
    tokens = TokenStore(tmp_path / "state")
    tokens.add("twice", AccessRole.READ)
    for name in ("twice", "operator", "../x", "", "a b", "x" * 65):
        with pytest.raises(ServiceError):
            tokens.add(name, AccessRole.READ)
    for name in ("nobody", "operator"):
        with pytest.raises(ServiceError):
            tokens.remove(name)
    assert [holder.name for holder in tokens.holders()] == ["operator", "twice"]


def test_secrets_lie_in_files_of_their_own_user_alone_and_no_added_token_is_kept(service: Served) -> None:
    token = service.add_token("kept", "read")
    state = service.folder / ".autotune"
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    for name in ("token", "tokens.json", "session.key"):
        assert stat.S_IMODE((state / name).stat().st_mode) == 0o600, name
    assert token not in (state / "tokens.json").read_text(encoding="utf-8")


def test_a_token_file_that_others_may_read_is_refused(service: Served) -> None:
    state = service.folder / "others"
    state.mkdir(mode=0o700)
    (state / "token").write_text("autotune_" + 43 * "x", encoding="ascii")
    (state / "token").chmod(0o644)
    refused = run_autotune("serve", "--port", "0", "--state", "others", folder=service.folder)
    assert refused.returncode == 18
    assert "others may read the secret" in refused.stderr
