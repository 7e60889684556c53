from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from autotune.client.client import Client
from autotune.client.patience import Patience
from autotune.errors import (
    AccessError,
    AutotuneError,
    JobConflictError,
    JobNotFoundError,
    ServiceError,
    StoreError,
    StudyFileError,
)
from autotune.events import DoubtRaised, Event, FilesRead, SpaceSurveyed
from autotune.testing.fake_plans import FakeStudy
from tests.client.scripted_service import DROP, Answer, document, problem, serving, stream

HASTY = Patience(tries=3, watching_tries=3, first_s=0.001, most_s=0.002)
SURVEYED, READ, DOUBTED = SpaceSurveyed(("jax: none",)), FilesRead(("one",)), DoubtRaised("why")
TOLD: tuple[tuple[int, Event], ...] = ((1, SURVEYED), (2, READ), (3, DOUBTED))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without a service's token, and no token around."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUTOTUNE_TOKEN", raising=False)


def test_a_study_that_is_submitted_over_a_lost_connection_has_one_key() -> None:
    with serving(DROP, problem(503, "service", "busy"), document(201, id="j")) as service:
        with Client(service.url, patience=HASTY) as client:
            assert client.submit({"model": "fake:m.json"}, priority=3) == {"id": "j"}
        assert len({asked.headers["Idempotency-Key"] for asked in service.asked}) == 1
        assert [asked.body for asked in service.asked] == [
            {"kind": "tune", "study": {"model": "fake:m.json"}, "priority": 3}
        ] * 3


def test_each_call_to_submit_asks_for_a_job_of_its_own_unless_it_names_the_key() -> None:
    with serving(document(id="j")) as service, Client(service.url) as client:
        client.submit({}, key="build-7")
        client.submit({})
        client.submit({})
        keys = [asked.headers["Idempotency-Key"] for asked in service.asked]
    assert keys[0] == "build-7"
    assert len(set(keys)) == 3


def test_a_study_file_is_sent_as_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("model: random:bert-base # a comment\n")
    with serving(document(id="j")) as service, Client(service.url) as client:
        client.submit(file)
    assert service.asked[0].body["study_yaml"] == file.read_text()
    assert service.asked[0].body["name"] == "mine"


def test_a_study_file_that_is_not_there_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    with serving(document()) as service, Client(service.url) as client:
        with pytest.raises(StudyFileError, match="does not exist"):
            client.submit(tmp_path / "gone.yaml")
        assert service.asked == []


def test_a_study_in_python_is_sent_as_its_values(tmp_path: Path) -> None:
    spec = FakeStudy(tmp_path).spec
    with serving(document(id="j")) as service, Client(service.url) as client:
        client.submit(spec)
    assert type(spec).model_validate(service.asked[0].body["study"]) == spec


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("job-conflict", JobConflictError),
        ("study-file", StudyFileError),
        ("access", AccessError),
        ("no-such", ServiceError),
    ],
)
def test_a_refusal_is_raised_as_the_error_that_it_names(kind: str, expected: type[AutotuneError]) -> None:
    with (
        serving(problem(409, kind, "it is done", "ask anew")) as service,
        Client(service.url) as client,
        pytest.raises(AutotuneError) as raised,
    ):
        client.resume("j")
    assert type(raised.value) is expected
    assert (raised.value.problem, raised.value.remedy) == ("it is done", "ask anew")


def test_what_is_refused_for_good_is_asked_once() -> None:
    with serving(problem(404, "job-not-found", "there is no job 'j'")) as service:
        with Client(service.url, patience=HASTY) as client, pytest.raises(JobNotFoundError):
            client.job("j")
        assert len(service.asked) == 1


def test_a_service_that_lacks_something_for_longer_is_asked_once() -> None:
    with serving(problem(503, "store", "the store is corrupt", **{"Retry-After": "10"})) as service:
        with Client(service.url) as client, pytest.raises(StoreError, match="corrupt"):
            client.jobs()
        assert len(service.asked) == 1


def test_a_job_that_an_earlier_try_has_deleted_is_deleted() -> None:
    with serving(DROP, problem(404, "job-not-found", "there is no job 'j'")) as service:
        with Client(service.url, patience=HASTY) as client:
            client.delete("j")
        assert [asked.method for asked in service.asked] == ["DELETE", "DELETE"]


def test_a_service_that_wants_to_be_left_alone_for_long_is_not_asked_again() -> None:
    answer = problem(429, "access", "too many wrong tokens", **{"Retry-After": "3600"})
    with serving(answer) as service, Client(service.url) as client:
        with pytest.raises(AccessError, match="too many"):
            client.jobs()
        assert len(service.asked) == 1


