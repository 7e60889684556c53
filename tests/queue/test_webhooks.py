"""A URL is told of a plan that does not hold; it reaches nothing that the operator has not named."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from autotune.errors import ServiceError
from autotune.events import Event, WebhookCalled
from autotune.queue.webhooks import (
    SECRET,
    SIGNATURE,
    Webhook,
    checked_address,
    is_public,
    post,
    read_webhook,
    tell_webhook,
)

WORSE = {"schema": "autotune.verification/1", "verdict": "worse", "plan": "quickstart-1"}


@dataclass
class Receiver:
    """A server that remembers what it was sent, and answers as it is told."""

    answers: list[tuple[int, dict[str, str]]] = field(default_factory=lambda: [(204, {})])
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0
    server: ThreadingHTTPServer | None = None
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/told?by=autotune"

    @property
    def allowed(self) -> tuple[str, ...]:
        return (f"localhost:{self.port}", "127.0.0.1", "::1")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    told = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.got.append((self.path, dict(self.headers), body))
            status, headers = told.answers[min(len(told.got), len(told.answers)) - 1]
            if status == 0:  # it says nothing
                told.released.wait(60)
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.server = server
        told.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield told
        told.released.set()
        server.shutdown()
        thread.join()


def told(receiver: Receiver, verdict: str = "worse", **others: Any) -> list[Event]:
    events: list[Event] = []
    given = {"url": receiver.url, "allowed": receiver.allowed, **others}
    tell_webhook(
        given["url"], {**WORSE, "verdict": verdict}, given["allowed"], job_id="a-job", emit=events.append
    )
    return events


def test_a_plan_that_got_worse_is_told_with_a_signature(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET, "open sesame")
    assert told(receiver) == [WebhookCalled(f"localhost:{receiver.port}", "it answered 204")]
    ((path, headers, body),) = receiver.got
    assert path == "/told?by=autotune"
    assert headers["Host"] == f"localhost:{receiver.port}"
    assert json.loads(body) == {"schema": "autotune.webhook/1", "job": "a-job", "verification": WORSE}
    digest = hmac.new(b"open sesame", body, hashlib.sha256).hexdigest()
    assert headers[SIGNATURE] == f"sha256={digest}"


@pytest.mark.parametrize("verdict", ["holds", "better", "undecided"])
def test_nobody_is_told_of_a_plan_that_holds(receiver: Receiver, verdict: str) -> None:
    assert told(receiver, verdict) == []
    assert receiver.got == []


def test_a_server_in_trouble_is_told_once_more(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SECRET, raising=False)
    receiver.answers = [(503, {}), (200, {})]
    assert told(receiver) == [WebhookCalled(f"localhost:{receiver.port}", "it answered 200")]
    assert len(receiver.got) == 2
    assert SIGNATURE not in receiver.got[0][1]


def test_no_redirect_is_followed(receiver: Receiver) -> None:
    receiver.answers = [(307, {"Location": receiver.url + "/again"})]
    assert told(receiver) == [WebhookCalled(f"localhost:{receiver.port}", "it refused the document with 307")]
    assert len(receiver.got) == 1


def test_a_server_that_says_nothing_is_not_waited_for(receiver: Receiver) -> None:
    receiver.answers = [(0, {})]
    webhook = read_webhook(receiver.url, receiver.allowed)
    with pytest.raises(OSError, match=r"timed out|closed|reset"):
        post(webhook, b"{}", "127.0.0.1", timeout_s=0.3)


def test_a_host_that_nobody_listens_on_is_told_of_in_words(receiver: Receiver) -> None:
    (event,) = told(receiver, url="http://127.0.0.1:1/", allowed=["127.0.0.1:1"])
    assert isinstance(event, WebhookCalled)
    assert "it could not be told" in event.in_words


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_certificate_is_of_the_hosts_name_and_not_of_the_address_that_is_connected_to(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    subprocess.run(
        ["openssl", "req", "-x509", *ec, "-keyout", key, "-out", certificate, *subject],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    assert receiver.server is not None
    receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    names = {name: Webhook("https", name, receiver.port, "/") for name in ("localhost", "other.example")}
    assert post(names["localhost"], b"{}", "127.0.0.1") == 204
    with pytest.raises(ssl.SSLCertVerificationError, match=r"other\.example"):
        post(names["other.example"], b"{}", "127.0.0.1")
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example/",
        "https://hooks.example.evil/",
        "https://hooks.example:8443/",
        "http://hooks.example@evil.example/",
        "https://user:password@hooks.example/",
        "ftp://hooks.example/",
        "file:///etc/passwd",
        "//hooks.example/",
        "https://hooks.example\\@evil.example/",
        "https://hooks.example/a b",
        "https://hooks.example/\r\nX-Other: 1",
        "https://hooks.example:99999/",
        "https://[::1/",
        "",
    ],
)
def test_a_url_that_is_not_of_an_allowed_host_is_refused(receiver: Receiver, url: str) -> None:
    with pytest.raises(ServiceError):
        read_webhook(url, ["hooks.example"])
    (event,) = told(receiver, url=url, allowed=["hooks.example"])
    assert isinstance(event, WebhookCalled)
    assert receiver.got == []


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://hooks.example/a?b=c", "hooks.example"),
        ("https://HOOKS.example./", "Hooks.Example"),
        ("http://hooks.example:8080/", "hooks.example:8080"),
        ("https://[2001:db8::1]/", "2001:db8::1"),
        ("https://[2001:db8::1]:444/", "[2001:db8::1]:444"),
    ],
)
def test_an_allowed_host_is_one_name_or_address_with_its_port(url: str, allowed: str) -> None:
    assert read_webhook(url, [allowed]).host in allowed.lower()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.100.100.200",
        "0.0.0.0",
        "224.0.1.1",
        "::1",
        "::",
        "fe80::1",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
    ],
)
def test_a_name_that_means_an_address_inside_is_refused_unless_that_address_is_allowed(address: str) -> None:
    webhook = read_webhook("https://hooks.example/", ["hooks.example"])
    assert not is_public(ip_address(address))
    with pytest.raises(ServiceError, match="not public"):
        checked_address(webhook, ["hooks.example"], lambda *_: ["93.184.216.34", address])
    allowed = ["hooks.example", address]
    assert checked_address(webhook, allowed, lambda *_: [address]) == address


def test_a_public_address_is_connected_to_and_a_name_without_any_refused() -> None:
    webhook = read_webhook("https://hooks.example/", ["hooks.example"])
    assert is_public(ip_address("2606:4700::1111"))
    assert checked_address(webhook, [], lambda *_: ["93.184.216.34"]) == "93.184.216.34"
    with pytest.raises(ServiceError, match="no address"):
        checked_address(webhook, [], lambda *_: [])
