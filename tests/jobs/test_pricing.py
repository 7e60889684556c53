"""What preparing will take: records of this machine first, then looks, then what is stated."""

from __future__ import annotations

import math

import pytest

from autotune.backends.times import STATED_BYTES, stated_preparing_s
from autotune.jobs.pricing import COMPARING_S, FIXED_SHARE, STARTING_S, Pricing
from autotune.model.looked import Look
from autotune.preparation.records import PreparationRecord
from autotune.spec.configuration import Prepared

EXPORTED = Prepared("", "onnxruntime", "fp32")
DYNAMIC = Prepared("", "onnxruntime", "int8-dynamic")
EAGER = Prepared("", "pytorch", "fp32")
SIZES = {"": float(STATED_BYTES)}


def price(pricing: Pricing, pair: Prepared, *there: Prepared) -> float:
    return pricing.prices_s([pair], frozenset(there))[pair]


def test_what_is_there_costs_nothing() -> None:
    assert price(Pricing(), EAGER, EAGER) == 0.0


def test_what_is_made_from_another_costs_both_until_that_is_there() -> None:
    pricing = Pricing(model_bytes=SIZES)
    own = stated_preparing_s("onnxruntime", "int8-dynamic") + COMPARING_S
    assert price(pricing, DYNAMIC) == pytest.approx(own + stated_preparing_s("onnxruntime", "fp32"))
    assert price(pricing, DYNAMIC, EXPORTED) == pytest.approx(own)


def test_a_record_of_this_machine_counts_more_than_a_look_and_that_more_than_what_is_stated() -> None:
    record = PreparationRecord("pytorch", "fp32", 7.0, "random:x", STATED_BYTES)
    look = Look(request_s=0.1, preparation_s=2.0, layers=1, whole_layers=4, took_s=1.0)
    looks = {("pytorch", "fp32"): look}
    everything = Pricing([record], looks, SIZES)  # type: ignore[arg-type]
    assert price(everything, EAGER) == pytest.approx(7.0 + COMPARING_S)
    looked = Pricing((), looks, SIZES)  # type: ignore[arg-type]
    assert price(looked, EAGER) == pytest.approx(STARTING_S + 2.0 * math.sqrt(4) + COMPARING_S)
    assert price(Pricing(model_bytes=SIZES), EAGER) == pytest.approx(
        stated_preparing_s("pytorch", "fp32") + COMPARING_S
    )


def test_a_larger_model_takes_longer_but_not_in_proportion() -> None:
    record = PreparationRecord("pytorch", "fp32", 10.0, "random:x", 100)
    larger = Pricing([record], {}, {"": 1000.0})
    growth = FIXED_SHARE + (1 - FIXED_SHARE) * 10
    comparing = COMPARING_S * (FIXED_SHARE + (1 - FIXED_SHARE) * 1000 / STATED_BYTES)
    assert price(larger, EAGER) == pytest.approx(10.0 * growth + comparing)


def test_records_of_knobs_say_nothing_of_what_has_none() -> None:
    record = PreparationRecord("pytorch", "fp32", 99.0, "random:x", STATED_BYTES, knobs="fusion=on")
    assert price(Pricing([record], {}, SIZES), EAGER) < 10