def test_a_pause_that_the_service_asks_for_is_kept() -> None:
    busy = problem(503, "service", "busy", **{"Retry-After": "0"})
    with serving(busy, document(jobs=[])) as service:
        with Client(service.url, patience=Patience(tries=2, first_s=1e6)) as client:
            assert client.jobs() == []
        assert len(service.asked) == 2


def test_who_waits_is_told_once_what_for_and_of_short_pauses_nothing() -> None:
    locked = problem(503, "service", "too many ask", **{"Retry-After": "1"})
    told: list[tuple[str, float]] = []
    with serving(locked, locked, document(jobs=[]), DROP, document(jobs=[])) as service:
        patience = Patience(first_s=0.001, most_s=0.002)
        with Client(
            service.url, patience=patience, on_wait=lambda reason, s: told.append((reason.problem, s))
        ) as client:
            client.jobs()
            client.jobs()
        assert len(service.asked) == 5
    assert told == [("too many ask", 1.0)]


def test_what_is_watched_is_waited_for_though_the_store_is_locked() -> None:
    locked = problem(503, "store", "the store is locked", **{"Retry-After": "0"})
    with serving(locked, stream(*TOLD, end="done")) as service, Client(service.url, patience=HASTY) as client:
        assert list(client.watch("0badcafe")) == [SURVEYED, READ, DOUBTED]


def test_what_is_no_study_is_told_as_such() -> None:
    with serving(document()) as service, Client(service.url) as client:
        with pytest.raises(StudyFileError, match="'a/b' is no study"):
            client.submit("a/b")  # type: ignore[arg-type]
        assert service.asked == []


def test_an_answer_that_is_none_of_the_services_is_told_by_its_status() -> None:
    page = Answer(403, b"<h1>no</h1>", {"Content-Type": "text/html"})
    with serving(page) as service, Client(service.url) as client, pytest.raises(AccessError):
        client.jobs()
    moved = Answer(301, b"", {"Location": "https://example.org/"})
    with serving(moved) as service, Client(service.url) as client:
        with pytest.raises(ServiceError, match=r"elsewhere: https://example\.org/"):
            client.jobs()
        assert len(service.asked) == 1


def test_nobody_listening_is_told_with_the_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (
        Client(f"http://127.0.0.1:{port}", patience=HASTY) as client,
        pytest.raises(ServiceError, match=f"127.0.0.1:{port} cannot be reached: .*refused") as raised,
    ):
        client.machine()
    assert "autotune serve" in raised.value.remedy


def test_events_are_given_once_each_over_all_connections() -> None:
    answers = (
        stream(*TOLD[:1], is_cut=True),
        DROP,
        problem(503, "service", "too many streams", **{"Retry-After": "0"}),
        stream(),  # the service was stopped
        stream(*TOLD, end="done"),
    )
    with serving(*answers) as service:
        with Client(service.url, patience=Patience(tries=9, first_s=0.001)) as client:
            assert list(client.watch("j")) == [SURVEYED, READ, DOUBTED]
        assert [asked.headers.get("Last-Event-ID") for asked in service.asked] == [None, "1", "1", "1", "1"]


def test_events_of_a_later_version_are_passed_over() -> None:
    later = b'id: 1\nevent: x\ndata: {"schema":"autotune.event/9","event":"x"}\n\n'
    rest = stream((2, READ), end="done")
    answer = Answer(200, later + rest.body, rest.headers)
    with serving(answer) as service, Client(service.url) as client:
        assert list(client.watch("j")) == [READ]


def test_watching_begins_behind_an_event_that_is_named() -> None:
    with serving(stream(*TOLD, end="done")) as service, Client(service.url) as client:
        assert list(client.watch("j", after=2)) == [DOUBTED]
        assert service.asked[0].headers["Last-Event-ID"] == "2"


def test_watching_what_is_not_there_is_refused_with_the_services_words() -> None:
    with (
        serving(problem(404, "job-not-found", "there is no job 'j'")) as service,
        Client(service.url) as client,
        pytest.raises(JobNotFoundError, match="there is no job"),
    ):
        list(client.watch("j"))


def test_a_service_that_is_gone_for_good_ends_the_watching() -> None:
    with serving(stream(*TOLD[:2], is_cut=True), DROP) as service:
        with Client(service.url, patience=HASTY) as client:
            watched = client.watch("j")
            assert [next(watched), next(watched)] == [SURVEYED, READ]
            with pytest.raises(ServiceError, match="cannot be reached"):
                next(watched)
        assert len(service.asked) == 1 + HASTY.tries


def test_a_name_cannot_lead_to_another_address() -> None:
    with serving(document()) as service, Client(service.url) as client:
        client.plan("../jobs?x=1#y")
        assert service.asked[0].path == "/api/v1/plans/..%2Fjobs%3Fx%3D1%23y"


