"""A response cache in front of a real engine, under the load of the scenario `server`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autotune.measurement.codec import measurement_from_json
from autotune.measurement.measurement import InstanceBlock, Measurement
from autotune.measurement.statistics import hit_rate
from autotune.testing.stolen import StolenTime

pytestmark = [pytest.mark.engines, pytest.mark.quiet]

COUNTED = '''
import os, time
from dataclasses import replace
from autotune.backends.onnxruntime.backend import OnnxRuntimeBackend

class Backend(OnnxRuntimeBackend):
    """ONNX Runtime, which notes in a file when it is asked, and for how many sequences."""

    name = "counted"
    packages = ("onnxruntime",)

    def environment(self, threads):
        return {**super().environment(threads), "ASKED": os.environ["ASKED"]}

    def load_with(self, directory, precision, threads, knobs):
        return Counted(super().load_with(directory, precision, threads, knobs))

class Counted:
    def __init__(self, session):
        self._session = session
        self._asked = open(os.environ.get("ASKED", os.devnull), "a", buffering=1)

    def run(self, inputs):
        print(time.monotonic(), len(inputs["input_ids"]), file=self._asked)
        return self._session.run(inputs)

    def report(self):
        return replace(self._session.report(), engine="counted")

    def close(self):
        self._session.close()
        self._asked.close()
'''
SERVE = """
import json, sys
from pathlib import Path
from autotune.bench.local import LocalHost
from autotune.preflight.setup import set_up
from autotune.bench.here import machine_here
from autotune.preflight.survey import survey
from autotune.spec.load import parse_study
from autotune.measurement.codec import failure_to_json, measurement_to_json
from autotune.measurement.measurement import Measurement
from autotune.trial.server.rate_search import Demand
from autotune.trial.run import Trial, run_trial

spec = parse_study(sys.argv[1], name="served")
host = LocalHost(set_up(survey(spec, machine_here()), base=Path(sys.argv[2]), offline=True))
(configuration,) = host.setup.space.configurations
trial = Trial(
    configuration=configuration,
    scenario=spec.scenario,
    measure=spec.measure,
    objective=spec.objective,
    percentile=90,
    demand=Demand(spec.limits.latency, start_rate_per_s=100.0, is_fixed=True),
)
result = run_trial(host.admit(configuration, compare=False).commands, trial)
write = measurement_to_json if isinstance(result, Measurement) else failure_to_json
print(json.dumps(write(result)))
"""
STUDY = {
    "model": "onnx:encoder.onnx",
    "scenario": "server",
    "problem": {"batch_size": 2, "lengths": {"values": [8, 16]}, "cache": {"hit_rate": 0.4}},
    "limits": {"latency": {"p90": "2s"}},
    "search": {
        **{"backends": ["counted"], "precisions": "fp32", "instances": 1, "threads": 1},
        **{"placements": "close", "padding": "none", "batching": "arrival", "knobs": "none"},
    },
    "measure": {"warmup": "200ms", "block": "1s", "blocks": 1, "disturbed": "keep", "trial_timeout": "60s"},
}


@pytest.fixture
def served(
    tmp_path: Path, own_cache: Path, encoders: Path, install_backend: Callable[[str, str, str], Path]
) -> tuple[Measurement, list[tuple[float, int]]]:
    """What was measured at 100 requests per second; when the engine was asked, and for how many sequences."""
    plugins, asked, stolen = install_backend("counted", "counted", COUNTED), tmp_path / "asked", StolenTime()
    path = os.pathsep.join(filter(None, (str(plugins), os.environ.get("PYTHONPATH"))))
    ended = subprocess.run(
        [sys.executable, "-P", "-c", SERVE, json.dumps(STUDY), str(encoders)],
        env={**os.environ, "PYTHONPATH": path, "ASKED": str(asked)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    if found.get("kind") == "disturbed" and stolen.is_much:
        pytest.skip(f"the hypervisor took {stolen.share:.0%} of the cpus: {found['reason']}")
    lines = [line.split() for line in asked.read_text().splitlines()]
    return measurement_from_json(found), [(float(when_s), int(count)) for when_s, count in lines]


def asked_for(part: InstanceBlock, asked: list[tuple[float, int]]) -> list[list[int]]:
    """For how many sequences the engine was asked during each request, every time."""
    return [
        [count for when_s, count in asked if begun_s <= when_s <= end_s]
        for begun_s, end_s in zip(part.begun_s, part.ends_s, strict=True)
    ]


def test_the_engine_is_asked_for_what_is_no_hit_and_nothing_else(
    served: tuple[Measurement, list[tuple[float, int]]],
) -> None:
    measurement, asked = served
    assert [one.engine for one in measurement.observations] == ["counted"]
    parts = [part for block in measurement.blocks for part in block.instances]
    assert sum(part.sample_count for part in parts) == 200
    assert hit_rate([measurement]) == pytest.approx(0.4, abs=0.05)
    found = [asked_for(part, asked) for part in parts]
    for part, requests in zip(parts, found, strict=True):
        assert sum(map(sum, requests)) == part.sample_count - part.hits
    # It is not asked at all where both sequences are hits, and never twice.
    assert {tuple(times) for requests in found for times in requests} == {(), (1,), (2,)}
