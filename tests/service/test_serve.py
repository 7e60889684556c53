"""`autotune serve` as an operator meets it: where it listens, what it refuses, how it ends, what it logs."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from autotune.errors import ServiceError, StoreError
from autotune.machine.cpus import format_cpu_list
from autotune.service.binding import check_exposure, is_loopback
from autotune.service.redaction import redacted
from autotune.service.running import browser_url, own_url, run_service
from autotune.service.settings import ServiceSettings
from autotune.service.stated import check_stated
from tests.service.serving import (
    Served,
    answered,
    impatient,
    is_closed,
    read_answer,
    request_bytes,
    run_autotune,
    serving,
    stop,
    until,
)

WITHIN_S = 10


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *(
                "-nodes",
                "-keyout",
                str(key),
                "-out",
                str(certificate),
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
            ),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


def refusal(folder: Path, *options: str) -> str:
    ended = run_autotune("serve", "--port", "0", *options, folder=folder)
    assert (ended.returncode, ended.stdout) == (18, "")
    assert ended.stderr.startswith("error: ")
    assert "Traceback" not in ended.stderr
    return ended.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", "", "127.0.0.1.example.com"])
def test_listening_to_other_machines_is_refused_unless_it_is_said(host: str) -> None:
    with pytest.raises(ServiceError, match="--public"):
        check_exposure(ServiceSettings(host=host))


def test_listening_to_other_machines_needs_tls_or_a_proxy(tmp_path: Path) -> None:
    told = refusal(tmp_path, "--host", "0.0.0.0", "--public")
    assert "--tls-certificate" in told
    assert "--behind-proxy" in told
    check_exposure(ServiceSettings(host="0.0.0.0", public=True, proxies=("10.0.0.5",)))
    check_exposure(ServiceSettings(host="0.0.0.0", public=True, certificate=Path("c"), key=Path("k")))


@pytest.mark.parametrize("address", ["*", "0.0.0.0/0", "::/0", "proxy.example", "10.0.0.0/33"])
def test_nobody_is_believed_to_be_a_proxy_but_by_an_address(address: str) -> None:
    with pytest.raises(ServiceError, match=r"proxy|everybody"):
        check_exposure(ServiceSettings(host="0.0.0.0", public=True, proxies=(address,)))


def test_tls_needs_both_files_and_they_must_belong_together(tmp_path: Path, tls: tuple[Path, Path]) -> None:
    certificate, key = map(str, tls)
    assert "--tls-key" in refusal(tmp_path, "--tls-certificate", certificate)
    assert "cannot be read" in refusal(tmp_path, "--tls-certificate", certificate, "--tls-key", "absent")
    assert "no certificate" in refusal(tmp_path, "--tls-certificate", key, "--tls-key", certificate)


WITHOUT = (
    "import sys\nfor name in ('fastapi', 'uvicorn', 'starlette', 'multipart'): sys.modules[name] = None\n"
)
"""Has Python find none of the packages of the extra."""


def test_without_the_extra_the_service_says_what_to_install_and_all_else_works(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT, encoding="utf-8")
    bare = {"PYTHONPATH": str(tmp_path)}
    ended = run_autotune("serve", "--port", "0", folder=tmp_path, environment=bare)
    assert ended.returncode == 18
    assert "pip install fastapi uvicorn" in ended.stderr
    for words in (("--help",), ("serve", "--help"), ("plans",), ("serve", "token", "add", "x")):
        assert "Traceback" not in run_autotune(*words, folder=tmp_path, environment=bare).stderr


def test_a_port_that_is_taken_is_said_in_a_sentence_with_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_autotune("serve", "--port", str(port), folder=tmp_path)
    assert ended.returncode == 18
    assert f"port {port} of 127.0.0.1 is taken" in ended.stderr
    assert "--port" in ended.stderr
    assert not (tmp_path / "autotune.db").exists()


def test_cpus_that_are_not_there_or_that_leave_none_are_refused(tmp_path: Path) -> None:
    assert "--cpus" in refusal(tmp_path, "--cpus", "60000")
    everything = format_cpu_list(frozenset(os.sched_getaffinity(0)))
    assert "none is left" in refusal(tmp_path, "--cpus", everything)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (ServiceSettings(roots=(Path("/nowhere"),)), "--root"),
        (ServiceSettings(names=("a b",)), "--name"),
        (ServiceSettings(names=("https://tune.example.org",)), "--name"),
        (ServiceSettings(webhook_hosts=("http://x/",)), "--webhook-host"),
    ],
    ids=["root", "blank", "scheme", "webhook"],
)
def test_what_could_never_work_is_refused_at_the_start(settings: ServiceSettings, told: str) -> None:
    with pytest.raises(ServiceError, match=told):
        run_service(settings)


def test_hosts_are_taken_as_requests_name_them(tmp_path: Path) -> None:
    names, hooks = ("tune.example.org", "10.0.0.4", "[::1]", "host_1"), ("hooks.example.org:8443", "[::1]:9")
    check_stated(ServiceSettings(roots=(tmp_path,), names=names, webhook_hosts=hooks))


def test_tokens_of_no_service_are_neither_listed_nor_made_by_looking(tmp_path: Path) -> None:
    for words in (("list",), ("remove", "x")):
        ended = run_autotune("serve", "token", *words, "--state", "gone", folder=tmp_path)
        assert (ended.returncode, ended.stdout) == (18, "")
        assert "no service has its state in 'gone'" in ended.stderr
    assert not (tmp_path / "gone").exists()
    made = run_autotune("serve", "token", "add", "x", "--state", "gone", folder=tmp_path)
    assert made.returncode == 0
    assert "no service had its state in 'gone'" in made.stderr


def test_a_state_folder_that_others_may_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o777)
    assert "chmod go-w" in refusal(tmp_path, "--state", "state")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_soon_though_clients_listen_and_others_are_in_the_middle(
    tmp_path: Path, number: int
) -> None:
    with serving(tmp_path) as service:
        connections = [socket.create_connection(("127.0.0.1", service.port), timeout=30) for _ in range(12)]
        streams, halves, idle = connections[:4], connections[4:8], connections[8:]
        for stream in streams:
            stream.sendall(request_bytes("GET", "/api/v1/events", {"Host": service.host, **service.bearer}))
            assert read_answer(stream).headers["content-type"].startswith("text/event-stream")
        for half in halves:
            half.sendall(request_bytes("POST", "/api/v1/jobs", {"Host": service.host, "X": "y"})[:-4])
        for waiting in idle:
            waiting.sendall(request_bytes("GET", "/health/live", {"Host": service.host}))
            assert read_answer(waiting).status == 200
        assert "another service runs with the state folder" in refusal(tmp_path)
        assert (tmp_path / ".autotune" / "address").exists()
        assert stop(service.process, number, WITHIN_S) == 0
        for connection in connections:
            connection.close()
        log = (tmp_path / "service.log").read_text(encoding="utf-8")
        assert "Traceback" not in log
        assert not (tmp_path / ".autotune" / "address").exists()


def test_a_service_can_be_started_again_at_once_on_its_port_and_knows_its_clients(tmp_path: Path) -> None:
    with serving(tmp_path) as first:
        port, bearer = first.port, first.bearer
        assert first.ask("GET", "/health/live").status == 200
    with serving(tmp_path, "--port", str(port)) as again:
        assert again.port == port
        assert again.ask("GET", "/openapi.json", bearer).status == 200


def test_under_tls_cookies_are_for_tls_alone(tmp_path: Path, tls: tuple[Path, Path]) -> None:
    certificate, key = map(str, tls)
    with serving(tmp_path, "--tls-certificate", certificate, "--tls-key", key) as service:
        assert service.link.startswith("https://127.0.0.1:")
        context = ssl.create_default_context(cafile=certificate)
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2

        def ask(target: str, headers: dict[str, str]) -> tuple[int, str]:
            with (
                socket.create_connection(("127.0.0.1", service.port), timeout=30) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as wrapped,
            ):
                wrapped.sendall(request_bytes("GET", target, {"Host": service.host, **headers}))
                answer = read_answer(wrapped)
                return answer.status, answer.headers.get("set-cookie", "")

        status, cookie = ask("/login" + service.link.partition("/login")[2], {})
        assert status == 200
        assert cookie.startswith("__Host-")
        assert "; Secure" in cookie
        assert ask("/openapi.json", {"Cookie": cookie.partition(";")[0]})[0] == 200
        assert ask("/openapi.json", {})[0] == 401
        with pytest.raises((ConnectionError, ValueError, IndexError)):
            answered(service.port, request_bytes("GET", "/health/live", {"Host": service.host}))


def test_who_begins_tls_and_says_no_more_is_not_waited_for(tmp_path: Path, tls: tuple[Path, Path]) -> None:
    certificate, key = tls
    files = f"certificate=Path({str(certificate)!r}), key=Path({str(key)!r})"
    with impatient(tmp_path, f"{files}, times=TimeLimits(handshake_s=0.5)") as service:
        for sent in (b"", b"\x16\x03\x01\x02\x00\x01"):
            with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
                connection.sendall(sent)
                assert is_closed(connection)
    assert "Traceback" not in (tmp_path / "service.log").read_text(encoding="utf-8")


def test_only_the_stated_proxy_is_believed_about_tls_and_names(tmp_path: Path) -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9", "Host": "tune.example"}
    form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://tune.example"}

    def sign_in(service: Served) -> int:
        return service.ask("POST", "/login", {**forwarded, **form}, f"token={service.token}".encode()).status

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with serving(tmp_path / "a", "--name", "tune.example", "--behind-proxy", "127.0.0.1") as service:
        assert sign_in(service) == 200
        assert service.ask("GET", "/health/live", {**forwarded, "Host": "evil.example"}).status == 421
    with serving(tmp_path / "b", "--name", "tune.example", "--behind-proxy", "192.0.2.7") as service:
        assert sign_in(service) == 403


def test_every_change_and_refusal_is_noted_with_who_asked_and_without_secrets(tmp_path: Path) -> None:
    with serving(tmp_path, "--log-format", "json") as service:
        token = service.add_token("ci", "read")
        bearer = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        service.ask("POST", "/api/v1/jobs?token=" + token, bearer, b'{"kind": "verify", "plan": "x"}')
        service.ask("GET", "/openapi.json?code=" + service.token, {"Authorization": "Bearer wrong-wrong"})
        service.ask("GET", "/openapi.json", bearer)
        secrets = [token, service.token, service.link.partition("code=")[2], "wrong-wrong"]
    log = (tmp_path / "service.log").read_text(encoding="utf-8")
    noted = [record for record in map(json.loads, log.splitlines()) if record["logger"] == "autotune.audit"]
    assert [(line.get("who"), line["method"], line["path"], line["status"]) for line in noted] == [
        ("ci", "POST", "/api/v1/jobs", 403),
        (None, "GET", "/openapi.json", 401),
    ]
    assert all(line["client"] == "127.0.0.1" for line in noted)
    assert [secret for secret in secrets if secret in log] == []


def test_a_password_of_the_store_is_in_no_message(tmp_path: Path) -> None:
    url = "postgresql+psycopg://tuner:hunter2-hunter2@127.0.0.1:1/autotune"
    ended = run_autotune("serve", "--port", "0", "--store", url, folder=tmp_path)
    assert ended.returncode == 12
    assert "hunter2" not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    "url", ["", "x", "sqlite://", "x://y:z@w:port/", "sqlite:///:memory:", "mysql://h/d"]
)
def test_a_store_that_is_none_is_refused_in_words(tmp_path: Path, url: str) -> None:
    with pytest.raises(StoreError):
        run_service(ServiceSettings(store=url, port=0, state=tmp_path / "state"))


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me:SECRET-1@host/db",
        "https://me:SECRET-1@hooks.example/x",
        "https://hooks.example/x?token=SECRET-1&a=b",
        "GET /login?code=SECRET-1",
        "Authorization: Bearer SECRET-1",
        "authorization: basic SECRET-1=",
        "the token autotune_SECRET-1SECRET-1SECRET-1 of",
        "hf_SECRET1SECRET1SECRET1SECRET1",
    ],
)
def test_secrets_are_taken_out_of_texts(text: str) -> None:
    assert "SECRET" not in redacted(text)
    assert "***" in redacted(text)


@pytest.mark.parametrize(
    "text", ["http://127.0.0.1:8787/plans", "at 12:30 a@b.c", "hf:org/name", "bearer of news"]
)
def test_texts_without_secrets_stay_as_they_are(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize(
    ("settings", "own", "link"),
    [
        ({}, "http://127.0.0.1:1", "http://127.0.0.1:1"),
        ({"host": "::1"}, "http://[::1]:1", "http://[::1]:1"),
        ({"host": "0.0.0.0", "certificate": Path("c")}, "https://127.0.0.1:1", "https://127.0.0.1:1"),
        ({"names": ("a.b", "c.d")}, "http://127.0.0.1:1", "http://a.b:1"),
        ({"names": ("a.b",), "proxies": ("10.0.0.5",)}, "http://127.0.0.1:1", "https://a.b"),
    ],
    ids=range(5),
)
def test_the_link_is_what_a_browser_can_open(settings: dict[str, Any], own: str, link: str) -> None:
    assert own_url(ServiceSettings(**settings), 1) == own
    assert browser_url(ServiceSettings(**settings), 1) == link


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"])
def test_only_loopback_is_loopback(host: str) -> None:
    assert is_loopback(host)


def test_two_services_on_one_host_have_sessions_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with serving(tmp_path / "a") as a, serving(tmp_path / "b") as b:
        target = "/login" + a.link.partition("/login")[2]
        cookie = a.ask("GET", target).headers["set-cookie"].partition(";")[0]
        assert a.ask("GET", "/openapi.json", {"Cookie": cookie}).status == 200
        renamed = cookie.replace(str(a.port), str(b.port), 1)
        assert b.ask("GET", "/openapi.json", {"Cookie": renamed}).status == 401
        assert b.ask("GET", target).status == 401


def test_it_leaves_no_process_behind_and_sleeps_while_nobody_asks(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        assert service.ask("GET", "/health/live").status == 200
        status = Path(f"/proc/{service.process.pid}/status")

        def switches() -> int:
            text = status.read_text(encoding="ascii")
            return int(text.split("voluntary_ctxt_switches:")[1].split()[0])

        assert until(lambda: not list(children(service.process.pid)), 10)
        time.sleep(1)
        before = switches()
        time.sleep(2)
        assert switches() - before < 10
    assert not Path(f"/proc/{service.process.pid}").exists()


def children(pid: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                found.append(int(folder.name))
    return found


def test_its_process_runs_where_the_operator_says(tmp_path: Path) -> None:
    cpu = max(os.sched_getaffinity(0))
    with serving(tmp_path, "--cpus", str(cpu)) as service:
        tasks = Path(f"/proc/{service.process.pid}/task").iterdir()
        assert {frozenset(os.sched_getaffinity(int(task.name))) for task in tasks} == {frozenset({cpu})}
