"""A series with a real engine: prepared, compared with the reference, and measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autotune.machine.document import fingerprint
from autotune.machine.read import read_machine
from autotune.series.file import load_series
from autotune.series.running import run_series

pytestmark = [pytest.mark.engines, pytest.mark.slow, pytest.mark.timeout(900)]

SERIES = {
    "title": "Padding and precision",
    "source": "a test",
    "study": {
        "model": "random:minilm-l6",
        "problem": {"batch_size": 1, "lengths": {"values": [4, 8]}, "max_length": 64},
        "quality": {"sequences": 2},
        "measure": {"warmup": "500ms", "block": "100ms", "blocks": 1, "disturbed": "keep"},
    },
    "configuration": {"engine": "pytorch", "cores": 1, "padding": "none"},
    "points": [
        {"name": "padded", "configuration": {"padding": "max"}},
        {"name": "unpadded"},
        {"name": "int8", "configuration": {"precision": "int8-dynamic"}},
        {"name": "strict", "set": {"quality.cosine": 1}, "configuration": {"precision": "int8-dynamic"}},
    ],
    "claims": [{"claim": "Padding costs", "check": "median(padded) / median(unpadded) >= 1"}],
}


def test_real_points_are_measured_and_one_whose_answers_are_too_far_off_is_not(
    tmp_path: Path, own_cache: Path
) -> None:
    (tmp_path / "series.yaml").write_text(json.dumps(SERIES))
    result = run_series(load_series(tmp_path), tmp_path / "result", rounds=2, offline=True)
    found = {one.point.name: one for one in result.standings.points}
    assert [found[name].unmeasured for name in ("padded", "unpadded", "int8")] == [""] * 3
    assert found["strict"].unmeasured.startswith("too far from the fp32 reference: ")
    padded, unpadded = found["padded"].median, found["unpadded"].median
    assert padded is not None
    assert unpadded is not None
    assert min(padded.estimate, unpadded.estimate) > 0
    assert result.standings.record.versions["torch"]
    assert "Padding costs" in (tmp_path / "result" / "README.md").read_text()
    assert result.standings.record.machine["fingerprint"] == fingerprint(read_machine())
