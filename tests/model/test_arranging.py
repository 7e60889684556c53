"""Sequences become requests: each in one of them, filled up no further than asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.model.arranging import HORIZON, Arrangement, arrange, buckets, padded_length, part_of
from autotune.spec.configuration import BATCHINGS, PADDINGS

LENGTHS = st.lists(st.integers(1, 128), min_size=1, max_size=300)
ARRANGEMENTS = st.builds(
    Arrangement,
    st.sampled_from(PADDINGS),
    st.sampled_from(BATCHINGS),
    st.integers(1, 9),
    st.integers(128, 200),
)


@given(LENGTHS, ARRANGEMENTS, st.integers(0, 5))
def test_every_sequence_is_in_one_request(lengths: list[int], how: Arrangement, seed: int) -> None:
    requests = arrange(lengths, how, seed)
    assert sorted(index for request in requests for index in request) == [*range(len(lengths))]
    assert all(requests)
    assert requests == arrange(lengths, how, seed)


@given(LENGTHS, ARRANGEMENTS, st.integers(0, 5))
def test_no_request_has_more_than_the_batch_or_the_budget(
    lengths: list[int], how: Arrangement, seed: int
) -> None:
    for request in arrange(lengths, how, seed):
        filled = padded_length(max(lengths[index] for index in request), how.bounds)
        assert max(lengths[index] for index in request) <= filled <= how.longest
        if how.batching == "tokens":
            assert len(request) * filled <= how.budget
        else:
            assert len(request) <= how.batch_size


@given(LENGTHS, st.sampled_from(PADDINGS))
def test_sorting_never_pads_more(lengths: list[int], padding: str) -> None:
    def tokens(batching: str) -> int:
        how = Arrangement(padding, batching, 4, 128)  # type: ignore[arg-type]
        return sum(
            len(request) * padded_length(max(lengths[index] for index in request), how.bounds)
            for request in arrange(lengths, how, 0)
        )

    assert tokens("sorted") <= tokens("arrival") or len(lengths) % 4


def test_sequences_are_sorted_within_a_horizon_alone() -> None:
    lengths = [index % 7 + 1 for index in range(3 * HORIZON * 2)]
    requests = arrange(lengths, Arrangement("none", "sorted", 2, 8), 0)
    for start in range(0, len(requests), HORIZON):
        own = [index for request in requests[start : start + HORIZON] for index in request]
        assert sorted(own) == [*range(start * 2, (start + HORIZON) * 2)]


def test_requests_of_short_sequences_hold_more_of_them() -> None:
    requests = arrange([16] * 64 + [128] * 8, Arrangement("none", "tokens", 8, 128), 0)
    assert sorted(map(len, requests)) == [8, 64]


def test_buckets_are_powers_of_two_and_the_longest() -> None:
    assert buckets(128) == (16, 32, 64, 128)
    assert buckets(100) == (16, 32, 64, 100)
    assert buckets(16) == (16,)
    assert buckets(7) == (7,)


@pytest.mark.parametrize(("length", "filled"), [(1, 16), (16, 16), (17, 32), (100, 100)])
def test_a_request_is_filled_up_to_the_next_bucket(length: int, filled: int) -> None:
    assert padded_length(length, buckets(100)) == filled
    assert padded_length(length, ()) == length


@given(st.integers(1, 20), st.integers(1, 8))
def test_the_parts_of_a_request_are_all_of_it(size: int, parts: int) -> None:
    found = [part_of(range(size), part, parts) for part in range(parts)]
    assert [index for part in found for index in part] == [*range(size)]
    sizes = [len(part) for part in found]
    assert sizes == sorted(sizes, reverse=True)
    assert max(sizes) - min(sizes) <= 1
