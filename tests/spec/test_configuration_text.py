from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.spec.configuration import POLICIES, PRECISIONS, Configuration
from autotune.spec.configuration_text import parse_configuration


def test_a_configuration_is_spelled_with_or_without_sockets_and_smt() -> None:
    plain = Configuration(2, 4, "close", "0-1", smt=False, backend="onnxruntime", precision="int8-dynamic")
    assert parse_configuration("2x4,close,onnxruntime,int8-dynamic", sockets="0-1") == plain
    assert parse_configuration("2x4, close, onnxruntime, int8-dynamic, 0-1", sockets="0") == plain


@given(
    instances=st.integers(1, 99_999),
    threads=st.integers(1, 99_999),
    placement=st.sampled_from(POLICIES),
    sockets=st.sampled_from(["", "0", "0-1", "0,2", "1,3-4"]),
    smt=st.booleans(),
    precision=st.sampled_from(PRECISIONS),
)
def test_every_part_is_read(
    instances: int, threads: int, placement: str, sockets: str, smt: bool, precision: str
) -> None:
    words = [f"{instances}x{threads}", placement, "pytorch", precision, *filter(None, [sockets])]
    text = ",".join([*words, *(["smt"] if smt else [])])
    read = parse_configuration(text, sockets="7")
    assert read.parameters() == {
        "instances": instances,
        "threads_per_instance": threads,
        "placement": placement,
        "sockets": sockets or "7",
        "smt": smt,
        "backend": "pytorch",
        "precision": precision,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a configuration"),
        ("2x4", "is not a configuration"),
        ("2x4,close,pytorch", "is not a configuration"),
        ("0x4,close,pytorch,fp32", "is not a configuration"),
        ("2,close,pytorch,fp32", "is not a configuration"),
        ("2x4,,pytorch,fp32", "is not a configuration"),
        ("2x4,unpinned,pytorch,fp32", "'unpinned' is not a placement"),
        ("2x4,close,pytorch,fp8", "'fp8' is not a precision"),
    ],
)
def test_anything_else_is_refused_with_the_form(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_configuration(text, sockets="0")
