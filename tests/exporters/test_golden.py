"""Of one plan, what every target's files are, to the letter.

What differs is to be read in the diff: with AUTOTUNE_GOLDEN=write in the environment this writes anew.
A folder `assets/golden/TARGET-PROGRAM` is a case.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from autotune.exporters.options import REQUIRED, option_rows, read_options
from autotune.exporters.registry import exporters
from autotune.plan.launch import Launch, launch_of
from autotune.spec.launch import LaunchSpec
from autotune.testing.plans import build_commands, build_plan
from tests.exporters.engines import of_engine

GOLDEN = Path(__file__).parent / "assets" / "golden"

SERVER = LaunchSpec(
    command=("/srv/uvicorn", "it's app:app", "--port", "{port}", "$HOME", "100%", "{{}}"),
    environment={"NAME": "encoder-{instance}"},
    directory="/srv",
)
"""Of variables that every reader of files of them can be given."""


def written(program: str, plan_path: str) -> Launch:
    """Two instances of two threads, on cpus and memory of their own."""
    plan = build_plan(build_commands(2, threads=2))
    if program == "worker":
        return launch_of(plan)
    return launch_of(plan, SERVER, plan_path=plan_path)


ENGINES = {"triton": "onnxruntime", "ovms": "openvino"}
"""Of targets that load the prepared model themselves, which they can."""

KEPT = sorted(path.name for path in GOLDEN.iterdir())


@pytest.mark.parametrize("kept", KEPT)
def test_a_targets_files_are_what_they_were(kept: str) -> None:
    name, _, program = kept.rpartition("-")
    exporter = exporters()[name]
    assert program in exporter.programs
    needed = [f"{row.name}=example" for row in option_rows(exporter) if row.usual == REQUIRED]
    options = read_options(exporter, needed)
    launch = written(program, options.plan or "/srv/launch/plan.json")
    if name in ENGINES:
        launch = of_engine(launch, ENGINES[name])
    files = exporter.render(launch, options).files
    folder = GOLDEN / kept
    if os.environ.get("AUTOTUNE_GOLDEN") == "write":
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
    assert files == {
        path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()
    }


def test_every_target_has_a_case() -> None:
    assert {kept.rpartition("-")[0] for kept in KEPT} == exporters().keys()
