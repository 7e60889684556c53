"""Prints how fast the service answers, what its process uses, and what it costs a study that measures.

    python -m studies.benchmarks.service [--part pages|queue|submit|process|load] [--runs 20] [--seconds 30]
        [--pairs 10] [--model random:minilm-l6] [--cpus 0]

Each part starts `autotune serve` on a store of its own: 10,000 trials (one study of a thousand), 100 plans
and 1,000 jobs that wait. Without `--part` all are run.

| part | what is measured |
|---|---|
| pages | time until a page has come, and its size as it is sent (gzip) |
| queue | the same of 1,000 jobs that wait |
| submit | from asking for a study until its first event has come |
| process | the HTTP process while a study measures and 100 clients follow it: share of a core, memory |
| load | what 100 such clients and 200 reads per second change of what a study measures |

The last part runs studies in pairs, with and without the clients, which of them first in turns; each study
measures the same configurations, so their scores are compared one by one. With `--cpus` the service and its
clients have these cpus for themselves, and jobs the others; with `--cpus none` all share all.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from autotune.statistics.paired import paired_ratio
from autotune.store.records import ConfirmationRecord, TrialSummary
from autotune.store.store import open_store, read_store
from studies.benchmarks.service_process import ServiceProcess, running
from studies.benchmarks.service_store import LARGE, fill, queue_up, run_down

HERE = Path(__file__).parents[2]
QUEUED = 1000
API = "/api/v1"
Options = argparse.Namespace


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=PARTS, action="append", help="may be given several times")
    parser.add_argument("--runs", type=int, default=20, help="of every request")
    parser.add_argument("--seconds", type=float, default=30.0, help="for which the process is watched")
    parser.add_argument("--pairs", type=int, default=10, help="of studies under load and not")
    parser.add_argument("--model", default="random:minilm-l6", help="that the studies serve")
    parser.add_argument("--cpus", default="0", help="of the service and its clients; none = shared")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what was started, as Ctrl-C does
    for part in options.part or PARTS:
        for line in PARTS[part](options):
            print(line, flush=True)


def pages(options: Options) -> Iterator[str]:
    """Time the pages of a large store."""
    with large_service() as (service, job):
        asked = {
            "first page": "/",
            "a study of 1,000 trials": f"/studies/{LARGE}",
            "its trials (API)": f"{API}/studies/{LARGE}/trials",
            "all studies (API)": f"{API}/studies",
            "all plans (API)": f"{API}/plans",
            "a job that has ended": f"/jobs/{job}",
            "the compare page": "/compare",
            "metrics": "/metrics",
        }
        for name, path in asked.items():
            yield timed(service, name, path, options.runs)


def queue(options: Options) -> Iterator[str]:
    """Time the lists of a long queue."""
    with large_service() as (service, _):
        path = f"{API}/jobs?state=queued&limit={QUEUED}"
        yield timed(service, "1,000 jobs (API)", path, options.runs)
        yield timed(service, "the page with them", "/", options.runs)


def submit(options: Options) -> Iterator[str]:
    """Time from asking for a study to its first event, which a stream gives."""
    taken_s = []
    with study_service(options) as service:
        for number in range(options.runs):
            start_s = time.perf_counter()
            job = ask_for(service, small_study(f"submitted-{number}", options.model, minutes=1.0))
            first_event(service, job)
            taken_s.append(time.perf_counter() - start_s)
            service.request("POST", f"{API}/jobs/{job}/cancel")
            wait_for_end(service, job)
    yield f"submit to first event: {of(taken_s)}"


def process(options: Options) -> Iterator[str]:
    """Watch the HTTP process while a study runs and a hundred clients follow it."""
    with study_service(options) as service:
        job = ask_for(service, small_study("watched", options.model, minutes=30.0))
        first_event(service, job)
        with load(service, options, "--rate", "0", "--job", job) as seen:
            used_s, start_s = service.cpu_s(), time.monotonic()
            time.sleep(options.seconds)
            share = (service.cpu_s() - used_s) / (time.monotonic() - start_s)
            memory_mb = service.memory_bytes() / 1e6
        service.request("POST", f"{API}/jobs/{job}/cancel")
        wait_for_end(service, job)
    yield (
        f"HTTP process with 100 streams, {options.seconds:g} s of a study: {share:.2%} of a core,"
        f" {memory_mb:.0f} MB; the clients got {seen['events']} events, {seen['ended']} streams ended,"
        f" refused: {seen['refused'] or 'none'}"
    )


def measured_under_load(options: Options) -> Iterator[str]:
    """Compare what pairs of studies measure, with and without clients."""
    quiet: list[float] = []
    loaded: list[float] = []
    with study_service(options) as service:
        for pair in range(options.pairs):
            seen, under, beside = {}, {}, {}
            for is_loaded in (False, True) if pair % 2 == 0 else (True, False):
                if is_loaded:
                    with load(service, options) as seen:
                        under = scores_of(service, f"loaded-{pair}", options.model)
                else:
                    beside = scores_of(service, f"quiet-{pair}", options.model)
            both = under.keys() & beside.keys()
            loaded += [under[configuration] for configuration in both]
            quiet += [beside[configuration] for configuration in both]
            yield f"  pair {pair + 1}: {paired_ratio(loaded, quiet).estimate:.4f} so far; the clients: {seen}"
    found = paired_ratio(loaded, quiet)
    shared = "shared with the study" if options.cpus == "none" else f"on cpus {options.cpus} alone"
    change = f"{found.estimate - 1:+.2%} [{found.low - 1:+.2%}, {found.high - 1:+.2%}]"
    yield f"100 streams and 200 reads/s, service and clients {shared}: {change} ({found.count} pairs)"


PARTS: dict[str, Callable[[Options], Iterator[str]]] = {
    "pages": pages,
    "queue": queue,
    "submit": submit,
    "process": process,
    "load": measured_under_load,
}


@contextmanager
def large_service() -> Iterator[tuple[ServiceProcess, str]]:
    """Start a service on a large store; gives the id of a job that has ended, too."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with open_store(f"sqlite:///{folder}/autotune.db") as store:
            fill(store)
            queue_up(store, QUEUED)
            job = run_down(store, 300)
        with running(folder) as service:
            yield service, job


