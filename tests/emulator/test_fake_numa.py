"""On a kernel booted with `numa=fake=4`, whose nodes share all cpus, instances may use all of the memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from autotune.measurement.measurement import Measurement
from autotune.store.store import open_store

Emulate = Callable[[Path, tuple[str, ...], str], None]

NEEDED_BYTES = 700_000_000
"""Of each instance: more than a fake node has, and less than all have."""

SHAPE = ("--sockets=1", "--cores=2", "--threads=1", "--memory=2G", "--append=numa=fake=4")
STUDY = """
name: fake-numa
model: fake:model.json
problem: {batch_size: 4, sequence_length: 128}
search: {precisions: [fp32], placements: [close], instances: [1], threads: [2]}
measure: {warmup: 1s, block: 200ms, blocks: 1, max_blocks: 1, disturbed: keep, trial_timeout: 240s}
budget: {trials: 2, minutes: 60}
"""
SCRIPT = """
set -e
cat /sys/devices/system/node/node*/cpulist > nodes.txt
"$PYTHON" -P steps.py "autotune machine.txt machine" "search 2 study.yaml"
"""


@pytest.fixture(scope="module")
def folder(emulate: Emulate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a study inside the emulated machine left."""
    path = tmp_path_factory.mktemp("fake-numa")
    allocate = {"fault": "allocate_bytes", "bytes": NEEDED_BYTES}
    model = {"schema": "autotune.fake/1", "serial_s": 0.02, "faults": [allocate]}
    (path / "model.json").write_text(json.dumps(model))
    (path / "study.yaml").write_text(STUDY)
    emulate(path, SHAPE, SCRIPT)
    return path


pytestmark = [pytest.mark.emulator, pytest.mark.slow, pytest.mark.timeout(1900)]


def test_the_kernel_lists_the_same_cpus_for_every_node_and_autotune_says_so(folder: Path) -> None:
    assert (folder / "nodes.txt").read_text().split() == ["0-1"] * 4
    assert "NUMA nodes 1-3 are left out" in (folder / "machine.txt").read_text()


def test_pinned_instances_that_need_more_than_one_node_has_are_measured(folder: Path) -> None:
    with open_store(f"sqlite:///{folder}/autotune.db") as store:
        trials = store.trials("fake-numa")
    assert len(trials) == 2
    for trial in trials:
        assert isinstance(trial.result, Measurement), trial.result
        assert trial.result.memory_binding == "none"
        assert all(seen.memory_bytes > NEEDED_BYTES for seen in trial.result.observations)
