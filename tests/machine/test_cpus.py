from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.errors import MachineError
from autotune.machine.cpus import MAX_CPU, format_cpu_list, parse_cpu_list
from autotune.machine.sysfs import parse_cpu_mask
from autotune.testing.recordings import format_cpu_mask

cpu_sets = st.frozensets(st.integers(0, 300) | st.integers(0, MAX_CPU), max_size=60)


@given(cpu_sets)
def test_a_written_cpu_list_is_read_back_as_the_same_cpus(cpus: frozenset[int]) -> None:
    assert parse_cpu_list(format_cpu_list(cpus)) == cpus


@given(cpu_sets)
def test_a_written_cpu_mask_is_read_back_as_the_same_cpus(cpus: frozenset[int]) -> None:
    assert parse_cpu_mask(format_cpu_mask(cpus)) == cpus


@given(st.text(max_size=40))
def test_any_text_is_a_cpu_list_or_a_clear_error(text: str) -> None:
    with contextlib.suppress(MachineError):
        cpus = parse_cpu_list(text)
        assert parse_cpu_list(format_cpu_list(cpus)) == cpus


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("", []), ("0\n", [0]), ("0-3,8", [0, 1, 2, 3, 8]), (" 4 , 2-2 ", [2, 4]), ("1,0,1", [0, 1])],
)
def test_lists_are_read_as_the_kernel_writes_them(text: str, cpus: list[int]) -> None:
    assert sorted(parse_cpu_list(text)) == cpus


@pytest.mark.parametrize("text", ["x", "3-1", "-1", "1-", "0-1000000000", "65536", "1:2", "0x3", "²", "1 2"])
def test_what_is_no_list_of_possible_cpus_is_refused(text: str) -> None:
    with pytest.raises(MachineError, match="is not a cpu list"):
        parse_cpu_list(text)


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("0", []), ("3", [0, 1]), ("00000001,00000000", [32]), ("1,80000001", [0, 31, 32]), ("0x5\n", [0, 2])],
)
def test_masks_are_words_of_32_bits_with_the_highest_first(text: str, cpus: list[int]) -> None:
    found = parse_cpu_mask(text)
    assert found is not None
    assert sorted(found) == cpus


@pytest.mark.parametrize("text", ["", "xyz", "1,,2", "-1", "1" + ",00000000" * 4096, "1 2"])
def test_what_is_no_mask_of_possible_cpus_is_refused(text: str) -> None:
    assert parse_cpu_mask(text) is None


@pytest.mark.parametrize("text", ["1" * 5_000, "0-" + "9" * 5_000, "0-65535," * 100_000])
def test_a_list_without_measure_is_refused_at_once(text: str) -> None:
    with pytest.raises(MachineError, match="is not a cpu list") as refused:
        parse_cpu_list(text)
    assert len(refused.value.problem) < 300
