"""From where requests may come: DNS rebinding, cross-origin forms, and types that browsers send unasked."""

from __future__ import annotations

import pytest

from autotune.service.guard.origins import check_host, check_origin
from autotune.service.guard.turned_away import TurnedAway
from tests.service.guard.test_access import FORM, cookie_of, sign_in
from tests.service.serving import Served, answered, request_bytes

JSON = {"Content-Type": "application/json"}
JOBS = "/api/v1/jobs"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1.evil.example:{port}",
        "127.0.0.2:{port}",
        "localhost.evil.example",
        "tuning.example.evil.example",
        "xtuning.example",
        "0.0.0.0:{port}",
        "2130706433:{port}",
        "0x7f.1:{port}",
        "127.1:{port}",
        "[::1]:{port}",
        "user@127.0.0.1:{port}",
        "127.0.0.1:{port}/x",
        "127.0.0.1:99999999",
        "127.0.0.1 evil.example",
        "",
    ],
    ids=range(17),
)
def test_a_host_that_is_no_name_of_the_service_is_refused(service: Served, host: str) -> None:
    headers = {"Host": host.format(port=service.port), **service.bearer}
    answer = answered(service.port, request_bytes("GET", "/openapi.json", headers))
    assert answer.status in (400, 421)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "tuning.example", "Tuning.Example."])
@pytest.mark.parametrize("port", ["", ":{port}", ":9000"])
def test_names_of_the_service_are_taken_at_every_port_as_tunnels_have_their_own(
    service: Served, host: str, port: str
) -> None:
    headers = {"Host": host + port.format(port=service.port), **service.bearer}
    assert answered(service.port, request_bytes("GET", "/openapi.json", headers)).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "sent",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://{host}"},
        {"Origin": "http://{host}.evil.example"},
        {"Origin": "http://{host}", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "null", "Sec-Fetch-Site": "same-site"},
    ],
    ids=range(9),
)
def test_a_page_of_somebody_else_changes_nothing(service: Served, method: str, sent: dict[str, str]) -> None:
    session = cookie_of(sign_in(service, service.token))
    headers = {name: value.format(host=service.host) for name, value in sent.items()}
    for identity in (session, service.bearer):
        for kind in (FORM, JSON):
            answer = service.ask(method, JOBS, {**identity, **headers, **kind}, b"{}")
            assert (answer.status, answer.problem["type"]) == (403, "urn:autotune:problem:origin")


def test_a_session_changes_nothing_without_showing_where_it_asks_from(service: Served) -> None:
    session = cookie_of(sign_in(service, service.token))
    assert service.ask("POST", JOBS, {**session, **JSON}, b"{}").status == 403


@pytest.mark.parametrize(
    "proof",
    [
        {"Origin": "http://{host}"},
        {"Origin": "http://{host}", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
    ],
    ids=range(4),
)
def test_a_page_of_the_service_may_ask_for_changes(service: Served, proof: dict[str, str]) -> None:
    session = cookie_of(sign_in(service, service.token))
    headers = {name: value.format(host=service.host) for name, value in proof.items()}
    answer = service.ask("POST", "/api/v1/nothing", {**session, **headers, **JSON}, b"{}")
    assert answer.status == 404


def test_a_cross_origin_form_signs_nobody_in(service: Served) -> None:
    body = f"token={service.token}".encode()
    for origin in ({"Origin": "https://evil.example"}, {}):
        answer = service.ask("POST", "/login", {**FORM, **origin}, body)
        assert (answer.status, answer.headers.get("set-cookie")) == (403, None)


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json, text/plain",
        "application/jsonx",
        "text/plain; application/json",
        "application/json; charset=utf-16",
        "",
    ],
    ids=range(8),
)
def test_only_json_is_read_as_json(service: Served, kind: str) -> None:
    answer = service.ask("POST", JOBS, {**service.bearer, "Content-Type": kind}, b'{"kind": "tune"}')
    assert (answer.status, answer.problem["type"]) == (415, "urn:autotune:problem:content-type")


def test_a_body_without_a_type_or_a_compressed_one_is_not_read(service: Served) -> None:
    assert service.ask("POST", JOBS, service.bearer, b"{}").status == 415
    packed = {**service.bearer, **JSON, "Content-Encoding": "gzip"}
    assert service.ask("POST", JOBS, packed, b"{}").status == 415


def test_json_with_its_usual_charset_is_read(service: Served) -> None:
    kind = {"Content-Type": 'application/json; charset="UTF-8"'}
    assert service.ask("POST", "/api/v1/nothing", {**service.bearer, **kind}, b"{}").status == 404


def test_json_that_is_nested_without_end_is_refused(service: Served) -> None:
    body = b'{"kind": "tune", "study": ' + 100_000 * b"[" + 100_000 * b"]" + b"}"
    answer = service.ask("POST", JOBS, {**service.bearer, **JSON}, body)
    assert 400 <= answer.status < 500


def scope_of(server: str, host: str, **others: object) -> dict[str, object]:
    return {
        "type": "http",
        "method": "POST",
        "path": "/",
        "scheme": "http",
        "server": (server, 8787),
        "headers": [(b"host", host.encode())],
        **others,
    }


@pytest.mark.parametrize(
    ("server", "host"),
    [("10.0.0.7", "10.0.0.7:8787"), ("::ffff:10.0.0.7", "10.0.0.7"), ("fe80::1%eth0", "[fe80::1]:8787")],
)
def test_the_address_that_was_reached_is_a_name_of_the_service(server: str, host: str) -> None:
    check_host(scope_of(server, host), ())


@pytest.mark.parametrize(
    ("server", "host"), [("10.0.0.7", "localhost"), ("10.0.0.7", "127.0.0.1"), ("", "x")]
)
def test_what_means_another_machine_to_the_browser_is_none(server: str, host: str) -> None:
    with pytest.raises(TurnedAway):
        check_host(scope_of(server, host), ())


@pytest.mark.parametrize(("scheme", "port"), [("http", ":80"), ("https", ":443")])
def test_the_usual_port_of_an_origin_may_be_left_out(scheme: str, port: str) -> None:
    for host, origin in (("a.b", f"{scheme}://a.b{port}"), (f"a.b{port}", f"{scheme}://a.b")):
        headers = [(b"host", host.encode()), (b"origin", origin.encode())]
        check_origin(scope_of("10.0.0.7", "", scheme=scheme, headers=headers), by_browser=True)
