from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autotune.errors import StoreError
from autotune.measurement.codec import (
    failure_from_json,
    failure_to_json,
    measurement_from_json,
    measurement_to_json,
)
from autotune.measurement.measurement import Failure, FailureKind, Measurement

ASSETS = Path(__file__).with_name("assets")

FINITE = st.floats(allow_nan=False, allow_infinity=False)
MEASUREMENTS = st.builds(Measurement, wall_s=FINITE, measuring_s=FINITE, warmup_s=FINITE)
"""Built from the types' own annotations, down to every raw value."""


def through_text(document: dict[str, Any]) -> Any:
    return json.loads(json.dumps(document))


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=50)
@given(st.data())
def test_a_measurement_survives_its_document(data: st.DataObject) -> None:
    st.register_type_strategy(float, FINITE)
    measurement = data.draw(MEASUREMENTS)
    assert measurement_from_json(through_text(measurement_to_json(measurement))) == measurement


@given(st.builds(Failure))
def test_a_failure_survives_its_document(failure: Failure) -> None:
    assert failure_from_json(through_text(failure_to_json(failure))) == failure


@pytest.mark.parametrize(
    ("kind", "reason", "may_pass"),
    [
        ("out_of_memory", "not enough memory to prepare fake:model.json (stop other programs)", True),
        ("out_of_memory", "preparing m for jax at fp32 was killed by the kernel for want of memory", True),
        ("crash", "preparing m for jax at fp32 took longer than 1800 s (allow more time)", True),
        ("crash", "onnxruntime cannot prepare random:bert-base: RuntimeError: no", True),
        ("out_of_memory", "instance 1 was killed by the kernel because the memory limit was reached", False),
        ("crash", "ended with exit status 70", False),
        ("timeout", "preparing m for jax at fp32", False),
    ],
)
def test_a_failure_of_before_reasons_could_pass_is_told_by_its_words(
    kind: str, reason: str, may_pass: bool
) -> None:
    older = {"schema": "autotune.failure/1", "kind": kind, "reason": reason, "stderr_tail": ""}
    assert failure_from_json(older).may_pass is may_pass
    assert failure_from_json({**older, "may_pass": False}).may_pass is False


def test_a_failure_of_before_reasons_could_pass_is_one_that_lasts() -> None:
    older = {"schema": "autotune.failure/1", "kind": "out_of_memory", "reason": "full", "stderr_tail": ""}
    assert failure_from_json(older) == Failure(FailureKind.OUT_OF_MEMORY, "full", may_pass=False)


@pytest.mark.parametrize("document", [None, [], {}, {"schema": "autotune.measurement/99"}, "text"])
def test_a_document_of_another_version_is_refused(document: object) -> None:
    with pytest.raises(StoreError, match=r"autotune\.measurement/3"):
        measurement_from_json(document)


def test_a_document_of_version_1_is_still_read() -> None:
    measurement = measurement_from_json(json.loads((ASSETS / "measurement_v1.json").read_text()))
    assert [len(block.instances) for block in measurement.blocks] == [2, 2]
    assert [block.conditions for block in measurement.blocks] == [None, None]
    assert (measurement.dropped, measurement.stopped) == ((), "planned")
    assert measurement_to_json(measurement)["schema"] == "autotune.measurement/3"


def test_a_document_of_version_2_is_still_read() -> None:
    measurement = measurement_from_json(json.loads((ASSETS / "measurement_v2.json").read_text()))
    (conditions,) = [block.conditions for block in measurement.blocks]
    assert conditions is not None
    assert (conditions.speed, conditions.probe_s, conditions.lost_cpus) == (0.93, None, 0)
    assert [dropped.reason for dropped in measurement.dropped] == ["the cpus ran at 0.50 of their speed"]
    assert measurement_to_json(measurement)["schema"] == "autotune.measurement/3"


def test_a_damaged_document_says_where() -> None:
    document = measurement_to_json(Measurement("offline", (), (), "none", 1.0, 1.0, 1.0))
    document["wall_s"] = "long"
    with pytest.raises(StoreError, match=r"damaged at wall_s: .*'long'"):
        measurement_from_json(document)


def test_an_unknown_failure_kind_is_refused() -> None:
    with pytest.raises(StoreError, match="kind"):
        failure_from_json({"schema": "autotune.failure/1", "kind": "bad luck", "reason": ""})
