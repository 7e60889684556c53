"""Whoever makes a session of their own has the plan's threads and options, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.engines

PlanFile = Callable[..., Path]

CONFIGURE = """
import json
import autotune.runtime
settings = autotune.runtime.configure()
import torch
print(json.dumps({
    "threads": torch.get_num_threads(), "settings": [settings.backend, settings.threads, settings.options],
    "matmul": torch.get_float32_matmul_precision(),
}))
"""


def test_torch_is_told_of_its_threads(plan_file: PlanFile, in_process: Callable[..., Any]) -> None:
    told = in_process(plan_file("classifier", threads_per_instance=1), CONFIGURE)
    assert told == {"threads": 1, "settings": ["pytorch", 1, None], "matmul": "highest"}


OPTIONS = """
import json, pathlib
import onnxruntime
import autotune.runtime
options = autotune.runtime.session_options()
settings = autotune.runtime.configure()
before = len(list(pathlib.Path("/proc/self/task").iterdir()))
session = onnxruntime.InferenceSession(
    str(autotune.runtime.planned.find_planned(None, None).artifact / "model.onnx"), options,
    providers=["CPUExecutionProvider"],
)
print(json.dumps({
    "threads": options.intra_op_num_threads, "same": settings.options.intra_op_num_threads,
    "spinning": options.get_session_config_entry("session.intra_op.allow_spinning"),
    "started": len(list(pathlib.Path("/proc/self/task").iterdir())) - before,
}))
"""


@pytest.mark.slow
def test_onnxruntime_has_its_options_ready(plan_file: PlanFile, in_process: Callable[..., Any]) -> None:
    pytest.importorskip("onnxruntime")
    plan = plan_file("classifier", backend="onnxruntime", knobs="spinning=off")
    assert in_process(plan, OPTIONS) == {"threads": 1, "same": 1, "spinning": "0", "started": 0}


REFUSED = """
import json
import autotune.runtime
from autotune.errors import ServingError
try:
    autotune.runtime.session_options()
except ServingError as error:
    print(json.dumps(str(error)))
"""


def test_an_engine_that_takes_no_options_says_what_to_do(
    plan_file: PlanFile, in_process: Callable[..., Any]
) -> None:
    said = in_process(plan_file("classifier"), REFUSED)
    assert "serves with pytorch, whose sessions take no options" in said
    assert "configure()" in said
