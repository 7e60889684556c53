from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.spec.configuration import POLICIES, PRECISIONS, Configuration
from autotune.spec.configuration_text import parse_configuration

MODELS = ("random:bert-base", "random:distilbert-base")


def usual(**changes: str) -> Configuration:
    """A study's baseline."""
    values = {"sockets": "0-1", **changes}
    return Configuration.from_parameters(
        {
            "instances": 1,
            "threads_per_instance": 0,
            "placement": "unpinned",
            "smt": False,
            "backend": "pytorch",
            "precision": "fp32",
            **values,
        }
    )


OF_ONE_MODEL = usual()
OF_A_STREAM = usual(model=MODELS[0], padding="max", batching="arrival")


def parse(text: str, of: Configuration = OF_ONE_MODEL) -> Configuration:
    return parse_configuration(text, usual=of, models=MODELS if of.model else MODELS[:1])


def test_a_configuration_is_spelled_with_or_without_sockets_and_smt() -> None:
    plain = Configuration(2, 4, "close", "0-1", smt=False, backend="onnxruntime", precision="int8-dynamic")
    assert parse("2x4,close,onnxruntime,int8-dynamic") == plain
    assert parse("2x4, close, onnxruntime, int8-dynamic, 0-1", usual(sockets="0")) == plain


def test_a_smaller_machine_is_read() -> None:
    assert parse("1x2,close,pytorch,fp32,cores=4", OF_A_STREAM).cores == 4
    with pytest.raises(ValueError, match="'few' is no number of cores"):
        parse("1x2,close,pytorch,fp32,cores=few", OF_A_STREAM)


@given(
    instances=st.integers(1, 99_999),
    threads=st.integers(1, 99_999),
    placement=st.sampled_from(POLICIES),
    sockets=st.sampled_from(["", "0", "0-1", "0,2", "1,3-4"]),
    smt=st.booleans(),
    precision=st.sampled_from(PRECISIONS),
    model=st.sampled_from(MODELS),
    padding=st.sampled_from(["max", "bucket", "none"]),
    batching=st.sampled_from(["arrival", "sorted", "tokens"]),
)
def test_every_part_is_read(
    instances: int,
    threads: int,
    placement: str,
    sockets: str,
    smt: bool,
    precision: str,
    model: str,
    padding: str,
    batching: str,
) -> None:
    words = [f"{instances}x{threads}", placement, "pytorch", precision, *filter(None, [sockets])]
    named = [f"batching={batching}", "spinning=off", f"model={model}", f"padding={padding}", "thp=on"]
    read = parse(",".join([*words, *(["smt"] if smt else []), *named]), OF_A_STREAM)
    assert read.parameters() == {
        "instances": instances,
        "threads_per_instance": threads,
        "placement": placement,
        "sockets": sockets or "0-1",
        "smt": smt,
        "backend": "pytorch",
        "precision": precision,
        "model": model,
        "padding": padding,
        "batching": batching,
        "knobs": "spinning=off thp=on",
        "cores": 0,
    }


def test_what_is_not_named_is_as_in_the_baseline() -> None:
    read = parse("1x1,close,pytorch,fp32", OF_A_STREAM)
    assert (read.model, read.padding, read.batching, read.knobs) == (MODELS[0], "max", "arrival", "")


def test_the_only_model_of_a_study_may_be_named_and_is_no_choice() -> None:
    assert parse(f"1x1,close,pytorch,fp32,model={MODELS[0]}") == parse("1x1,close,pytorch,fp32")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a configuration"),
        ("2x4", "is not a configuration"),
        ("2x4,close,pytorch", "is not a configuration"),
        ("2x4,close,onnxruntime,fp32,fusion", "'fusion' has no value: write fusion=on"),
        ("spinning=off", "is not a configuration"),
        ("0x4,close,pytorch,fp32", "is not a configuration"),
        ("2,close,pytorch,fp32", "is not a configuration"),
        ("2x4,,pytorch,fp32", "is not a configuration"),
        ("2x4,unpinned,pytorch,fp32", "'unpinned' is not a placement"),
        ("2x4,close,pytorch,fp8", "'fp8' is not a precision"),
        ("2x4,close,pytorch,fp32,model=random:x", "'random:x' is not a model of this study"),
        ("2x4,close,pytorch,fp32,model=random:distilbert-base", "is not a model of this study"),
        ("2x4,close,pytorch,fp32,padding=none", "padding is no choice here"),
        ("2x4,close,pytorch,fp32,batching=sorted", "batching is no choice here"),
        ("2x4,close,pytorch,fp32,spining=off", r"'spining' is not a knob \(did you mean spinning\?\)"),
        ("2x4,close,pytorch,fp32,spinning=maybe", "'maybe' is not a value of spinning"),
        ("2x4,close,pytorch,fp32,spinning=off,spinning=on", "spinning is there twice"),
    ],
)
def test_anything_else_is_refused_with_the_form(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_a_model_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="model is there twice"):
        parse(f"1x1,close,pytorch,fp32,model={MODELS[0]},model={MODELS[1]}", OF_A_STREAM)
