"""What a histogram gives back is what the library that wrote it would."""

from __future__ import annotations

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.plan.histogram import (
    HIGHEST_US,
    histogram_percentiles_s,
    histogram_values_s,
    latency_histogram,
)

LATENCIES = st.lists(st.floats(0.0, 2 * HIGHEST_US / 1e6), min_size=1, max_size=50)


@settings(max_examples=10)
@given(LATENCIES)
def test_its_values_are_those_of_the_library_s_own_iterator(latencies_s: list[float]) -> None:
    text = latency_histogram(latencies_s)
    assert text is not None
    steps = HdrHistogram.decode(text).get_recorded_iterator()
    theirs = [step.value_iterated_to / 1e6 for step in steps for _ in range(step.count_at_value_iterated_to)]
    assert list(histogram_values_s(text)) == theirs
    assert len(theirs) == len(latencies_s)


@settings(max_examples=10)
@given(LATENCIES, st.lists(st.floats(0.0, 100.0), max_size=5))
def test_its_percentiles_are_those_that_the_library_gives_for_each(
    latencies_s: list[float], percentiles: list[float]
) -> None:
    text = latency_histogram(latencies_s)
    assert text is not None
    decoded = HdrHistogram.decode(text)
    theirs = tuple(decoded.get_value_at_percentile(percentile) / 1e6 for percentile in percentiles)
    assert histogram_percentiles_s(text, percentiles) == theirs


def test_a_text_that_is_no_histogram_is_refused() -> None:
    with pytest.raises(ValueError, match="no HdrHistogram"):
        histogram_values_s("no histogram")
