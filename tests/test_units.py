from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.units import (
    format_bytes,
    format_duration,
    format_latency,
    format_throughput,
    parse_bytes,
    parse_duration_s,
    parse_rate_per_s,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("50ms", 0.05),
        ("50 ms", 0.05),
        ("0.05s", 0.05),
        ("2min", 120.0),
        ("1.5h", 5400.0),
        ("250us", 0.00025),
        ("250\u00b5s", 0.00025),
        ("250\u03bcs", 0.00025),
        ("0s", 0.0),
    ],
)
def test_a_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "50",
        "ms",
        "-1s",
        "+1s",
        ".5s",
        "1e3s",
        "50MS",
        "1m",
        "1s ",
        " 1s",
        "1  s",
        "1s\n",
        "1 s 2 ms",
        "\u0665s",
    ],
)
def test_what_is_no_duration_is_refused_with_the_text_and_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="50ms") as caught:
        parse_duration_s(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GiB", 4 * 2**30),
        ("4 gib", 4 * 2**30),
        ("512MB", 512_000_000),
        ("1.5KiB", 1536),
        ("2kB", 2000),
        ("3TiB", 3 * 2**40),
        ("17B", 17),
        ("0.3B", 0),
    ],
)
def test_a_size_is_read_in_bytes(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "4", "4G", "4Gi", "GiB", "-4GiB", "4PiB", "4GiB\n", "4,5GiB", "1e3MB"])
def test_what_is_no_size_is_refused_with_the_text_and_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="4GiB") as caught:
        parse_bytes(text)
    assert repr(text) in str(caught.value)


@given(st.integers(min_value=0, max_value=10**14))
def test_the_same_duration_in_two_units_is_one_value(microseconds: int) -> None:
    whole, fraction = divmod(microseconds, 1_000_000)
    assert parse_duration_s(f"{microseconds}us") == parse_duration_s(f"{whole}.{fraction:06d}s")


@given(st.integers(min_value=0, max_value=2**50))
def test_a_formatted_size_is_read_back_to_its_shown_digits(size: int) -> None:
    text = format_bytes(size)
    shown = parse_bytes(f"0.1 {text.split()[1]}") / 2 if size >= 1024 else 0
    assert abs(parse_bytes(text) - size) <= shown + 1


@given(st.floats(min_value=1e-6, max_value=1e4))
def test_a_formatted_latency_is_read_back_to_three_digits(seconds: float) -> None:
    assert math.isclose(parse_duration_s(format_latency(seconds)), seconds, rel_tol=0.006)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.2, "1 s"),
        (59, "59 s"),
        (59.5, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
    ],
)
def test_a_span_is_told_in_its_two_largest_units_rounded_up(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_figures_carry_their_unit_and_three_digits() -> None:
    assert format_latency(0.01234) == "12.3 ms"
    assert format_latency(1.2344) == "1234 ms"
    assert format_throughput(23.649) == "23.6 samples/s"
    assert format_throughput(0) == "0 samples/s"


def test_sizes_are_told_in_binary_units() -> None:
    assert format_bytes(0) == "0 B"
    assert format_bytes(1023) == "1023 B"
    assert format_bytes(1536) == "1.5 KiB"
    assert format_bytes(3 * 2**50) == "3072.0 TiB"


@pytest.mark.parametrize(
    ("text", "per_s"),
    [("100/s", 100.0), ("100", 100.0), ("6000 / min", 100.0), ("3.6e3/h", 1.0), ("1e9/day", 1e9 / 86_400)],
)
def test_a_rate_is_read_with_its_unit(text: str, per_s: float) -> None:
    assert parse_rate_per_s(text) == pytest.approx(per_s)


@pytest.mark.parametrize("text", ["", "fast", "-1/s", "0", "0/day", "1e12/s", "1e10", "1/year", "nan"])
def test_what_is_no_rate_to_serve_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="rate"):
        parse_rate_per_s(text)