@contextmanager
def study_service(options: Options) -> Iterator[ServiceProcess]:
    """Start a service on a large store that is to run studies."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with open_store(f"sqlite:///{folder}/autotune.db") as store:
            fill(store)
        with running(folder, *([] if options.cpus == "none" else ["--cpus", options.cpus])) as service:
            yield service


def timed(service: ServiceProcess, name: str, path: str, runs: int) -> str:
    """Ask for a path so many times after a first time, and say what that took."""
    first = service.request("GET", path, headers={"Accept": "text/html, application/json"})
    if first.status != 200:
        return f"{name:26} {path}: answered {first.status}: {first.body[:200]!r}"
    answers = [service.request("GET", path) for _ in range(runs)]
    size_kb = answers[-1].sent_bytes / 1000
    taken_s = [answer.seconds for answer in answers]
    return f"{name:26} first {first.seconds * 1e3:.0f} ms; then {of(taken_s)}; {size_kb:.1f} kB sent"


def of(taken_s: Sequence[float]) -> str:
    """Put times into words."""
    return f"median {statistics.median(taken_s) * 1e3:.0f} ms, slowest {max(taken_s) * 1e3:.0f} ms"


def small_study(name: str, model: str, *, minutes: float, trials: int = 1000) -> dict[str, Any]:
    """Write a study of one engine, whose order of configurations is always the same."""
    return {
        "name": name,
        "model": model,
        "problem": {"batch_size": 1, "sequence_length": 64},
        "search": {"backends": ["onnxruntime"], "precisions": ["fp32"], "knobs": "none"},
        "measure": {"warmup": "500ms", "block": "1s", "blocks": 3, "max_blocks": 3, "disturbed": "keep"},
        "confirm": {"rounds": 3, "finalists": 1},
        "budget": {"trials": trials, "minutes": minutes},
    }


def ask_for(service: ServiceProcess, study: dict[str, Any]) -> str:
    """Ask for a study; give the job's id."""
    key = {"Idempotency-Key": str(study["name"])}
    answer = service.request("POST", f"{API}/jobs", {"kind": "tune", "study": study}, key)
    if answer.status not in (200, 201, 202):
        raise RuntimeError(f"the service answers {answer.status}: {answer.body!r}")
    return str(answer.json()["id"])


def first_event(service: ServiceProcess, job: str) -> None:
    """Wait for a job's first event, as a client that follows it."""
    next(service.follow(f"{API}/jobs/{job}/events"))


def wait_for_end(service: ServiceProcess, job: str) -> dict[str, Any]:
    """Wait until a job has ended, on its stream; give its document, which is the last of it."""
    *_, (tag, text) = service.follow(f"{API}/jobs/{job}/events")
    if tag != "job":
        raise RuntimeError(f"the stream of the job {job} ends with {tag!r}")
    document: dict[str, Any] = json.loads(text)
    return document


def scores_of(service: ServiceProcess, name: str, model: str) -> dict[str, float]:
    """Run a study; give the mean score of each configuration, over its trial and its rounds."""
    document = wait_for_end(service, ask_for(service, small_study(name, model, minutes=10.0, trials=2)))
    if document["state"] != "done":
        raise RuntimeError(f"the study {name} ended so: {document}")
    scores: dict[str, list[float]] = {}
    with read_store(service.store) as store:
        records: list[TrialSummary | ConfirmationRecord] = [*store.trial_summaries(name)]
        for record in [*records, *store.confirmations(name)]:
            if record.score is not None:
                scores.setdefault(str(record.configuration), []).append(record.score)
    return {configuration: statistics.fmean(values) for configuration, values in scores.items()}


@contextmanager
def load(service: ServiceProcess, options: Options, *more: str) -> Iterator[dict[str, Any]]:
    """Run the clients meanwhile, in a process of their own; gives what they saw, once that is over."""
    seen: dict[str, Any] = {}
    module = "studies.benchmarks.service_load"
    argv = [sys.executable, "-m", module, service.url, str(service.token_file), *more]
    argv += [] if options.cpus == "none" else ["--cpus", options.cpus]
    with subprocess.Popen(argv, cwd=HERE, stdout=subprocess.PIPE, text=True) as clients:
        if clients.stdout is None or clients.stdout.readline() != "ready\n":
            raise RuntimeError("the clients do not start")
        try:
            yield seen
        finally:
            clients.send_signal(signal.SIGTERM)
            seen.update(json.loads(clients.stdout.read()))


if __name__ == "__main__":
    main()
