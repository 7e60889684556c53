"""Client, commands and service together: a real `autotune serve`, which starts real jobs of a fake model."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autotune.client.client import Client
from autotune.client.patience import Patience
from autotune.errors import (
    AccessError,
    ExportError,
    JobConflictError,
    JobNotFoundError,
    NotStoredError,
    PlanError,
    StudyFileError,
)
from autotune.events import Event, TrialEnded
from autotune.plan.document import parse_plan
from autotune.store.in_use import store_users
from autotune.store.location import parse_location
from autotune.testing.fake_model import SCHEMA
from tests.service.serving import PROGRAM, Served, serving

pytestmark = pytest.mark.timeout(240)

STUDY: dict[str, Any] = {
    "model": "fake:model.json",
    "problem": {"batch_size": 1, "sequence_length": 1},
    "objective": "throughput",
    "search": {"placements": ["close"], "instances": [1], "threads": [1], "precisions": ["int8-dynamic"]},
    "measure": {
        **{"warmup": "100ms", "block": "50ms", "blocks": 2, "max_blocks": 2},
        **{"disturbed": "keep", "trial_timeout": "20s"},
    },
    "confirm": {"finalists": 1, "rounds": 3},
    "budget": {"trials": 9, "minutes": 9.0},
}
MODEL = {"schema": SCHEMA, "parallel_s_per_token": 0.02, "speed": {"fp32": 1.0, "int8-dynamic": 2.0}}


def run(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of autotune to its end; whatever else measures on this host may take its time before."""
    return subprocess.run([*PROGRAM, *words], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service in a folder of its own, which lets clients name what lies in `models`."""
    folder = tmp_path_factory.mktemp("service")
    models = folder / "models"
    models.mkdir()
    (models / "model.json").write_text(json.dumps(MODEL))
    write_study(folder)
    with serving(
        folder, "--root", str(models), environment={"AUTOTUNE_CACHE": str(folder / "cache")}
    ) as found:
        yield found


def write_study(folder: Path, name: str = "small.yaml", **values: Any) -> Path:
    file = folder / name
    study = {**STUDY, "model": f"fake:{folder}/models/model.json", **values}
    file.write_text(json.dumps(study))
    return file


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with Client(f"http://{served.host}", token=served.token) as found:
        yield found


@pytest.fixture(scope="module")
def tuned(served: Served) -> tuple[str, subprocess.CompletedProcess[str]]:
    """What `autotune submit --watch` printed in the service's own folder, and the plan's id."""
    asked = ("submit", "small.yaml", "--watch", "-o", "plan.json", "--key", "first")
    ended = run(*asked, folder=served.folder)
    assert ended.returncode == 0, ended.stderr
    return json.loads((served.folder / "plan.json").read_text())["id"], ended


def test_a_study_is_submitted_watched_and_taken_away(
    served: Served, tuned: tuple[str, subprocess.CompletedProcess[str]]
) -> None:
    plan, ended = tuned
    assert "] baseline: " in ended.stderr
    assert "[round 1] baseline: " in ended.stderr
    assert f"plan {plan}: " in ended.stdout
    assert "best configurations of the search" in ended.stdout
    exported = run("export", "./plan.json", "--to", "numactl", "-o", "launch/", folder=served.folder)
    assert exported.returncode == 0, exported.stderr
    measured = subprocess.run(
        ["bash", "launch/launch.sh", "--seconds", "1"],
        cwd=served.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "samples/s" in measured.stdout


def test_the_same_key_gives_the_same_job_and_another_study_under_it_is_refused(
    served: Served, client: Client, tuned: object
) -> None:
    first = client.submit(served.folder / "small.yaml", key="first")
    assert first["state"] == "done"
    other = write_study(served.folder, "other.yaml", seed=7)
    with pytest.raises(JobConflictError, match="'first'"):
        client.submit(other, key="first")


def test_all_that_the_client_asks_is_answered(
    served: Served, client: Client, tuned: tuple[str, subprocess.CompletedProcess[str]]
) -> None:
    plan, _ = tuned
    client.ready()
    assert [study["name"] for study in client.studies()] == ["small"]
    assert client.study("small")["name"] == "small"
    assert client.trials("small")[0]["baseline"]
    assert [line["id"] for line in client.plans("small")] == [plan]
    assert parse_plan(json.dumps(client.plan(plan))).id == plan
    assert client.machine()["schema"] == "autotune.machine/1"
    assert "fake" in {engine["name"] for engine in client.engines()["engines"]}
    assert client.models()["schema"] == "autotune.models/1"
    assert client.doctor()["healthy"]
    outlook = client.validate(served.folder / "small.yaml")
    assert outlook["name"] == "small"
    assert outlook["lines"] or outlook["skipped"]
    preview = client.preview(plan, "numactl")
    assert [file["path"] for file in preview["files"]] == ["launch.sh", "plan.json"]
    script = (served.folder / "launch" / "launch.sh").read_bytes()
    assert client.export(plan, "numactl") == script
    with tarfile.open(fileobj=io.BytesIO(client.export(plan, "numactl", archive=True))) as tar:
        assert {Path(name).name for name in tar.getnames()} >= {"launch.sh", "plan.json"}
    assert client.fleet(plan=plan, rate="100/s", p99="200ms")["machines"] >= 1
    assert client.choose(rate="100/s", p99="200ms")["chosen"] == plan
    assert client.cost(plan, type="t", prices=[price()])["schema"] == "autotune.cost/1"


def price() -> dict[str, Any]:
    return {
        "provider": "acme", "type": "t", "cores": 2, "memory": "8GiB", "per_hour": 0.1, "currency": "USD",
        "source": "https://acme.example/prices", "date": "2026-11-01",
    }  # fmt: skip


def test_what_is_refused_is_the_error_that_the_same_command_would_end_with(
    served: Served, client: Client, tuned: tuple[str, subprocess.CompletedProcess[str]]
) -> None:
    with pytest.raises(StudyFileError, match="placements"):
        client.submit(write_study(served.folder, "wrong.yaml", search={"placements": ["nowhere"]}))
    with pytest.raises(NotStoredError):
        client.plan("gone")
    with pytest.raises(JobNotFoundError):
        client.job("0badcafe")
    with pytest.raises(JobNotFoundError):
        list(client.watch("0badcafe"))
    with pytest.raises(ExportError):
        client.export(tuned[0], "nowhere")
    with pytest.raises(PlanError, match="price"):
        client.cost(tuned[0])
    with Client(client.url, token="wrong") as stranger, pytest.raises(AccessError):
        stranger.jobs()
    reader = served.add_token("reader", "read")
    with Client(client.url, token=reader) as reading:
        assert reading.jobs()
        with pytest.raises(AccessError, match="tune"):
            reading.submit(served.folder / "small.yaml")


def test_the_store_of_a_service_is_copied_and_not_replaced(served: Served) -> None:
    copied = run("backup", "copy.db", "--force", folder=served.folder)
    assert copied.returncode == 0, copied.stderr
    refused = run("restore", "copy.db", "--force", folder=served.folder)
    assert refused.returncode == 12
    assert "in use by a" in refused.stderr
    assert "service" in refused.stderr


@pytest.mark.slow
def test_a_plan_is_verified_and_compared_with_itself(
    served: Served, tuned: tuple[str, subprocess.CompletedProcess[str]], client: Client
) -> None:
    job = client.verify(tuned[0], rounds=3, tolerance=0.9)
    watched = run("watch", job["id"], "--json", folder=served.folder)
    assert watched.returncode in {0, 22}, watched.stderr
    assert json.loads(watched.stdout)["schema"] == "autotune.verification/1"
    job = client.compare(tuned[0], tuned[0], rounds=3)
    watched = run("watch", job["id"], folder=served.folder)
    assert watched.returncode in {0, 22}, watched.stderr
    assert "A: " in watched.stdout


@pytest.mark.slow
def test_a_job_is_cancelled_while_it_runs_watched_to_its_end_and_resumed(
    served: Served, client: Client
) -> None:
    job = client.submit(
        write_study(served.folder, "long.yaml", search={**STUDY["search"], "instances": [1, 2]})
    )
    events: list[Event] = []
    for event in client.watch(job["id"]):
        events.append(event)
        if isinstance(event, TrialEnded):
            client.cancel(job["id"])
    ended = client.job(job["id"])
    assert ended["state"] == "cancelled"
    finished = [event for event in events if isinstance(event, TrialEnded)]
    assert run("watch", job["id"], folder=served.folder).returncode == 130
    resumed = run("resume", job["id"], folder=served.folder)
    assert resumed.returncode == 0, resumed.stderr
    again = run("watch", job["id"], "--json", folder=served.folder)
    assert again.returncode == 0, again.stderr
    numbers = [trial["number"] for trial in client.trials("long")]
    assert len(numbers) == len(set(numbers)) > len(finished)
    client.delete(job["id"])
    client.delete(job["id"])
    with pytest.raises(JobNotFoundError):
        client.job(job["id"])


@pytest.mark.slow
def test_who_watches_sees_the_rest_after_the_service_was_started_anew(tmp_path: Path) -> None:
    """The job goes on without it, and the client waits for it to be back."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "model.json").write_text(json.dumps(MODEL))
    study = write_study(tmp_path, "again.yaml")
    options = ("--root", str(tmp_path / "models"))
    cache = {"AUTOTUNE_CACHE": str(tmp_path / "cache")}
    with serving(tmp_path, *options, environment=cache) as first:
        port, token = first.port, first.token
        with Client(f"http://{first.host}", token=token) as asking:
            job = asking.submit(study)
            events = asking.watch(job["id"])
            seen = [next(events), next(events)]
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
    patience = Patience(tries=20, first_s=0.1, most_s=1.0)
    watching = Client(f"http://127.0.0.1:{port}", token=token, patience=patience)
    with serving(tmp_path, *options, "--port", str(port), environment=cache), watching:
        rest = list(watching.watch(job["id"], after=len(seen)))
        assert watching.job(job["id"])["state"] == "done"
        assert list(watching.watch(job["id"])) == [*seen, *rest]
    assert store_users(parse_location(f"sqlite:///{tmp_path}/autotune.db")) == ()


def test_a_command_without_a_service_says_how_to_start_one(tmp_path: Path) -> None:
    ended = run("status", "--url", "http://127.0.0.1:9", folder=tmp_path)
    assert ended.returncode == 18
    assert "autotune serve" in ended.stderr