def test_the_token_is_the_argument_or_the_environments_or_that_of_the_service_of_this_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".autotune").mkdir()
    (tmp_path / ".autotune" / "token").write_text("of-the-folder\n")
    with serving(document()) as service:
        with Client(service.url) as client:
            client.machine()
        monkeypatch.setenv("AUTOTUNE_TOKEN", "of-the-environment")
        with Client(service.url) as client:
            client.machine()
        with Client(service.url, token="of-the-argument") as client:
            client.machine()
        with Client(service.url, token="") as client:
            client.machine()
    sent = [asked.headers.get("Authorization") for asked in service.asked]
    assert sent == ["Bearer of-the-folder", "Bearer of-the-environment", "Bearer of-the-argument", None]


def test_the_token_of_this_folder_is_sent_to_no_other_machine(tmp_path: Path) -> None:
    (tmp_path / ".autotune").mkdir()
    (tmp_path / ".autotune" / "token").write_text("of-the-folder\n")
    with Client("http://192.0.2.1:8787"):  # with a token it would be refused, as below
        pass


def test_a_token_is_not_sent_over_a_network_unencrypted_unless_that_is_wanted() -> None:
    with pytest.raises(ServiceError, match=r"unencrypted to http://192\.0\.2\.1"):
        Client("http://192.0.2.1", token="secret")
    Client("http://192.0.2.1", token="secret", plain=True).close()
    Client("https://192.0.2.1", token="secret").close()
    Client("http://[::1]:1", token="secret").close()


@pytest.mark.parametrize("token", ["a b", "a\nHost: x", "ä"])
def test_a_token_that_would_break_the_header_is_refused(token: str) -> None:
    with pytest.raises(AccessError, match="no token"):
        Client("http://127.0.0.1:1", token=token)


@pytest.mark.parametrize(
    "url", ["ftp://x", "127.0.0.1:8787", "http://", "http://u:p@x", "http://x?token=1", ""]
)
def test_an_address_that_is_none_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(ServiceError) as raised:
        Client(url)
    assert "token=1" not in raised.value.problem
    assert ":p@" not in raised.value.problem


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate that signed itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "certificate.pem", folder / "key.pem"
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
        *("-out", str(files[0]), "-keyout", str(files[1])),
    ]
    try:
        subprocess.run(command, capture_output=True, check=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    return files


def test_a_certificate_that_signed_itself_is_trusted_only_where_its_file_is_named(
    certificate: tuple[Path, Path],
) -> None:
    with serving(document(schema="autotune.machine/1"), tls=certificate) as service:
        with (
            Client(service.url, token="secret") as client,
            pytest.raises(ServiceError, match="is not trusted") as raised,
        ):
            client.machine()
        assert "--ca" in raised.value.remedy
        assert service.asked == []
        with Client(service.url, token="secret", ca=certificate[0]) as client:
            assert client.machine()["schema"] == "autotune.machine/1"


def test_a_file_of_certificates_that_holds_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    for content in ("", "nonsense"):
        file.write_text(content)
        with pytest.raises(ServiceError, match="cannot be read"):
            Client("https://127.0.0.1", ca=file)
    with pytest.raises(ServiceError, match="cannot be read"):
        Client("https://127.0.0.1", ca=tmp_path / "gone.pem")


def test_a_listing_is_read_page_by_page_to_its_end() -> None:
    pages = (document(trials=[{"number": 0}], next=0), document(trials=[{"number": 5}], next=None))
    with serving(*pages) as service, Client(service.url) as client:
        assert client.trials("mine") == [{"number": 0}, {"number": 5}]
        assert [asked.path for asked in service.asked] == [
            "/api/v1/studies/mine/trials",
            "/api/v1/studies/mine/trials?after=0",
        ]


def test_a_file_without_a_name_is_called_as_the_file_and_one_with_a_name_as_that(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    with serving(document(id="j")) as service, Client(service.url) as client:
        for text in ("model: x", "{name: other, model: x}", "{ not yaml"):
            file.write_text(text)
            client.submit(file)
    assert [asked.body.get("name") for asked in service.asked] == ["mine", None, None]


def test_the_service_of_this_folder_is_meant_where_none_is_named(tmp_path: Path) -> None:
    (tmp_path / ".autotune").mkdir()
    with serving(document()) as service:
        (tmp_path / ".autotune" / "address").write_text(f"{service.url}\n")
        with Client() as client:
            assert client.url == service.url
            client.machine()


def test_who_shows_no_token_is_told_where_a_command_takes_it_from() -> None:
    with (
        serving(problem(401, "access", "nobody may do that without a token", "sign in at /login")) as service,
        Client(service.url) as client,
        pytest.raises(AccessError, match="without a token") as raised,
    ):
        client.jobs()
    assert "AUTOTUNE_TOKEN" in raised.value.remedy
