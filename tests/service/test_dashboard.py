"""Optuna's own dashboard behind the gate: on the same store, for who is signed in, and read-only."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from autotune.service.dashboard.process import read_only_location
from tests.service.serving import Served, run_autotune, serving, until
from tests.service.test_serve import children

pytest.importorskip("optuna_dashboard", reason="the extra `dashboard` is not installed")

ADDRESSES = (
    "/dashboard",
    "/dashboard/studies/1",
    "/api/meta",
    "/api/studies",
    "/api/studies/1",
    "/static/bundle.js",
)
FLAT_BYTES = 12 * 2**20


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service on a store with a study that Optuna made."""
    folder: Path = tmp_path_factory.mktemp("dashboard")
    import optuna

    storage = optuna.storages.RDBStorage(f"sqlite:///{folder}/autotune.db")
    study = optuna.create_study(storage=storage, study_name="<script>alert(1)</script>")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    storage.engine.dispose()
    with serving(folder, "--dashboard") as served:
        yield served


@pytest.mark.parametrize("path", ["/optuna", *ADDRESSES])
def test_nobody_sees_it_without_a_token_and_nothing_is_started_for_them(shown: Served, path: str) -> None:
    assert shown.ask("GET", path).status in (401, 404)


def test_it_shows_the_studies_of_the_store(shown: Served) -> None:
    before = shown.memory_bytes()
    answer = shown.ask("GET", "/optuna", shown.bearer)
    assert (answer.status, answer.headers["location"]) == (303, "/dashboard")
    page = shown.ask("GET", "/dashboard", shown.bearer)
    assert page.status == 200
    assert "/static/bundle.js" in page.body.decode()
    listed = json.loads(shown.ask("GET", "/api/studies", shown.bearer).body)["study_summaries"]
    assert [study["study_name"] for study in listed] == ["<script>alert(1)</script>"]
    study = json.loads(shown.ask("GET", "/api/studies/1", shown.bearer).body)
    assert len(study["trials"]) == 3
    bundle = shown.ask("GET", "/static/bundle.js", shown.bearer)
    assert len(gzip.decompress(bundle.body)) > 10**6
    assert shown.ask("HEAD", "/dashboard", shown.bearer).status == 200
    assert shown.memory_bytes() - before < FLAT_BYTES  # Optuna is in another process


@pytest.mark.parametrize("path", ADDRESSES)
def test_what_it_answers_is_bounded_by_a_policy_of_its_own(shown: Served, path: str) -> None:
    answer = shown.ask("GET", path, shown.bearer)
    assert answer.status == 200
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "script-src 'self' 'unsafe-eval';" in policy
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/studies"),
        ("DELETE", "/api/studies/1"),
        ("POST", "/api/studies/1/rename"),
        ("PUT", "/api/studies/1/note"),
        ("POST", "/api/trials/1/tell"),
        ("POST", "/incompatible-rdb-schema"),
        ("POST", "/api/artifacts/1"),
    ],
)
def test_nobody_changes_anything_through_it(shown: Served, method: str, path: str) -> None:
    headers = {**shown.bearer, "Content-Type": "application/json"}
    body = b'{"study_name": "evil", "directions": ["minimize"]}'
    answer = shown.ask(method, path, headers, body)
    assert answer.status in (404, 405, 415)
    if path.startswith("/api/"):
        assert "read-only" in answer.problem["detail"]
    listed = json.loads(shown.ask("GET", "/api/studies", shown.bearer).body)["study_summaries"]
    assert len(listed) == 1


@pytest.mark.parametrize(
    "path", ["/static/../../etc/passwd", "/dashboard/%2e%2e/x", "/csv/../x", "/api/studies/x"]
)
def test_only_its_own_addresses_are_passed_on(shown: Served, path: str) -> None:
    answer = shown.ask("GET", path, shown.bearer)
    assert answer.status < 500
    assert b"root:" not in answer.body


def test_the_database_itself_lets_its_process_change_nothing(tmp_path: Path) -> None:
    url, connecting = read_only_location(f"sqlite:///{tmp_path}/a b.db")
    with sqlite3.connect(tmp_path / "a b.db") as made:
        made.execute("create table x (y)")
    opened = sqlite3.connect(url.removeprefix("sqlite:///"), uri=True, timeout=connecting["timeout"])
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        opened.execute("insert into x values (1)")
    made.close()
    opened.close()
    assert "read_only=on" in read_only_location("postgresql+psycopg://u:p@h/d")[1]["options"]


def test_its_process_ends_with_the_service_even_by_force(tmp_path: Path, shown: Served) -> None:
    (tmp_path / "autotune.db").write_bytes((shown.folder / "autotune.db").read_bytes())
    with serving(tmp_path, "--dashboard") as served:
        assert served.ask("GET", "/api/meta", served.bearer).status == 200
        (child,) = children(served.process.pid)
        command = Path(f"/proc/{child}/cmdline").read_bytes()
        assert b"autotune.db" not in command
        served.process.kill()
        served.process.wait()
        assert until(lambda: not Path(f"/proc/{child}").exists(), 10)


@pytest.mark.slow
def test_a_store_without_a_study_is_said_in_words(tmp_path: Path) -> None:
    with serving(tmp_path, "--dashboard") as served:
        answer = served.ask("GET", "/api/studies", served.bearer)
        assert answer.status == 503
        assert "a study" in answer.problem["remedy"]
        page = served.ask("GET", "/dashboard", {**served.bearer, "Accept": "text/html"})
        assert (page.status, page.headers["content-type"]) == (503, "text/html; charset=utf-8")
        assert b"there must be a study" in page.body
        assert b"/optuna" not in served.ask("GET", "/machine", served.bearer).body
        assert served.ask("GET", "/health/live").status == 200


def test_it_is_shown_only_where_the_operator_asks_for_it(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        assert served.ask("GET", "/optuna", served.bearer).status == 404
        assert served.ask("GET", "/api/studies", served.bearer).status == 404


def test_what_is_not_installed_is_said_before_anything_listens(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nsys.modules['optuna_dashboard'] = None\n", encoding="utf-8"
    )
    ended = run_autotune(
        "serve", "--dashboard", "--port", "0", folder=tmp_path, environment={"PYTHONPATH": str(tmp_path)}
    )
    assert ended.returncode == 18
    assert "pip install optuna-dashboard" in ended.stderr
