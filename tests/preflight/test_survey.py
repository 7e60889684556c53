"""What has no room in memory is left out or refused before anything is prepared."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from autotune.bench.here import machine_here
from autotune.cli.exits import EXIT_CODES
from autotune.errors import PlacementError
from autotune.model.found import find_study
from autotune.model.sources import resolve_model
from autotune.preflight.survey import survey
from autotune.spec.load import parse_study

IN_CGROUP = """
import os, sys
from pathlib import Path
Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))
sys.argv = ["autotune", "tune", "study.yaml", "--dry-run"]
from autotune.cli.main import main
main()
"""


def test_a_model_that_the_memory_limit_does_not_hold_is_refused_before_anything_is_prepared(
    tmp_path: Path, memory_cgroup: Path
) -> None:
    problem = "problem: {batch_size: 1, sequence_length: 8}"
    (tmp_path / "study.yaml").write_text(f"model: random:bert-large\n{problem}\n")
    command = [sys.executable, "-c", IN_CGROUP, str(memory_cgroup)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == EXIT_CODES[PlacementError], ended.stderr
    assert "the baseline" in ended.stderr
    assert "for the weights and activations of one instance" in ended.stderr
    assert "286.1 MiB within the memory limit of the cgroup" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]


@pytest.mark.parametrize(("batch_size", "status"), [(32, 0), (64, EXIT_CODES[PlacementError])])
def test_what_requests_take_counts_beside_the_weights(
    tmp_path: Path, memory_cgroup: Path, batch_size: int, status: int
) -> None:
    """Of 32 x 512 tokens MiniLM holds 120 MiB beside 85 MiB of weights, of 64 x 512 tokens 240 MiB."""
    problem = f"problem: {{batch_size: {batch_size}, sequence_length: 512}}"
    (tmp_path / "study.yaml").write_text(f"model: random:minilm-l6\n{problem}\n")
    command = [sys.executable, "-c", IN_CGROUP, str(memory_cgroup)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == status, ended.stderr
    assert ("needs 325.2 MiB for the weights and activations of one instance" in ended.stderr) == bool(status)


def test_a_study_says_what_it_leaves_out_for_want_of_memory(tmp_path: Path) -> None:
    text = "model: random:minilm-l6\nproblem: {batch_size: 1, sequence_length: 8}"
    spec = parse_study(text, name="study")
    found = survey(spec, machine_here())
    model = resolve_model("random:minilm-l6", base=tmp_path, seed=0, offline=True)
    study = find_study(spec, {"": model}, tmp_path)
    small = replace(found, machine=replace(found.machine, memory_limit_bytes=64 << 20))
    with pytest.raises(PlacementError, match=r"the baseline, .* 64\.0 MiB within the memory limit"):
        small.weighed(study)
    tight = replace(found, machine=replace(found.machine, memory_limit_bytes=100 << 20))
    weighed = tight.weighed(study)
    assert weighed.left_out == found.left_out
    assert len(found.machine.allowed_cores) < 2 or "may run out of memory" in weighed.warnings[0]
