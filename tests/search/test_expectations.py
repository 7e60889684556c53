from __future__ import annotations

import math
from itertools import pairwise

from autotune.search.expectations import LOOK_SPREAD, STATED, expectations
from autotune.spec.configuration import Precision, Prepared


def pair(backend: str, precision: Precision, model: str = "") -> Prepared:
    return Prepared(model, backend, precision)


LOOKS = {
    pair("pytorch", "fp32"): 0.100,
    pair("onnxruntime", "fp32"): 0.080,
    pair("onnxruntime", "int8-dynamic"): 0.030,
    pair("openvino", "fp32"): 0.090,
    pair("openvino", "int8-dynamic"): 0.050,
}


def test_what_was_looked_at_is_expected_as_fast_as_it_was() -> None:
    found = expectations(LOOKS, LOOKS)
    for looked, seconds in LOOKS.items():
        assert math.isclose(found[looked].log_speed, -math.log(seconds))
        assert found[looked].spread == LOOK_SPREAD


def test_what_was_not_looked_at_is_like_its_kin_its_precision_or_its_engine_and_less_and_less_sure() -> None:
    kin, precision = pair("inductor", "fp32"), pair("new", "int8-dynamic")
    engine, stranger = pair("openvino", "int8-static"), pair("new", "bf16")
    found = expectations([*LOOKS, kin, precision, engine, stranger], LOOKS)
    assert math.isclose(found[kin].log_speed, -math.log(0.100))
    assert -math.log(0.050) < found[precision].log_speed < -math.log(0.030)
    assert -math.log(0.090) < found[engine].log_speed < -math.log(0.050)
    spreads = [found[one].spread for one in (pair("pytorch", "fp32"), kin, precision, engine, stranger)]
    assert all(nearer < further for nearer, further in pairwise(spreads))


def test_another_variant_of_the_model_is_expected_by_its_size() -> None:
    small, large = pair("pytorch", "fp32", "small"), pair("pytorch", "fp32", "large")
    found = expectations([small, large], {small: 0.02}, {"small": 1.0, "large": 8.0})
    assert math.isclose(found[small].log_speed - found[large].log_speed, math.log(8))
    assert found[large].spread > found[small].spread


def test_without_any_look_engines_are_alike_and_precisions_as_stated() -> None:
    pairs = [pair(backend, precision) for backend in ("a", "b") for precision in STATED]
    found = expectations(pairs, {})
    for one in pairs:
        assert (found[one].log_speed, found[one].spread) == STATED[one.precision]
