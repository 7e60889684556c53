"""A real service and a real job: everybody who listens hears all of it, wherever they begin."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autotune.testing.fake_plans import FakeStudy
from tests.service.serving import Served, serving, stop

CLIENTS = 30


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    FakeStudy(tmp_path)
    with serving(tmp_path, "--root", str(tmp_path)) as running:
        yield running


def ask(served: Served, method: str, path: str, **body: Any) -> Any:
    headers = {**served.bearer, "Content-Type": "application/json"}
    answer = served.ask(method, f"/api/v1{path}", headers, json.dumps(body).encode() if body else b"")
    assert answer.status < 300, answer.body
    return json.loads(answer.body)


def study(served: Served) -> dict[str, Any]:
    return {
        "name": "real",
        "model": f"fake:{served.folder}/model.json",
        "problem": {"batch_size": 1, "sequence_length": 1},
        "search": {"backends": ["fake"]},
        "measure": {"warmup": "0.2s", "block": "0.1s", "blocks": 2, "disturbed": "keep"},
        "confirm": {"rounds": 3, "finalists": 1},
        "budget": {"trials": 2},
    }


def follow(served: Served, job: str, identity: str = "") -> list[dict[str, str]]:
    """Every event of a stream until it ends."""
    request = urllib.request.Request(
        f"http://{served.host}/api/v1/jobs/{job}/events",
        headers={**served.bearer, **({"Last-Event-ID": identity} if identity else {})},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        text = answer.read().decode()
    blocks = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]


@pytest.mark.slow
def test_all_who_follow_a_real_job_hear_the_same_to_its_end(served: Served) -> None:
    job = ask(served, "POST", "/jobs", kind="tune", study=study(served))["id"]
    heard: list[list[dict[str, str]]] = []
    clients = [threading.Thread(target=lambda: heard.append(follow(served, job))) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(120)
    assert len(heard) == CLIENTS
    events = heard[0]
    assert all(other == events for other in heard)
    *told, end = events
    assert [event["id"] for event in told] == [str(number) for number in range(1, len(told) + 1)]
    assert [event["event"] for event in told].count("trial_ended") == 2
    document = json.loads(end["data"])
    assert (document["state"], document["fault"]) == ("done", None)
    assert ask(served, "GET", f"/plans/{document['plan']}")["study"]["name"] == "real"
    assert follow(served, job, told[5]["id"]) == events[6:]
    assert follow(served, job, end["id"]) == []
    exported = served.ask("GET", "/api/v1/plans/real/export?to=numactl&download=true", served.bearer)
    assert exported.body.startswith(b"#!")
    metrics = served.ask("GET", "/metrics", served.bearer).body.decode()
    assert 'autotune_trials{state="measured",study="real"} 2.0' in metrics
    assert "autotune_event_streams 0.0" in metrics


def test_streams_end_as_whole_answers_when_the_service_is_stopped(served: Served) -> None:
    answers = [
        urllib.request.urlopen(
            urllib.request.Request(f"http://{served.host}/api/v1/events", headers=served.bearer), timeout=60
        )
        for _ in range(5)
    ]
    for answer in answers:
        assert answer.readline() == b"event: queue\n"
    assert stop(served.process) == 0
    for answer in answers:
        assert answer.read().startswith(b"data: ")  # raises where the answer was cut off
        answer.close()
    assert "Cancel" not in (served.folder / "service.log").read_text()
